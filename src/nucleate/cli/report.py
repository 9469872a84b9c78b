"""``nucleate report``: the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "report"
EXAMPLE = "Example: nucleate report runs/li-o"


def command(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    as_json: options.Json = False,
) -> None:
    """Build the page of a run, a hunt or a comparison again; it opens without network."""
    from nucleate import api
    from nucleate.cli.outcome import print_json

    page = api.write_report(run)
    if as_json:
        print_json({"report": str(page)})
    else:
        typer.echo(str(page))
