"""``nucleate convert``: structures from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "convert"
EXAMPLE = "Example: nucleate convert structures.csv structures.extxyz"


def command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="What to read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="What to write; the suffix is the format.")],
    as_json: options.Json = False,
) -> None:
    """Change the format of structures; CIFs are written with the symmetry found."""
    from nucleate import api
    from nucleate.cli.outcome import note, print_json

    n = api.convert(source, target)
    if as_json:
        print_json({"n": n, "out": str(target)})
    else:
        note(f"{n} crystals in {target}")
