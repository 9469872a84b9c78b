"""``nucleate phase-diagram``: explore a chemical system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "phase-diagram"
EXAMPLE = "Example: nucleate phase-diagram V-Sr-O --model pigen-mp --model substitution -n 64 -o runs/v-sr-o"


def command(
    system: Annotated[str, typer.Argument(help="The chemical system, such as V-Sr-O.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder: a run for each model and the diagram.")],
    model: Annotated[
        list[str] | None, typer.Option(help="A model or searcher; repeat for more. pigen-mp, random and substitution.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many crystals of each.", min=1)] = 64,
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
    stable_within: options.StableWithin = None,
    descriptors: options.Descriptors = None,
    max_seconds: options.MaxSeconds = 60.0,
    labels: options.Labels = "all",
) -> None:
    """Generate, relax and place crystals of one chemical system with several models, on one combined hull."""
    import pandas as pd

    from nucleate import api
    from nucleate.cli.outcome import print_json, resumable
    from nucleate.cli.progress import shown_progress

    with resumable(out), shown_progress() as progress:
        found = api.phase_diagram(
            system,
            model or ("pigen-mp", "random", "substitution"),
            n,
            out,
            where=where or (),
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
            stable_within=stable_within,
            descriptors=descriptors,
            max_seconds=max_seconds,
            labels=labels,
        )
    methods = pd.read_csv(out / "methods.csv")
    if as_json:
        phases = found.phases.to_dict("records")
        print_json({"folder": str(out), "methods": methods.to_dict("records"), "phases": phases})
        return
    new = found.phases[found.phases["is_new"]]
    typer.echo(methods.to_string(index=False))
    typer.echo(f"\non the combined hull: {len(found.phases)} phases, {len(new)} of them new")
    if len(new):
        typer.echo(new[["formula", "formation_energy", "gain", "found_by"]].to_string(index=False))
    typer.echo(f"\npage:   {out / 'phase_diagram.html'}\nphases: {out / 'phases.csv'}")
