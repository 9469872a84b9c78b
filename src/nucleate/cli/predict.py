"""``nucleate predict``: property columns of structures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "predict"
EXAMPLE = "Example: nucleate predict property-cnn-mp structures.csv -o predicted.csv"


def command(
    model: Annotated[str, typer.Argument(help="A predictor, by name or folder.")],
    structures: options.Structures,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="CSV with one row for each structure.", show_default="standard output"),
    ] = None,
    property_: Annotated[
        list[str] | None,
        typer.Option(
            "--property", help="A column; repeat for more.", metavar="COLUMN", show_default="all of the model"
        ),
    ] = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Predict properties; a structure that is none gets a row that says why."""
    import sys

    from nucleate import api
    from nucleate.cli.outcome import note, print_json
    from nucleate.io.writing import write_whole

    table = api.predict(model, structures, property_ or (), device=device)
    if as_json:
        print_json(table.astype(object).where(table.notna(), None).to_dict("records"))
    text = table.to_csv(index=False)
    if out is not None:
        write_whole(out, text.encode())
        note(f"{len(table)} rows in {out}, {int((table['status'] != 'ok').sum())} of them without a prediction")
    elif not as_json:
        sys.stdout.write(text)
