"""``nucleate finetune``: further conditions for a model, from the user's own labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "finetune"
EXAMPLE = "Example: nucleate finetune pigen-mp --data hard.csv --property hardness -o models/hard"


def command(
    model: Annotated[str, typer.Argument(help="The model to start from, by name or folder.")],
    data: Annotated[Path, typer.Option("--data", help="CSV or Parquet with a cif column and the property's.")],
    properties: Annotated[list[str], typer.Option("--property", help="A column; repeat for several at once.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The new model's folder.")],
    freeze: Annotated[
        bool, typer.Option("--freeze/--full", help="Train the new adapters alone, or all weights.")
    ] = True,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the training; repeat for more.", metavar="NAME=VALUE"),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Teach a model a property of your own; a training that was killed goes on with --resume."""
    from nucleate import api
    from nucleate.cli.outcome import note, print_json, resumable
    from nucleate.cli.progress import shown_progress

    settings = options.assignments(overrides)
    with resumable(out), shown_progress("steps") as progress:
        folder = api.finetune(
            model, data, properties, out, settings,
            freeze=freeze, seed=seed, device=device, resume=resume, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json({"model": str(folder)})
    else:
        asked = f"--where {properties[0]}=VALUE"
        note(f"the model is in {folder}; use it with: nucleate design {folder} -n 16 {asked} -o RUN")
