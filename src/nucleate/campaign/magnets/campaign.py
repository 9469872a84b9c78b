"""The campaign for magnets without rare earths: many crystals, a cheap prescreen, relaxation, orderings for DFT.

The folder is a run. ``generated`` and ``candidates`` hold the crystals and their cheap columns, shard by shard;
``survivors.parquet`` is what the prescreen leaves, ``relaxed`` the run that relaxed it. ``magnets.json``,
``relaxed.csv``, ``finalists.csv``, ``finalists`` (CIFs) and ``orderings`` are its exports.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from nucleate.campaign.design import candidate_id
from nucleate.campaign.magnets.columns import MOMENTS, symmetric, with_relaxed, with_symmetry_held
from nucleate.campaign.magnets.plan import Plan
from nucleate.campaign.magnets.summary import write_summary
from nucleate.campaign.orderings import orderings_to
from nucleate.campaign.screen import screen
from nucleate.execution.executor import Progress, counted, silent
from nucleate.families.registry import load_generator
from nucleate.io.files import write_structures
from nucleate.io.validation import StructureFile
from nucleate.options import resolve_device
from nucleate.runs.candidates import Candidates
from nucleate.runs.columns import INPUT_COLUMNS, PRESCREEN_COLUMNS
from nucleate.runs.run import Run, held_run, holds_run, read_shard
from nucleate.screening.funnel import Funnel, stopped_by
from nucleate.screening.magnet_funnel import before_relaxation
from nucleate.screening.stages import processor_seconds
from nucleate.settings import MagnetSettings, OrderingsSettings

SURVIVORS, RELAXED, PLAIN = "survivors.parquet", "relaxed", "relaxed-as-generated"
ORDERINGS, FINALISTS = "orderings", "finalists"
MAX_ORDERED = 50
"""Finalists whose orderings are written: the nearest to the hull."""


def run_campaign(
    settings: MagnetSettings,
    folder: Path,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Generate or read, prescreen, relax what is left, evaluate, and write out what remains for DFT.

    Arguments:
        settings: What is searched for, and where.
        folder: New, or a campaign to go on with if ``resume``.
        resume: Go on with a campaign that the same settings began.
        workers: Worker processes for relaxation.
        progress: Called with how far each stage is.

    Returns:
        The content of ``magnets.json``.

    Raises:
        UserError: Something asked for does not exist or cannot be met, or the folder is not usable.
    """
    plan = Plan.of(settings)
    with held_run(folder, plan.record(settings), resume) as run:
        _generate(run, plan, settings, progress)
        _prescreen(run, plan, progress)
        table = _scalars(run)
        survivors = _survivors(run, plan.funnel, table)
        moved = set(table.loc[table["is_symmetrized"].eq(True), "id"])
        screened = _relaxed(run, RELAXED, _moved(survivors, moved, settings.symmetrize), settings, workers, progress)
        if screened is not None:
            began = processor_seconds()
            table = with_relaxed(table, screened, plan.network, plan.magnetization)
            if settings.symmetrize > 0:
                twins = survivors[survivors.column("id").isin(moved).to_numpy(dtype=bool)]
                plain = _relaxed(run, PLAIN, twins, settings, workers, progress)
                table = with_symmetry_held(table, None if plain is None else plain.to_pandas())
            run.add_timing("magnetisation", processor_seconds() - began, len(screened))
        content, finalists = write_summary(run, plan.funnel, table, screened, plan.base)
        _write_orderings(run, finalists, settings, progress)
    return content


