"""``nucleate train``: a model from the user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "train"
EXAMPLE = "Example: nucleate train pigen structures.csv -o models/mine --set epochs=200"


def command(
    family: Annotated[str, typer.Argument(help="The family to train, such as pigen or mattergen; or predictor.")],
    data: Annotated[Path, typer.Argument(help="CSV or Parquet with a cif column, folder or zip of CIFs, extxyz.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The model's folder.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the family; repeat for more.", metavar="NAME=VALUE")
    ] = None,
    property_: Annotated[
        list[str] | None,
        typer.Option("--property", help="A column that a predictor learns; repeat for more.", metavar="COLUMN"),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            "--hold-out-system",
            help="Learn nothing of a chemical system and its subsystems, to explore it later; repeat for more.",
            metavar="SYSTEM",
        ),
    ] = None,
    log10: Annotated[bool, typer.Option("--log10", help="A predictor learns logarithms.")] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Train a family from structures; a training that was killed goes on with --resume."""
    from nucleate import api
    from nucleate.cli.outcome import note, print_json, resumable
    from nucleate.cli.progress import shown_progress
    from nucleate.errors import UserError
    from nucleate.families.base import FamilySpec
    from nucleate.families.registry import trainable

    settings = options.assignments(overrides)
    predicts = family == "predictor"
    if not predicts and (property_ or log10):
        raise UserError("--property", f"the family {family!r}", "predictor, which alone learns columns this way")
    if predicts and hold_out:
        raise UserError("--hold-out-system", "the family 'predictor'", "a family that generates")
    with resumable(out), shown_progress("steps") as progress:
        if predicts:
            folder = api.train_predictor(
                data, property_ or (), out, settings, log10=log10, seed=seed, device=device, resume=resume,
                progress=progress,
            )  # fmt: skip
        else:
            folder = api.train(
                family, data, out, settings, hold_out=hold_out or (), seed=seed, device=device, resume=resume,
                progress=progress,
            )  # fmt: skip
    if as_json:
        print_json({"model": str(folder)})
    else:
        answers = not isinstance(trainable(family)[0], FamilySpec)
        use = f"nucleate predict {folder} STRUCTURES" if answers else f"nucleate design {folder} -n 16 -o RUN"
        note(f"the model is in {folder}; use it with: {use}")
