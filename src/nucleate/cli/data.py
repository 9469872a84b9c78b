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
        Path,
        typer.Argument(help="CSV or Parquet with formula and formation_energy_per_atom (eV/atom), or structures."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The reference's folder; its name becomes the reference's.")],
    structures: Annotated[
        list[Path] | None, typer.Option(help="Known structures, for novelty alone; repeat for more files.")
    ] = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
) -> None:
    """Build a reference from a table of formation energies, or of structures, and the bundled one."""
    from dataclasses import asdict

    from nucleate.cli.outcome import note, print_json
    from nucleate.data.union import build_union

    built, error = build_union(table, out, structures or (), workers)
    if as_json:
        scale = asdict(error)
        print_json({"reference": str(out), "name": built.name, "phases": len(built.phases), "scale_error": scale})
        return
    note(
        f"{len(built.phases):,} phases, {len(built.structures):,} known structures in {out}\n"
        f"scales differ by {error.mean_absolute:.3f} eV/atom on average on {error.shared:,} shared structures\n"
        f"use it with --reference {out}"
    )
