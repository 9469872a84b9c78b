"""``nucleate train``: a model from the user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "train"
EXAMPLE = "Example: nucleate train pigen structures.csv -o models/mine --set epochs=200"


def command(
    family: Annotated[str, typer.Argument(help="The family to train, pigen or diffcsp.")],
    data: Annotated[Path, typer.Argument(help="CSV or Parquet with a cif column, folder or zip of CIFs, extxyz.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The model's folder.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the family; repeat for more.", metavar="NAME=VALUE")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Train a family from structures; a training that was killed goes on with --resume."""
    from nucleate import verbs
    from nucleate.cli.outcome import note, print_json, resumable
    from nucleate.cli.progress import shown_progress
    from nucleate.errors import UserError

    settings = {}
    for item in overrides or ():
        name, separator, value = item.partition("=")
        if not separator:
            raise UserError("--set", repr(item), "NAME=VALUE")
        settings[name] = value
    with resumable(out), shown_progress("steps") as progress:
        folder = verbs.train(family, data, out, settings, seed=seed, device=device, resume=resume, progress=progress)
    if as_json:
        print_json({"model": str(folder)})
    else:
        note(f"the model is in {folder}; use it with: nucleate design {folder} -n 16 -o RUN")
