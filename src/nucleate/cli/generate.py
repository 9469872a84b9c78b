"""``nucleate generate``: structures and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "generate"
EXAMPLE = "Example: nucleate generate pigen-mp -n 100 --where composition=LiFePO4 -o candidates.extxyz"


def command(
    model: Annotated[str, typer.Argument(help="A model, a model's folder, or a searcher; see `nucleate models`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write; the suffix is the format.")],
    n: Annotated[int, typer.Option("-n", help="How many crystals.", min=1)] = 16,
    where: options.Where = None,
    allow_subsystems: options.AllowSubsystems = False,
    seed: options.Seed = 0,
    guidance: options.Guidance = None,
    sampler: options.Sampler = "default",
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Generate crystals and write them to a file or folder, without relaxing them."""
    from nucleate.campaign.generate import generate_to
    from nucleate.cli.outcome import note, print_json
    from nucleate.cli.progress import shown_progress
    from nucleate.settings import DesignSettings, ScreenSettings

    settings = DesignSettings.checked(
        {
            "model": model,
            "n": n,
            "where": tuple(where or ()),
            "allow_subsystems": allow_subsystems,
            "guidance": tuple(guidance or ()),
            "sampler": sampler,
            "device": device,
            "screen": ScreenSettings.checked({"seed": seed}),
        }
    )
    with shown_progress() as progress:
        outcome = generate_to(settings, out, progress)
    if as_json:
        print_json(outcome)
    else:
        note(f"{outcome['n']} crystals in {out}")
