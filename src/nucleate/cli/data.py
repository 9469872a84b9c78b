"""``nucleate data``: look into data sets, build references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

app = typer.Typer(no_args_is_help=True, help="Look into data sets and build references.")


@app.command("inspect", epilog="Example: nucleate data inspect structures.csv.gz")
def inspect(path: options.Structures, as_json: options.Json = False) -> None:
    """Say what a data set holds: crystals, rows that failed and why, elements, sizes, property columns."""
    from rich.console import Console

    from nucleate.cli.outcome import print_json
    from nucleate.data.dataset import load_dataset
    from nucleate.data.inspect import rendered, summarise

    found = summarise(load_dataset(path))
    if as_json:
        print_json(found)
    else:
        Console().print(rendered(found))


@app.command("reference", epilog="Example: nucleate data reference formation_energies.csv -o references/mp")
def reference(
    table: Annotated[
        Path, typer.Argument(help="CSV or Parquet with formula and formation energy, or a file of structures.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The reference's folder.")],
    as_json: options.Json = False,
) -> None:
    """Build a reference from a table of formation energies together with the bundled one."""
    from nucleate.cli.outcome import note, print_json
    from nucleate.data.union import build_union

    built = build_union(table, out)
    if as_json:
        print_json({"reference": str(out), "name": built.name, "phases": len(built.phases)})
    else:
        note(f"{len(built.phases)} phases in {out}; use it with --reference {out}")
