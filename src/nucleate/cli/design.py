"""``nucleate design``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "design"
EXAMPLE = "Example: nucleate design pigen-mp -n 64 --where chemical_system=Li-O -o runs/li-o"


def command(
    model: Annotated[str, typer.Argument(help="A model, a model's folder, or a searcher; see `nucleate models`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The run's folder.")],
    n: Annotated[int, typer.Option("-n", help="How many crystals.", min=1)] = 16,
    where: options.Where = None,
    allow_subsystems: options.AllowSubsystems = False,
    seed: options.Seed = 0,
    guidance: options.Guidance = None,
    sampler: options.Sampler = "default",
    draw_below: options.DrawBelow = None,
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
    """Generate crystals, relax them, place them on the hull, rank them and write a report."""
    from nucleate import api
    from nucleate.cli.outcome import resumable, show_run
    from nucleate.cli.progress import shown_progress

    with resumable(out), shown_progress() as progress:
        run = api.design(
            model,
            n,
            where or (),
            out,
            allow_subsystems=allow_subsystems,
            guidance=guidance or (),
            sampler=sampler,
            draw_below=draw_below,
            device=device,
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
