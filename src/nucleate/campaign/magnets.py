"""The hunt for magnets without rare earths: many crystals, a cheap sieve, relaxation, orderings for DFT.

The folder is a run. ``generated`` and ``candidates`` hold the crystals and their cheap columns, shard by shard;
``survivors.parquet`` is what the sieve leaves, ``relaxed`` the run that relaxed it; ``magnets.json``, ``relaxed.csv``,
``finalists.csv``, ``finalists`` (CIFs) and ``orderings`` are handed over.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nucleate.campaign.columns import input_schema
from nucleate.campaign.design import FAMILY_CITATIONS, SAMPLED_TOGETHER, candidate_id, chunk_plan, open_or_create
from nucleate.campaign.magnet_columns import (
    MOMENTS,
    CheapScreen,
    Oracle,
    scalar_schema,
    symmetric,
    with_relaxed,
    with_symmetry_held,
)
from nucleate.campaign.magnet_summary import base_rate, write_summary
from nucleate.campaign.models import (
    CONFIG,
    WEIGHTS,
    check_weights,
    find_model,
    load_generator,
    read_config,
    shipped_models,
)
from nucleate.campaign.predicting import PREDICTORS, load_predictor
from nucleate.campaign.progress import Progress, counted, silent
from nucleate.campaign.provenance import path_hash, versions
from nucleate.campaign.rows import Row, crystals_of, read_rows, structure_rows
from nucleate.campaign.run_store import Run, locked, read_shard, write_shard
from nucleate.campaign.screening import add_timing, screening_record
from nucleate.config import Device, ScreenSettings, Settings, resolve_device
from nucleate.crystal.conditions import Conditions
from nucleate.crystal.elements import atomic_number
from nucleate.errors import UserError
from nucleate.evaluation.magnet_hunt import (
    DEFAULT_ELEMENTS,
    PREDICTED,
    before_relaxation,
    magnet_funnel,
)

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.data.dataset import Dataset
    from nucleate.data.reference import Reference
    from nucleate.evaluation.funnel import Funnel

SURVIVORS, RELAXED, PLAIN = "survivors.parquet", "relaxed", "relaxed-as-generated"
ORDERINGS, FINALISTS = "orderings", "finalists"
MAGNET_FAMILIES = ("diffcrysgen", "maggen")
MAX_ORDERED = 50
"""Finalists whose orderings are written: the nearest to the hull."""


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
    symmetrize: float = Field(default=0.0, ge=0, le=1)
    cells: int = Field(default=2, ge=1, le=8)
    screen: ScreenSettings = ScreenSettings()


def default_models() -> tuple[str, ...]:
    """The shipped models of the two magnet papers; of another family where there is none."""
    families = {entry.name: _family(entry.folder) for entry in shipped_models()}
    found = tuple(name for name, family in families.items() if family in MAGNET_FAMILIES)
    return found or tuple(name for name, family in families.items() if family == "pigen")[-1:]


def default_predictor() -> str:
    """The shipped network of formation energy and magnetisation; "none" where there is none."""
    for entry in shipped_models():
        if _family(entry.folder) in PREDICTORS:
            answers = {str(item["name"]) for item in read_config(entry.folder)["config"].get("conditions", ())}  # type: ignore[arg-type]
            if answers >= set(PREDICTED):
                return entry.name
    return "none"


def hunt(
    settings: HuntSettings,
    folder: Path,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Generate or read, sieve, relax what is left, judge, and write out what remains for DFT.

    Arguments:
        settings: What is hunted.
        folder: New, or a hunt to go on with if ``resume``.
        resume: Go on with a hunt that the same settings began.
        workers: Worker processes for relaxation.
        progress: Told how far each stage is.

    Returns:
        The content of ``magnets.json``.

    Raises:
        UserError: Something asked for does not exist or cannot be met, or the folder is not usable.
    """
    plan = _Plan.of(settings)
    with locked(folder):
        run = open_or_create(folder, resume, plan.record(settings))
        try:
            _generate(run, plan, settings, progress)
        except UserError:
            run.discard_if_empty()
            raise
        _sieve(run, plan, progress)
        table = _scalars(run)
        survivors = _survivors(run, plan.funnel, table)
        moved = set(table.loc[table["is_symmetrized"].eq(True), "id"])
        screened = _relaxed(run, RELAXED, _moved(survivors, moved, settings.symmetrize), settings, workers, progress)
        if screened is not None:
            began = time.process_time()
            table = with_relaxed(table, screened, plan.oracle, plan.magnetization)
            if settings.symmetrize > 0:
                twins = [row for row in survivors if row["id"] in moved]
                table = with_symmetry_held(table, _relaxed(run, PLAIN, twins, settings, workers, progress))
            add_timing(run, "magnetisation", time.process_time() - began, len(screened))
        content, finalists = write_summary(run, plan.funnel, table, screened, plan.base)
        _write_orderings(run, finalists, settings, progress)
    return content


@dataclass(frozen=True)
class _Source:
    """Crystals of one origin: those of a generator by number, or rows that are there already."""

    name: str
    start: int
    stop: int
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class _Plan:
    """What the settings mean: everything that can be wrong with them was found when this was made."""

    sources: tuple[_Source, ...]
    request: Conditions
    funnel: Funnel
    oracle: Oracle
    reference: Reference
    data: Dataset | None
    cheap: CheapScreen
    magnetization: str

    @classmethod
    def of(cls, settings: HuntSettings) -> _Plan:
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
                works += FAMILY_CITATIONS.get(_family(entry.folder), [])
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


