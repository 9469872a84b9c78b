"""Stages that all candidates of a run go through: relaxation, hull, comparison; chunk by chunk, restartable.

Relaxations are streamed through a pool of worker processes over many chunks at a time, and each is journalled
as it ends. A chunk is evaluated and written once all of its relaxations and all chunks before it are done: whether
a crystal is unique depends on those before it alone, so that an interrupted run ends in the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nucleate.citations import CITATIONS
from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.errors import Status
from nucleate.execution.executor import Progress, load_executor, silent
from nucleate.potentials.registry import provenance_of
from nucleate.relaxation.relaxation import load_relaxer
from nucleate.relaxation.relaxer import Relaxed, RelaxProtocol
from nucleate.runs.candidates import Candidates
from nucleate.runs.journal import Journal
from nucleate.runs.record import AnySettings, RunRecord, kind_of, reference_hash, versions
from nucleate.runs.run import Run
from nucleate.screening.evaluator import CandidateEvaluator, descriptors_of
from nucleate.screening.funnels import funnel_of
from nucleate.screening.prefilter import left_out
from nucleate.screening.protocols import protocol_of, stated_protocol
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    from nucleate.conditions.request import Conditions
    from nucleate.data.reference import Reference

CHUNKS_AT_ONCE = 64
_ALWAYS_CITED = ("ase", "cdvae", "covalent_radii", "materials_project", "mattergen", "moyopy", "pymatgen")


@dataclass
class _PendingChunk:
    """A chunk on its way: its crystals as generated, and what is known of their relaxations, by row."""

    number: int
    generated: Candidates
    journal: Journal
    relaxed: dict[int, Relaxed]

    @classmethod
    def load(cls, run: Run, number: int, known: Mapping[int, Relaxed]) -> _PendingChunk:
        """A chunk with what an interrupted session has left of it.

        Arguments:
            run: The run.
            number: Of the chunk.
            known: Outcomes by row of candidates that are not to be relaxed.
        """
        generated = Candidates.from_parquet(run.generated_path(number))
        journal = Journal(run.journal_path(number))
        return cls(number, generated, journal, {**known, **journal.read(generated.crystals)})

    @property
    def todo(self) -> list[int]:
        """Rows that hold a crystal and are not relaxed yet."""
        sound = self.generated.has_status((Status.OK,)).nonzero()[0].tolist()
        return [i for i in sound if i not in self.relaxed]


def screen_run(
    run: Run,
    settings: ScreenSettings,
    reference: Reference,
    request: Conditions | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> None:
    """Relax and evaluate every chunk that is not finished; ``generated`` must be complete."""
    total = run.chunks[-1][1]
    evaluator = CandidateEvaluator(settings, reference, request)
    unfinished = []
    for number, (start, stop) in enumerate(run.chunks):
        if run.candidates_path(number).exists():
            evaluator.remember(Candidates.from_parquet(run.candidates_path(number)))
        else:
            unfinished.append((number, stop - start))
    excluded = left_out(run, settings, reference)
    done = total - sum(size for _, size in unfinished)
    progress("relax", done, total)
    for first in range(0, len(unfinished), CHUNKS_AT_ONCE):
        next_ones = unfinished[first : first + CHUNKS_AT_ONCE]
        waiting = [_PendingChunk.load(run, number, excluded[number]) for number, _ in next_ones]
        done += sum(len(chunk.generated) - len(chunk.todo) for chunk in waiting)
        progress("relax", done, total)
        began = time.perf_counter()
        judging = 0.0
        try:
            for chunk, row, relaxed in _relaxations(run, waiting, settings, workers):
                chunk.journal.append(row, relaxed)
                chunk.relaxed[row] = relaxed
                done += 1
                progress("relax", done, total)
                judging += _finish(run, evaluator, waiting)
        finally:
            for chunk in waiting:
                chunk.journal.close()
            run.add_timing("relax", time.perf_counter() - began - judging, 0, 0.0)
        _finish(run, evaluator, waiting)
    progress("relax", total, total)


def _relaxations(
    run: Run, chunks: list[_PendingChunk], settings: ScreenSettings, workers: int | None
) -> Iterator[tuple[_PendingChunk, int, Relaxed]]:
    """Relax all that is to be done in some chunks; yields chunk, row and outcome in the order in which they end."""
    todo = [(chunk, i) for chunk in chunks for i in chunk.todo]
    if not todo:
        return
    protocol = RelaxProtocol(
        fmax=settings.fmax,
        max_steps=settings.max_steps,
        max_seconds=settings.max_seconds,
        symmetrize=settings.settle,
    )
    crystals = Crystals.concatenate([chunk.generated.crystals[chunk.todo] for chunk in chunks])
    rattle_seed = settings.seed if settings.rattle else None
    numbers = [run.chunks[chunk.number][0] + i for chunk, i in todo]
    relaxer = load_relaxer(settings.potential, settings.python, protocol, load_executor(workers=workers))
    for position, relaxed in relaxer.relax(crystals, rattle_seed, numbers):
        chunk, i = todo[position]
        yield chunk, i, relaxed


def _finish(run: Run, evaluator: CandidateEvaluator, waiting: list[_PendingChunk]) -> float:
    """Evaluate and write the chunks at the head of the queue that are complete; returns the seconds it took."""
    total = 0.0
    while waiting and not waiting[0].todo:
        chunk = waiting.pop(0)
        began, worked = time.perf_counter(), processor_seconds()
        # The journal knows what each relaxation took, those of sessions that were killed included.
        run.add_timing("relax", 0.0, len(chunk.relaxed), sum(one.seconds for one in chunk.relaxed.values()))
        found = evaluator.evaluate(chunk.generated, chunk.relaxed)
        found.to_parquet(run.candidates_path(chunk.number), evaluator.columns)
        chunk.journal.remove()
        run.add_timing("judge", time.perf_counter() - began, len(found), processor_seconds() - worked)
        total += time.perf_counter() - began
    return total


def processor_seconds() -> float:
    """Processor time in s of this process, all its threads, and its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def new_record(
    settings: AnySettings,
    screening: ScreenSettings,
    reference: Reference,
    chunk_plan: Sequence[tuple[int, int]],
    works: Sequence[str] = (),
    hashes: Mapping[str, str] | None = None,
) -> RunRecord:
    """The record of a folder that begins: how its candidates will be screened, and what to cite for it.

    Arguments:
        settings: What was asked for; its class says what the folder is.
        screening: The part of it that says how candidates are screened.
        reference: The reference of ``screening``.
        chunk_plan: First and one-past-last row of each chunk; none for a folder of runs.
        works: What to cite for the crystals themselves.
        hashes: SHA-256 of what goes in, beside the reference.
    """
    described = [DESCRIPTORS[name].source for name in descriptors_of(screening) if DESCRIPTORS[name].source]
    funnel = funnel_of(screening)
    definition = protocol_of(screening)
    sources = [*([funnel.source] if funnel else []), *(definition.works if definition else ())]
    followed = [work for work in sources if work in CITATIONS]
    potential = provenance_of(screening.potential, screening.python)
    cited = [potential.work] if potential.work else []
    phases = f"{reference.name} ({len(reference.phases):,} phases)"
    if not reference.is_on_scale(potential.scale):
        phases += f", on the scale of {reference.scale}: no distances to the hull for this potential"
    n = chunk_plan[-1][1] if chunk_plan or isinstance(settings, ScreenSettings) else settings.n
    return RunRecord(
        kind=kind_of(settings),
        settings=settings,
        seed=screening.seed,
        n=n,
        chunk_plan=tuple(chunk_plan),
        hashes={**(hashes or {}), "reference": reference_hash(screening.reference)},
        potential=potential,
        descriptors=descriptors_of(screening),
        funnel=None if funnel is None else funnel.to_dict(),
        protocol=stated_protocol(screening, str(potential), phases, n),
        versions=versions(),
        citations=tuple(sorted({*works, *cited, *described, *followed, *_ALWAYS_CITED})),
    )
