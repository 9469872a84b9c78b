"""Stages that all candidates of a run go through: relaxation, hull, comparison; chunk by chunk, restartable.

Relaxations are streamed through a pool of worker processes over many chunks at a time, and each is journalled
as it ends. A chunk is judged and written once all of its relaxations and all chunks before it are done: whether
a crystal is unique depends on those before it alone, so that an interrupted run ends in the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nucleate.citations import CITATIONS
from nucleate.errors import Status
from nucleate.execution.progress import Progress, silent
from nucleate.runs.candidates import Row, crystals_of, read_rows
from nucleate.runs.columns import candidate_columns, schema
from nucleate.runs.provenance import reference_hash
from nucleate.runs.run import Journal, Run, write_shard
from nucleate.screening.evaluator import Judge, asked_descriptors
from nucleate.screening.protocols import asked_matcher, asked_protocol, protocol_record
from nucleate.screening.protostructure_filter import left_out
from nucleate.screening.run_funnel import asked_funnel
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    from nucleate.conditions.request import Conditions
    from nucleate.data.reference import Reference

CHUNKS_AT_ONCE = 64
_ALWAYS_CITED = ("ase", "cdvae", "covalent_radii", "materials_project", "mattergen", "moyopy", "pymatgen")


@dataclass
class _PendingChunk:
    """A chunk on its way: its rows, and what is known of their relaxations."""

    number: int
    rows: list[Row]
    journal: Journal
    relaxed: dict[int, Row] = field(default_factory=dict)

    @classmethod
    def load(cls, run: Run, number: int, known: dict[int, Row]) -> _PendingChunk:
        journal = Journal(run.journal_path(number))
        chunk = cls(number, read_rows(run.generated_path(number)), journal)
        chunk.relaxed = {**known, **{entry["row"]: entry for entry in journal.read()}}
        return chunk

    @property
    def todo(self) -> list[int]:
        """Rows that hold a crystal and are not relaxed yet."""
        return [i for i, row in enumerate(self.rows) if row["status"] == Status.OK and i not in self.relaxed]


def screen_run(
    run: Run,
    settings: ScreenSettings,
    reference: Reference,
    request: Conditions | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> None:
    """Relax and judge every chunk that is not finished; ``generated`` must be complete."""
    total = run.chunks[-1][1]
    judge = Judge(settings, reference, request)
    unfinished = []
    for number, (start, stop) in enumerate(run.chunks):
        if run.candidates_path(number).exists():
            judge.remember(read_rows(run.candidates_path(number)))
        else:
            unfinished.append((number, stop - start))
    excluded = left_out(run, settings, reference)
    done = total - sum(size for _, size in unfinished)
    progress("relax", done, total)
    for first in range(0, len(unfinished), CHUNKS_AT_ONCE):
        next_ones = unfinished[first : first + CHUNKS_AT_ONCE]
        waiting = [_PendingChunk.load(run, number, excluded[number]) for number, _ in next_ones]
        done += sum(len(chunk.rows) - len(chunk.todo) for chunk in waiting)
        progress("relax", done, total)
        began = time.perf_counter()
        judging = 0.0
        try:
            for chunk, entry in _relaxations(run, waiting, settings, workers):
                chunk.journal.append(entry)
                chunk.relaxed[entry["row"]] = entry
                done += 1
                progress("relax", done, total)
                judging += _finish(run, judge, waiting)
        finally:
            for chunk in waiting:
                chunk.journal.close()
            add_timing(run, "relax", time.perf_counter() - began - judging, 0, 0.0)
        _finish(run, judge, waiting)
    progress("relax", total, total)


def _relaxations(
    run: Run, chunks: list[_PendingChunk], settings: ScreenSettings, workers: int | None
) -> Iterator[tuple[_PendingChunk, Row]]:
    """Relax all that is to be done in some chunks; yields journal entries in the order in which they end."""
    from nucleate.execution.executor import load_executor
    from nucleate.relaxation.relaxation import PotentialRelaxer, RelaxProtocol

    todo = [(chunk, i) for chunk in chunks for i in chunk.todo]
    if not todo:
        return
    protocol = RelaxProtocol(
        fmax=settings.fmax, max_steps=settings.max_steps, max_seconds=settings.max_seconds, settle=settings.settle
    )
    crystals = crystals_of(chunk.rows[i] for chunk, i in todo)
    rattle_seed = settings.seed if settings.rattle else None
    numbers = [run.chunks[chunk.number][0] + i for chunk, i in todo]
    relaxer = PotentialRelaxer(settings.potential, settings.python, protocol, load_executor(workers=workers))
    for position, relaxed in relaxer.relax(crystals, rattle_seed, numbers):
        chunk, i = todo[position]
        yield (
            chunk,
            {
                "row": i,
                "status": relaxed.status,
                "reason": relaxed.reason,
                "frac": relaxed.frac.tolist(),
                "lattice": relaxed.lattice.tolist(),
                "energy_per_atom": relaxed.energy_per_atom,
                "seconds": relaxed.seconds,
            },
        )


def _finish(run: Run, judge: Judge, waiting: list[_PendingChunk]) -> float:
    """Judge and write the chunks at the head of the queue that are complete; returns the seconds it took."""
    total = 0.0
    while waiting and not waiting[0].todo:
        chunk = waiting.pop(0)
        began, worked = time.perf_counter(), processor_seconds()
        # The journal knows what each relaxation took, those of sessions that were killed included.
        add_timing(run, "relax", 0.0, len(chunk.relaxed), sum(entry["seconds"] for entry in chunk.relaxed.values()))
        rows = judge.judged(chunk.rows, chunk.relaxed)
        write_shard(
            run.candidates_path(chunk.number), rows, schema(candidate_columns(judge.descriptors, judge.extra_columns))
        )
        chunk.journal.remove()
        add_timing(run, "judge", time.perf_counter() - began, len(rows), processor_seconds() - worked)
        total += time.perf_counter() - began
    return total


def add_timing(run: Run, stage: str, seconds: float, crystals: int, core_seconds: float | None = None) -> None:
    """Add to the time that a stage has taken in this run, over all its sessions."""
    timings = run.record.setdefault("timings", {})
    entry = timings.setdefault(stage, {"seconds": 0.0, "core_seconds": 0.0, "crystals": 0})
    entry["seconds"] += seconds
    entry["core_seconds"] += seconds if core_seconds is None else core_seconds
    entry["crystals"] += crystals
    run.save_record()


def processor_seconds() -> float:
    """Processor time of this process, all its threads, and its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def screening_record(settings: ScreenSettings, reference: Reference, works: list[str], n: int) -> dict[str, Any]:
    """The part of ``run.json`` that says how ``n`` candidates were judged, and what to cite for it."""
    from nucleate.descriptors.registry import DESCRIPTORS
    from nucleate.potentials.potential import provenance_of

    described = [DESCRIPTORS[name].source for name in asked_descriptors(settings) if DESCRIPTORS[name].source]
    funnel = asked_funnel(settings)
    definition = asked_protocol(settings)
    sources = [*([funnel.source] if funnel else []), *(definition.works if definition else ())]
    followed = [work for work in sources if work in CITATIONS]
    potential = provenance_of(settings.potential, settings.python)
    cited = [potential.work] if potential.work else []
    phases = f"{reference.name} ({len(reference.phases):,} phases)"
    if not reference.is_on_scale(potential.scale):
        phases += f", on the scale of {reference.scale}: no distances to the hull for this potential"
    return {
        "potential": asdict(potential),
        "reference_sha256": reference_hash(settings.reference),
        "descriptors": list(asked_descriptors(settings)),
        "funnel": None if funnel is None else funnel.to_dict(),
        "protocol": {
            "potential": str(potential),
            "reference": phases,
            "relaxation": settings.relaxation,
            "matcher": str(asked_matcher(settings)),
            "symprec": settings.symprec,
            "candidates_relaxed": settings.labels,
            "stability_threshold": settings.stable_within,
            "denominator": "all candidates of the run",
            **protocol_record(settings, str(potential), phases, n),
        },
        "citations": sorted({*works, *cited, *described, *followed, *_ALWAYS_CITED}),
    }
