"""Structures and nothing else: a generator's answers, written in any format."""

from __future__ import annotations

import tempfile
from pathlib import Path

from nucleate.campaign.design import SAMPLED_TOGETHER, candidate_id, chunk_plan
from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.execution.executor import Progress, counted, silent
from nucleate.families.registry import load_generator
from nucleate.io.files import write_structures
from nucleate.io.writing import writing
from nucleate.options import resolve_device
from nucleate.settings import GenerateSettings


def generate_to(settings: GenerateSettings, out: Path, progress: Progress = silent) -> dict[str, object]:
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
