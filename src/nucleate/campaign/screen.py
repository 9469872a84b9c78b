"""Screening of structures of any origin: relaxed, placed on the hull, compared and ranked, with or without a run."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nucleate.campaign.design import candidate_id, chunk_plan
from nucleate.campaign.export import export_run, run_summary, write_properties
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import Status, UserError
from nucleate.execution.executor import Progress, silent
from nucleate.io.cif_writer import made_different
from nucleate.io.files import read_structures
from nucleate.io.validation import StructureFile
from nucleate.runs.candidates import Candidates
from nucleate.runs.columns import INPUT_COLUMNS
from nucleate.runs.record import path_hash
from nucleate.runs.run import Run, held_run
from nucleate.screening.stages import new_record, screen_run
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.evaluation.summary import Summary

MAX_SITES = 1000
"""Larger cells are not screened: every test grows with the square of the sites at least."""

SOURCE = "structures"
"""Entry of the ``model`` column for structures that were not generated here."""


def screen(
    structures: Path | Crystals | StructureFile,
    settings: ScreenSettings,
    folder: Path,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    limit: int | None = None,
) -> Run:
    """Screen a file of structures, or a batch of them; row i of every table is structure i.

    Arguments:
        structures: A file, a batch, or structures as they were read.
        settings: How.
        folder: The run's folder: new, or one to go on with if ``resume``.
        resume: Go on with a run that the same settings began.
        workers: Worker processes for relaxation.
        progress: Called with how far each stage is.
        limit: At most so many; of more, a sample is drawn by the seed and stays in the file's order.

    Raises:
        UserError: The file cannot be read at all, holds nothing, or the folder is not usable.
    """
    began = time.perf_counter()
    properties = None
    if isinstance(structures, Crystals):
        held = Candidates.from_crystals(structures, [candidate_id(i) for i in range(len(structures))], SOURCE)
    else:
        found = read_structures(structures) if isinstance(structures, Path) else structures
        held, properties = candidates_of(found), properties_of(found)
    if not len(held):
        where = str(structures) if isinstance(structures, Path) else "structures"
        raise UserError(where, "no structures", "at least one")
    candidates = bounded(_drawn(held, limit, settings.seed))
    n = len(candidates)
    reference = Reference.load(settings.reference)
    path = structures if isinstance(structures, Path) else None
    sha256 = path_hash(structures) if isinstance(structures, Path) else _batch_hash(structures)
    plan = chunk_plan(n, settings.chunk_size)
    origin = {
        "structures": None if path is None else str(path),
        "limit": limit,
        "drawn_from": None if limit is None else len(held),
    }
    record = new_record(settings, settings, reference, plan, hashes={"structures": sha256})
    record = record.model_copy(update=origin)
    with held_run(folder, record, resume) as run:
        if properties is not None:
            write_properties(run, properties)
        for k, (start, stop) in enumerate(run.chunks):
            if not run.generated_path(k).exists():
                candidates[start:stop].to_parquet(run.generated_path(k), INPUT_COLUMNS)
        run.add_timing("read", time.perf_counter() - began, n)
        screen_run(run, settings, reference, None, workers, progress)
        export_run(run, reference, settings)
    return run


def _batch_hash(held: Crystals | StructureFile) -> str:
    digest = hashlib.sha256()
    crystals = held if isinstance(held, Crystals) else held.crystals
    for part in (crystals.numbers, crystals.frac, crystals.lattice, crystals.n_atoms):
        digest.update(part.cpu().contiguous().numpy().tobytes())
    if isinstance(held, StructureFile):
        digest.update(repr((held.ids, held.rows, held.failures)).encode())
    return digest.hexdigest()


def candidates_of(found: StructureFile) -> Candidates:
    """The structures of a file or of Python, in their order; one that is no crystal keeps its place and says why."""
    names = _names(found)
    good = Candidates.from_crystals(found.crystals, [names[row] for row in found.rows], SOURCE)
    bad = Candidates.from_failures(found.failures, [names[failure.row] for failure in found.failures], SOURCE)
    places = [*found.rows, *(failure.row for failure in found.failures)]
    return Candidates.concatenate([good, bad])[np.argsort(places)]


def properties_of(found: StructureFile) -> pd.DataFrame | None:
    """Columns of a file beside its structures, one value a row, by the names of :func:`candidates_of`."""
    if found.properties is None:
        return None
    plain = [name for name in found.properties if not found.properties[name].map(_is_list).any()]
    names = _names(found)
    return found.properties[plain].assign(id=[names[row] for row in found.rows]) if plain else None


def _names(found: StructureFile) -> list[str]:
    """A different name for each row, which can be that of a file."""
    raw = {failure.row: failure.id for failure in found.failures} | dict(zip(found.rows, found.ids, strict=True))
    return made_different(_file_name(raw[row], row) for row in range(found.n_rows))


def _is_list(value: object) -> bool:
    return isinstance(value, list | np.ndarray)


def _drawn(candidates: Candidates, limit: int | None, seed: int) -> Candidates:
    """All candidates, or a sample of them in their order."""
    if limit is None or len(candidates) <= limit:
        return candidates
    return candidates[np.sort(np.random.default_rng(seed).choice(len(candidates), limit, replace=False))]


def bounded(candidates: Candidates) -> Candidates:
    """Candidates of which those that are too large say so and lose their crystal: it would hold up all the others."""
    sizes = candidates.column("n_atoms").to_numpy(dtype=np.int64)
    large = sizes > MAX_SITES
    if not large.any():
        return candidates
    reasons = [f"{size:,} sites; at most {MAX_SITES:,} are screened" for size in sizes[large]]
    said = {"status": [Status.INVALID_INPUT] * len(reasons), "reason": reasons}
    return candidates.without_crystals(large).with_columns(said, large)


def _file_name(raw: str, row: int) -> str:
    """An id that can name a file; no underscore, which parts it from the formula there."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", raw).strip("-.")[:80] or candidate_id(row)


def evaluate(
    structures: Path | Crystals | StructureFile,
    settings: ScreenSettings,
    workers: int | None = None,
    progress: Progress = silent,
) -> Summary:
    """Rates and means of a set, with protocol and intervals.

    Arguments:
        structures: A file of structures, or a batch.
        settings: How they are judged; ``without_relaxation()`` takes the structures as relaxed already.
        workers: Worker processes.
        progress: Called with how many are through.

    Raises:
        UserError: The file cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="nucleate-") as folder:
        run = screen(structures, settings, Path(folder) / "run", workers=workers, progress=progress)
        return run_summary(run)
