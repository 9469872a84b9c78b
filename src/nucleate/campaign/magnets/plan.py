"""The plan of a campaign for magnets: its sources, filters and reference, from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleate.campaign.design import SAMPLED_TOGETHER, chunk_plan
from nucleate.campaign.magnets.columns import Prescreen, PropertyNetwork
from nucleate.campaign.magnets.summary import base_rate
from nucleate.campaign.predict import load_predictor
from nucleate.campaign.screen import bounded, candidates_of
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import atomic_number
from nucleate.crystal.formula import reduced_formula, reduced_formulas
from nucleate.data.dataset import load_dataset
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.families.registry import WEIGHTS, check_weights, find_model, shipped_models
from nucleate.io.files import read_structures
from nucleate.options import resolve_device
from nucleate.runs.candidates import Candidates
from nucleate.runs.record import RunRecord, path_hash
from nucleate.runs.run import Run, holds_run
from nucleate.screening.magnet_funnel import DEFAULT_ELEMENTS, PREDICTED, before_relaxation, magnet_funnel
from nucleate.screening.stages import new_record
from nucleate.settings import MagnetSettings

if TYPE_CHECKING:
    from nucleate.data.dataset import Dataset
    from nucleate.screening.funnel import Funnel

MAGNET_FAMILIES = ("diffcrysgen", "maggen")


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
    """Crystals of one origin: those of a generator by number, or candidates that are there already."""

    name: str
    start: int
    stop: int
    candidates: Candidates | None = None


@dataclass(frozen=True)
class Plan:
    """The meaning of the settings: everything that can be wrong with them was found when this was made."""

    sources: tuple[Source, ...]
    request: Conditions
    funnel: Funnel
    network: PropertyNetwork
    reference: Reference
    data: Dataset | None
    prescreen: Prescreen
    magnetization: str

    @classmethod
    def of(cls, settings: MagnetSettings) -> Plan:
        if bool(settings.models) == (settings.structures is not None):
            found = "both" if settings.models else "neither"
            raise UserError("--model and --structures", found, "models to ask, or a file of structures")
        if settings.where.texts and not settings.models:
            raise UserError("--where", repr(settings.where.texts[0]), "a model that can be asked for it")
        allowed = {atomic_number(symbol, "--elements") for symbol in settings.elements or DEFAULT_ELEMENTS}
        network = _network(settings)
        if settings.magnetization == "network" and PREDICTED[1] not in network.columns:
            raise UserError("--magnetization", "'network'", f"a --predictor that answers {PREDICTED[1]}, or moments")
        resolve_device(settings.device)
        funnel = magnet_funnel(network.columns, settings.symmetrize > 0).with_thresholds(settings.thresholds)
        reference = Reference.load(settings.screen.reference)
        data = None if settings.data is None else load_dataset(settings.data)
        known = {reduced_formula(counts) for counts in reference.compositions}
        if data is not None:
            known |= set(reduced_formulas(data.crystals))
        before = before_relaxation(funnel)
        prescreen = Prescreen(allowed, known, network, settings.screen.symprec, settings.symmetrize, before)
        source = settings.magnetization
        if source == "auto":
            source = "network" if PREDICTED[1] in network.columns else "moments"
        return cls(_sources(settings), settings.where, funnel, network, reference, data, prescreen, source)

    def record(self, settings: MagnetSettings) -> RunRecord:
        """The record of a campaign that begins."""
        hashes, works = {}, ["pytorch", *MAGNET_FAMILIES]
        for name in (*settings.models, settings.predictor):
            entry = None if name == "none" else find_model(name)
            if entry is not None and entry.folder is not None:
                hashes[f"model {name}"] = check_weights(entry.folder / WEIGHTS)
                works += entry.citations
        files = {"structures": settings.structures, "data": settings.data}
        hashes |= {name: path_hash(path) for name, path in files.items() if path and not holds_run(path)}
        plan = [
            (source.start + a, source.start + b)
            for source in self.sources
            for a, b in chunk_plan(source.stop - source.start, SAMPLED_TOGETHER)
        ]
        record = new_record(settings, settings.screen, self.reference, plan, works, hashes)
        return record.model_copy(update={"funnel": self.funnel.to_dict(), "magnetization": self.magnetization})

    def base(self) -> dict[str, Any]:
        """The same steps on known crystals."""
        return base_rate(self.funnel, self.prescreen, self.reference, self.data)


def _network(settings: MagnetSettings) -> PropertyNetwork:
    if settings.predictor == "none":
        return PropertyNetwork()
    predictor = load_predictor(settings.predictor, resolve_device(settings.device))
    answers = list(predictor.columns)
    columns = tuple(name for name in PREDICTED if name in answers)
    if not columns:
        raise UserError("--predictor", f"a network of {', '.join(answers)}", f"one of {' or '.join(PREDICTED)}")
    return PropertyNetwork(predictor, columns)


def _sources(settings: MagnetSettings) -> tuple[Source, ...]:
    if settings.structures is None:
        for name in settings.models:
            find_model(name)
        n = settings.n
        return tuple(Source(name, k * n, (k + 1) * n) for k, name in enumerate(settings.models))
    path = settings.structures
    candidates = _read(path)
    if not len(candidates):
        raise UserError(str(path), "no structures", "at least one")
    return (Source(str(path), 0, len(candidates), candidates),)


def _read(path: Path) -> Candidates:
    """The crystals of a file, or those that a run has generated."""
    if not holds_run(path):
        return bounded(candidates_of(read_structures(path)))
    run = Run.open(path)
    if run.record.holds_runs:
        raise UserError(str(path), f"a folder of `nucleate {run.record.command}`", "one of the runs inside it")
    shards = (run.generated_path(k) for k in range(len(run.chunks)))
    return Candidates.from_parquet(*(shard for shard in shards if shard.exists()))