def _sources(settings: HuntSettings) -> tuple[_Source, ...]:
    if settings.structures is None:
        for name in settings.models:
            find_model(name)
        n = settings.n
        return tuple(_Source(name, k * n, (k + 1) * n) for k, name in enumerate(settings.models))
    path = Path(settings.structures)
    rows = tuple(_rows_of(path))
    if not rows:
        raise UserError(str(path), "no structures", "at least one")
    return (_Source(str(path), 0, len(rows), rows),)


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


def _generate(run: Run, plan: _Plan, settings: HuntSettings, progress: Progress) -> None:
    """Fill ``generated/``; crystal i of a model depends on the seed and i alone."""
    total = plan.sources[-1].stop
    progress("generate", 0, total)
    for source in plan.sources:
        mine = [(k, a, b) for k, (a, b) in enumerate(run.chunks) if source.start <= a < source.stop]
        todo = [part for part in mine if not run.generated_path(part[0]).exists()]
        if todo and not source.rows:
            device = resolve_device(settings.device)
            generator = load_generator(source.name, device, settings.sampler, settings.guidance)
        for k, start, stop in todo:
            began, worked = time.perf_counter(), time.process_time()
            if source.rows:
                rows = list(source.rows[start - source.start : stop - source.start])
            else:
                told = counted(progress, "generate", start, total)
                seed, first = settings.screen.seed, start - source.start
                crystals = generator.sample(stop - start, plan.request, seed, first, told)
                rows = structure_rows(crystals, [candidate_id(i) for i in range(start, stop)], generator.name)
            write_shard(run.generated_path(k), rows, input_schema())
            add_timing(run, "generate", time.perf_counter() - began, stop - start, time.process_time() - worked)
            progress("generate", stop, total)
    progress("generate", total, total)


def _sieve(run: Run, plan: _Plan, progress: Progress) -> None:
    """Fill ``candidates/`` with all that is known before relaxation."""
    total = run.chunks[-1][1]
    for k, (start, stop) in enumerate(run.chunks):
        if not run.candidates_path(k).exists():
            began, worked = time.perf_counter(), time.process_time()
            rows = plan.cheap.rows(read_rows(run.generated_path(k)))
            write_shard(run.candidates_path(k), rows, scalar_schema())
            add_timing(run, "sieve", time.perf_counter() - began, stop - start, time.process_time() - worked)
        progress("sieve", stop, total)


def _scalars(run: Run) -> pd.DataFrame:
    import pyarrow as pa

    tables = [read_shard(run.candidates_path(k)) for k in range(len(run.chunks))]
    return pa.concat_tables(tables).to_pandas()


def _survivors(run: Run, funnel: Funnel, table: pd.DataFrame) -> list[Row]:
    """The structures that pass every filter before relaxation, in order."""
    from nucleate.evaluation.funnel import stopped_by

    passes = [name is None for name in stopped_by(before_relaxation(funnel), table)]
    found: list[Row] = []
    for k, (start, stop) in enumerate(run.chunks):
        if any(passes[start:stop]):
            rows = read_rows(run.generated_path(k))
            found += [row for row, good in zip(rows, passes[start:stop], strict=True) if good]
    return found


def _moved(survivors: list[Row], moved: set[str], tolerance: float) -> list[Row]:
    """The survivors with those of some names moved onto their symmetry, as the sieve saw them."""
    chosen = [i for i, row in enumerate(survivors) if row["id"] in moved]
    if not chosen:
        return survivors
    crystals, _ = symmetric(crystals_of(survivors[i] for i in chosen), tolerance)
    rows = list(survivors)
    for k, i in enumerate(chosen):
        _, frac, lattice = crystals.sites(k)
        rows[i] = {**rows[i], "frac": frac.tolist(), "lattice": lattice.tolist()}
    return rows


def _relaxed(
    run: Run, name: str, survivors: list[Row], settings: HuntSettings, workers: int | None, progress: Progress
) -> pd.DataFrame | None:
    """Survivors relaxed and judged in a run of their own; None where there are none."""
    from nucleate.campaign.screen import screen
    from nucleate.crystal.files import write_structures

    if not survivors:
        return None
    path = run.folder / (SURVIVORS if name == RELAXED else f"{name}.parquet")
    ids = [str(row["id"]) for row in survivors]
    if not path.exists():
        write_structures(crystals_of(survivors), path, ids=ids)
    inner = run.folder / name
    resume = (inner / "run.json").exists()
    relaxed = screen(path, settings.screen, inner, resume=resume, workers=workers, progress=progress)
    return relaxed.candidates().assign(id=ids)


def _write_orderings(run: Run, finalists: pd.DataFrame, settings: HuntSettings, progress: Progress) -> None:
    """CIFs of the finalists, and the orderings of the nearest to the hull; made anew, so that a kill leaves no half."""
    from nucleate.campaign.orderings import orderings_to
    from nucleate.crystal.files import write_structures
    from nucleate.crystal.structure_file import StructureFile
    from nucleate.evaluation.judgement import crystals_of as table_crystals

    for name in (FINALISTS, ORDERINGS):
        shutil.rmtree(run.folder / name, ignore_errors=True)
    if not len(finalists):
        return
    crystals = table_crystals(finalists, relaxed=True)
    names = [f"{row.id}_{row.formula}" for row in finalists.itertuples()]
    write_structures(crystals, run.folder / FINALISTS, ids=names, symprec=settings.screen.symprec)
    first = min(len(names), MAX_ORDERED)
    nearest = StructureFile(crystals[:first], names[:first], list(range(first)))
    orderings_to(nearest, run.folder / ORDERINGS, cells=settings.cells, potential=MOMENTS, progress=progress)


def _family(folder: Path | None) -> str:
    return "" if folder is None or not (folder / CONFIG).exists() else str(read_config(folder).get("family"))
