"""The main job: generate what was asked for, screen it, rank it, export it; or generate structures and nothing else."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from nucleate.campaign.export import export_run
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import RequestWarning, UserError
from nucleate.execution.executor import Progress, counted, silent
from nucleate.families.registry import WEIGHTS, ModelEntry, check_weights, find_model, load_generator
from nucleate.io.files import write_structures
from nucleate.io.writing import writing
from nucleate.matching.library import StructureLibrary
from nucleate.options import resolve_device
from nucleate.runs.candidates import Candidates
from nucleate.runs.columns import INPUT_COLUMNS
from nucleate.runs.record import RunRecord
from nucleate.runs.run import Run, held_run
from nucleate.screening.prefilter import MOST_DRAWS, Drawn, EnergyPrefilter, energies_above_hull
from nucleate.screening.protocols import matcher_of
from nucleate.screening.stages import new_record, processor_seconds, screen_run
from nucleate.settings import DesignSettings, GenerateSettings

if TYPE_CHECKING:
    from nucleate.families.registry import Generator


SAMPLED_TOGETHER = 256
"""Candidates that a generator is asked for at once."""


def design(
    settings: DesignSettings,
    folder: Path,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> Run:
    """Generate, relax, place on the hull, compare and rank; everything is kept in a run.

    Arguments:
        settings: What is asked for and how it is screened.
        folder: The run's folder: new, or one to go on with if ``resume``.
        resume: Go on with a run that the same settings began.
        workers: Worker processes for relaxation; the potential's default if None.
        progress: Called with how far each stage is.

    Raises:
        UserError: The request cannot be met by this generator, or the folder is not usable.
    """
    request = settings.where
    entry = find_model(settings.model)
    device = resolve_device(settings.device)
    reference = Reference.load(settings.screen.reference)
    record = _record(settings, entry, reference)
    with held_run(folder, record, resume) as run:
        if not all(run.generated_path(k).exists() for k in range(len(run.chunks))):
            generator = load_generator(settings.model, device, settings.sampler, settings.guidance)
            with _warnings_kept(run):
                _generate(run, generator, request, settings, reference, progress)
        screen_run(run, settings.screen, reference, request if request.texts else None, workers, progress)
        export_run(run, reference, settings.screen, request.chemical_system or tuple(request.composition or ()) or None)
    return run


@contextmanager
def _warnings_kept(run: Run) -> Iterator[None]:
    """Show warnings about the request as they come, and keep them in the record, where the report finds them."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if issubclass(category, RequestWarning):
            run.add_warning(str(message))
        shown(message, category, *rest)

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _generate(
    run: Run,
    generator: Generator,
    request: Conditions,
    settings: DesignSettings,
    reference: Reference,
    progress: Progress,
) -> None:
    """Fill ``generated/``, one shard a chunk; crystal i of the generator's stream depends on the seed and i alone.

    Chunks are sampled several at a time, since a generator that batches crystals of equal size wants many. Which
    ones go together does not depend on what is there already: rounding may differ between batches, and a run that
    goes on after a kill ends in the same bytes. Where crystals are drawn until they lie low enough, each bears its
    number in the stream, and the record says where it stood after each group (``drawn``, by the row that comes next).
    """
    seed, limit = settings.screen.seed, settings.draw_below
    prefilter = None
    if limit is not None:
        earlier = StructureLibrary(matcher_of(settings.screen))
        prefilter = EnergyPrefilter(limit, energies_above_hull(reference, settings.screen), earlier)
    chunks = list(enumerate(run.chunks))
    width = max(1, SAMPLED_TOGETHER // settings.screen.chunk_size)
    progress("generate", 0, settings.n)
    for group in (chunks[k : k + width] for k in range(0, len(chunks), width)):
        (_, (first, _)), (_, (_, last)) = group[0], group[-1]
        if not all(run.generated_path(k).exists() for k, _ in group):
            began, worked = time.perf_counter(), processor_seconds()
            told = counted(progress, "generate", first, settings.n)
            if prefilter is None:
                crystals = generator.sample(last - first, request, seed, first, told)
                drawn = Drawn(crystals, list(range(first, last)), last)
            else:
                position = run.record.drawn[first] if first else 0
                drawn = prefilter.draw(generator, request, last - first, seed, position, told)
                run.update(drawn=run.record.drawn | {last: drawn.stop})
            # Before the shards: a kill between the two then counts crystals with their time twice, and loses neither.
            spent = time.perf_counter() - began
            run.add_timing("generate", spent, last - first, processor_seconds() - worked)
            for k, (start, stop) in group:
                ids = [candidate_id(i) for i in drawn.numbers[start - first : stop - first]]
                crystals = drawn.crystals[start - first : stop - first]
                chunk = Candidates.from_crystals(crystals, ids, generator.name)
                chunk.to_parquet(run.generated_path(k), INPUT_COLUMNS)
        if prefilter is not None:
            prefilter.earlier.extend(Candidates.from_parquet(*(run.generated_path(k) for k, _ in group)).crystals)
        progress("generate", last, settings.n)


def candidate_id(i: int) -> str:
    """The name of crystal i of a request."""
    return f"c{i:06d}"


def chunk_plan(n: int, size: int) -> list[tuple[int, int]]:
    """First and one-past-last row of each chunk."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def _record(settings: DesignSettings, entry: ModelEntry, reference: Reference) -> RunRecord:
    hashes = {} if entry.folder is None else {"model": check_weights(entry.folder / WEIGHTS)}
    plan = chunk_plan(settings.n, settings.screen.chunk_size)
    record = new_record(settings, settings.screen, reference, plan, entry.citations, hashes)
    if settings.draw_below is None:
        return record
    low = f"at most {settings.draw_below:g} eV/atom above the hull as generated"
    said: dict[str, object] = {"candidates_drawn": f"until different and {low}, {MOST_DRAWS} times at most"}
    if record.protocol.deviations is not None:
        chosen = "crystals were chosen by their energy as generated; the work counts all"
        said["deviations"] = (*record.protocol.deviations, chosen)
    return record.model_copy(update={"protocol": record.protocol.model_copy(update=said)})


def generate_to(settings: GenerateSettings, out: Path, progress: Progress = silent) -> dict[str, JsonValue]:
    """Generate and write; says what was written, for machines.

    Raises:
        UserError: The request cannot be met, or the output cannot be written.
    """
    rehearse(out)
    generator = load_generator(settings.model, resolve_device(settings.device), settings.sampler, settings.guidance)
    progress("generate", 0, settings.n)
    parts = []
    for start, stop in chunk_plan(settings.n, SAMPLED_TOGETHER):
        parts.append(
            generator.sample(
                stop - start,
                settings.where,
                settings.seed,
                start,
                counted(progress, "generate", start, settings.n),
            )
        )
        progress("generate", stop, settings.n)
    write_structures(Crystals.concatenate(parts), out, ids=[candidate_id(i) for i in range(settings.n)])
    return {"n": settings.n, "out": str(out), "model": generator.name, "seed": settings.seed}


def rehearse(out: Path) -> None:
    """Write nothing in the format and place asked for, so that no hour of generation ends in a bad suffix."""
    if out.is_dir() and any(out.iterdir()):
        raise UserError(str(out), "something already there", "a new or empty folder")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=out.parent, prefix=".nucleate-")
    with scratch as folder:
        try:
            write_structures(Crystals.from_lists([], [], []), Path(folder) / out.name)
        except UserError as error:
            raise UserError(str(out), error.found, error.expected) from None
