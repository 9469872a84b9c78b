"""What a hunt for magnets is asked for, and what that means: its sources, filters and reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nucleate.campaign.design import FAMILY_CITATIONS, SAMPLED_TOGETHER, chunk_plan
from nucleate.campaign.magnets.columns import CheapScreen, Oracle
from nucleate.campaign.magnets.summary import base_rate
from nucleate.campaign.predict import load_predictor
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import atomic_number
from nucleate.errors import UserError
from nucleate.families.registry import WEIGHTS, check_weights, find_model, shipped_models
from nucleate.runs.candidates import Row, read_rows
from nucleate.runs.provenance import path_hash, versions
from nucleate.runs.run import Run
from nucleate.screening.magnet_funnel import DEFAULT_ELEMENTS, PREDICTED, before_relaxation, magnet_funnel
from nucleate.screening.stages import screening_record
from nucleate.settings import Device, ScreenSettings, Settings, resolve_device
from nucleate.symmetry.detection import MAX_SYMPREC

if TYPE_CHECKING:
    from nucleate.data.dataset import Dataset
    from nucleate.data.reference import Reference
    from nucleate.screening.funnel import Funnel

MAGNET_FAMILIES = ("diffcrysgen", "maggen")


class HuntSettings(Settings):
    """What is hunted where, and how it is judged.

    Attributes:
        models: Generators by name or folder; ``n`` crystals of each. Empty where ``structures`` is given.
        structures: A file of structures, or a run whose crystals are taken.
        n, where, allow_subsystems, guidance, sampler, device: As in a design.
        elements: Symbols that a crystal may hold.
        predictor: Property network by name or folder; "none" for none.
        data: Table of known crystals with labels: its compositions are not new, and the base rate is its.
        magnetization: What counts after relaxation: the network's answer or the sum of CHGNet's moments;
            "auto" is the network where there is one.
        thresholds: ``NAME=VALUE`` for filters of the funnel.
        symmetrize: Å within which crystals that nothing but low symmetry stops are moved onto higher symmetry. They
            count only where the structure matcher calls them the same and they relax to no higher energy; 0: none are.
        cells: Primitive cells in the largest supercell of the orderings.
        screen: How survivors are relaxed and placed on the hull.
    """

    models: tuple[str, ...] = ()
    structures: str | None = None
    n: int = Field(default=1000, ge=1, le=10_000_000)
    where: tuple[str, ...] = ()
    allow_subsystems: bool = False
    guidance: tuple[str, ...] = ()
    sampler: str = "default"
    device: Device = "auto"
    elements: tuple[str, ...] = DEFAULT_ELEMENTS
    predictor: str = Field(default="none", min_length=1)
    data: str | None = None
    magnetization: Literal["auto", "network", "moments"] = "auto"
    thresholds: tuple[str, ...] = ()
    symmetrize: float = Field(default=0.0, ge=0, le=MAX_SYMPREC)
    cells: int = Field(default=2, ge=1, le=8)
    screen: ScreenSettings = ScreenSettings()


def default_models() -> tuple[str, ...]:
    """The shipped models of the two magnet papers; of another family where there is none."""
    families = {entry.name: entry.family for entry in shipped_models()}
    found = tuple(name for name, family in families.items() if family in MAGNET_FAMILIES)
    return found or tuple(name for name, family in families.items() if family == "pigen")[-1:]


def default_predictor() -> str:
    """The shipped network of formation energy and magnetisation; "none" where there is none."""
    for entry in shipped_models():
        if entry.kind == "predictor" and set(entry.conditions) >= set(PREDICTED):
            return entry.name
    return "none"


@dataclass(frozen=True)
class Source:
    """Crystals of one origin: those of a generator by number, or rows that are there already."""

    name: str
    start: int
    stop: int
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What the settings mean: everything that can be wrong with them was found when this was made."""

    sources: tuple[Source, ...]
    request: Conditions
    funnel: Funnel
    oracle: Oracle
    reference: Reference
    data: Dataset | None
    cheap: CheapScreen
    magnetization: str

    @classmethod
    def of(cls, settings: HuntSettings) -> Plan:
        from nucleate.crystal.formula import reduced_formula, reduced_formulas
        from nucleate.data.dataset import load_dataset
        from nucleate.data.reference import Reference

        if bool(settings.models) == (settings.structures is not None):
            found = "both" if settings.models else "neither"
            raise UserError("--model and --structures", found, "models to ask, or a file of structures")
        if settings.where and not settings.models:
            raise UserError("--where", repr(settings.where[0]), "a model that can be asked for it")
        if not settings.elements:
            raise UserError("--elements", "none", "symbols such as Fe,Co,Mn,N,C")
        allowed = {atomic_number(symbol, "--elements") for symbol in settings.elements}
        oracle = _oracle(settings)
        if settings.magnetization == "network" and PREDICTED[1] not in oracle.columns:
            raise UserError("--magnetization", "'network'", f"a --predictor that answers {PREDICTED[1]}, or moments")
        request = Conditions.parse(settings.where, settings.allow_subsystems)
        resolve_device(settings.device)
        funnel = magnet_funnel(oracle.columns, settings.symmetrize > 0).with_thresholds(settings.thresholds)
        reference = Reference.load(settings.screen.reference)
        data = None if settings.data is None else load_dataset(settings.data)
        known = {reduced_formula(counts) for counts in reference.compositions}
        if data is not None:
            known |= set(reduced_formulas(data.crystals))
        before = before_relaxation(funnel)
        cheap = CheapScreen(allowed, known, oracle, settings.screen.symprec, settings.symmetrize, before)
        source = settings.magnetization
        if source == "auto":
            source = "network" if PREDICTED[1] in oracle.columns else "moments"
        return cls(_sources(settings), request, funnel, oracle, reference, data, cheap, source)

    def record(self, settings: HuntSettings) -> dict[str, Any]:
        """The content of a new ``run.json``."""
        hashes, works = {}, ["pytorch", *MAGNET_FAMILIES]
        for name in (*settings.models, settings.predictor):
            entry = None if name == "none" else find_model(name)
            if entry is not None and entry.folder is not None:
                hashes[name] = check_weights(entry.folder / WEIGHTS)
                works += FAMILY_CITATIONS.get(entry.family, [])
        files = {"structures": settings.structures, "data": settings.data}
        total = self.sources[-1].stop
        chunks = [
            (source.start + a, source.start + b)
            for source in self.sources
            for a, b in chunk_plan(source.stop - source.start, SAMPLED_TOGETHER)
        ]
        return {
            "command": "magnets",
            "n": total,
            "where": list(settings.where),
            "seed": settings.screen.seed,
            "settings": settings.model_dump(mode="json"),
            "input_sha256": {name: path_hash(Path(path)) for name, path in files.items() if path and _is_input(path)},
            "model_sha256": hashes,
            "chunk_plan": chunks,
            "versions": versions(),
            "timings": {},
            **screening_record(settings.screen, self.reference, works, total),
            "funnel": self.funnel.to_dict(),
            "magnetization": self.magnetization,
        }

    def base(self) -> dict[str, Any]:
        """The same steps on known crystals."""
        return base_rate(self.funnel, self.cheap, self.reference, self.data)


