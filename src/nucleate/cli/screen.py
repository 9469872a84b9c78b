"""``nucleate screen``: the tests of ``design`` for structures of any origin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "screen"
EXAMPLE = "Example: nucleate screen candidates.zip -o runs/candidates"


def command(
    structures: options.Structures,
    out: Annotated[Path, typer.Option("-o", "--out", help="The run's folder.")],
    seed: options.Seed = 0,
    device: options.Device = "auto",
    resume: options.Resume = False,
    workers: options.Workers = None,
    as_json: options.Json = False,
    potential: options.Potential = "chgnet",
    python: options.Python = None,
    reference: options.Reference = "bundled",
    protocol: options.Protocol = "none",
    matcher: options.Matcher = None,
    stable_within: options.StableWithin = None,
    descriptors: options.Descriptors = None,
    funnel: options.Funnel = "none",
    threshold: options.Threshold = None,
    fmax: options.Fmax = None,
    max_steps: options.MaxSteps = None,
    max_seconds: options.MaxSeconds = 60.0,
    labels: options.Labels = "all",
    chunk_size: options.ChunkSize = 32,
) -> None:
    """Relax structures, place them on the hull, compare and rank them and write a report."""
    from nucleate import api
    from nucleate.cli.outcome import resumable, show_run
    from nucleate.cli.progress import shown_progress
    from nucleate.settings import resolve_device

    resolve_device(device)
    with resumable(out), shown_progress() as progress:
        run = api.screen(
            structures,
            out,
            resume=resume,
            workers=workers,
            progress=progress,
            seed=seed,
            potential=potential,
            python=python,
            reference=reference,
            protocol=protocol,
            matcher=matcher,
            stable_within=stable_within,
            descriptors=descriptors,
            funnel=funnel,
            thresholds=tuple(threshold or ()),
            fmax=fmax,
            max_steps=max_steps,
            max_seconds=max_seconds,
            labels=labels,
            chunk_size=chunk_size,
        )
    show_run(run, as_json)