def _generate(run: Run, plan: Plan, settings: MagnetSettings, progress: Progress) -> None:
    """Fill ``generated/``; crystal i of a model depends on the seed and i alone."""
    total = plan.sources[-1].stop
    progress("generate", 0, total)
    for source in plan.sources:
        mine = [(k, a, b) for k, (a, b) in enumerate(run.chunks) if source.start <= a < source.stop]
        todo = [part for part in mine if not run.generated_path(part[0]).exists()]
        if todo and source.candidates is None:
            device = resolve_device(settings.device)
            generator = load_generator(source.name, device, settings.sampler, settings.guidance)
        for k, start, stop in todo:
            began, worked = time.perf_counter(), processor_seconds()
            if source.candidates is not None:
                chunk = source.candidates[start - source.start : stop - source.start]
            else:
                told = counted(progress, "generate", start, total)
                seed, first = settings.screen.seed, start - source.start
                crystals = generator.sample(stop - start, plan.request, seed, first, told)
                names = [candidate_id(i) for i in range(start, stop)]
                chunk = Candidates.from_crystals(crystals, names, generator.name)
            chunk.to_parquet(run.generated_path(k), INPUT_COLUMNS)
            run.add_timing("generate", time.perf_counter() - began, stop - start, processor_seconds() - worked)
            progress("generate", stop, total)
    progress("generate", total, total)


def _prescreen(run: Run, plan: Plan, progress: Progress) -> None:
    """Fill ``candidates/`` with all that is known before relaxation."""
    total = run.chunks[-1][1]
    for k, (start, stop) in enumerate(run.chunks):
        if not run.candidates_path(k).exists():
            began, worked = time.perf_counter(), processor_seconds()
            found = plan.prescreen.describe(Candidates.from_parquet(run.generated_path(k)))
            found.to_parquet(run.candidates_path(k), PRESCREEN_COLUMNS)
            run.add_timing("prescreen", time.perf_counter() - began, stop - start, processor_seconds() - worked)
        progress("prescreen", stop, total)


def _scalars(run: Run) -> pd.DataFrame:
    tables = [read_shard(run.candidates_path(k)) for k in range(len(run.chunks))]
    return pa.concat_tables(tables).to_pandas()


def _survivors(run: Run, funnel: Funnel, table: pd.DataFrame) -> Candidates:
    """The structures that pass every filter before relaxation, in order."""
    passes = np.array([name is None for name in stopped_by(before_relaxation(funnel), table)], dtype=bool)
    chunks = [(k, passes[start:stop]) for k, (start, stop) in enumerate(run.chunks)]
    return Candidates.concatenate([Candidates.from_parquet(run.generated_path(k))[p] for k, p in chunks if p.any()])


def _moved(survivors: Candidates, moved: set[str], tolerance: float) -> Candidates:
    """The survivors with those of some names moved onto their symmetry, as the prescreening saw them."""
    chosen = survivors.column("id").isin(moved).to_numpy(dtype=bool)
    if not chosen.any():
        return survivors
    return survivors.with_generated(chosen, symmetric(survivors[chosen].crystals, tolerance)[0])


def _relaxed(
    run: Run, name: str, survivors: Candidates, settings: MagnetSettings, workers: int | None, progress: Progress
) -> Candidates | None:
    """Survivors relaxed and evaluated in a run of their own; None where there are none."""
    if not len(survivors):
        return None
    path = run.folder / (SURVIVORS if name == RELAXED else f"{name}.parquet")
    if not path.exists():
        write_structures(survivors.crystals, path, ids=survivors.ids)
    inner = run.folder / name
    relaxed = screen(path, settings.screen, inner, resume=holds_run(inner), workers=workers, progress=progress)
    return Candidates.of_run(relaxed).with_columns({"id": survivors.ids})


def _write_orderings(run: Run, finalists: Candidates, settings: MagnetSettings, progress: Progress) -> None:
    """CIFs of the finalists, and the orderings of the nearest to the hull; made anew, so that a kill leaves no half."""
    for name in (FINALISTS, ORDERINGS):
        shutil.rmtree(run.folder / name, ignore_errors=True)
    if not len(finalists):
        return
    names = [f"{name}_{formula}" for name, formula in zip(finalists.ids, finalists.column("formula"), strict=True)]
    write_structures(finalists.final, run.folder / FINALISTS, ids=names, symprec=settings.screen.symprec)
    first = min(len(names), MAX_ORDERED)
    nearest = StructureFile(finalists.final[:first], names[:first], list(range(first)))
    asked = OrderingsSettings(cells=settings.cells, potential=MOMENTS)
    orderings_to(nearest, asked, run.folder / ORDERINGS, progress)