def _oracle(settings: HuntSettings) -> Oracle:
    if settings.predictor == "none":
        return Oracle()
    predictor = load_predictor(settings.predictor, resolve_device(settings.device))
    answers = [str(target.name) for target in predictor.config.targets]
    columns = tuple(name for name in PREDICTED if name in answers)
    if not columns:
        raise UserError("--predictor", f"a network of {', '.join(answers)}", f"one of {' or '.join(PREDICTED)}")
    return Oracle(predictor, columns)


def _sources(settings: HuntSettings) -> tuple[Source, ...]:
    if settings.structures is None:
        for name in settings.models:
            find_model(name)
        n = settings.n
        return tuple(Source(name, k * n, (k + 1) * n) for k, name in enumerate(settings.models))
    path = Path(settings.structures)
    rows = tuple(_rows_of(path))
    if not rows:
        raise UserError(str(path), "no structures", "at least one")
    return (Source(str(path), 0, len(rows), rows),)


def _rows_of(path: Path) -> list[Row]:
    """The crystals of a file as rows, or those that a run has generated."""
    from nucleate.campaign.screen import bounded, file_rows

    if not (path / "run.json").exists():
        return [bounded(row) for row in file_rows(path)]
    run = Run.open(path)
    shards = [run.generated_path(k) for k in range(len(run.chunks))]
    return [row for shard in shards if shard.exists() for row in read_rows(shard)]


def _is_input(path: str) -> bool:
    """Whether a path is hashed as a whole; a run that was read goes on changing, and has its own record."""
    return not (Path(path) / "run.json").exists()
