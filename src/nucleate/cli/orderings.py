"""``nucleate orderings``: collinear magnetic orderings, ready for DFT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.cli import options

NAME = "orderings"
EXAMPLE = "Example: nucleate orderings candidates.cif --cells 2 -o orderings"


def command(
    structures: options.Structures,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder, new or empty; one folder in it a structure.")],
    cells: Annotated[int, typer.Option(help="Primitive cells in the largest supercell.", min=1, max=8)] = 2,
    smallest: Annotated[float, typer.Option(help="Sites with a smaller moment are not magnetic, µB.", min=0)] = 0.1,
    potential: options.Potential = "chgnet",
    as_json: options.Json = False,
) -> None:
    """Write every ordering of up and down moments that no symmetry maps onto another, as POSCAR and MAGMOM.

    Only a calculation with spins tells which of them is lowest in energy.
    """
    from nucleate import api
    from nucleate.cli.outcome import note, print_json
    from nucleate.cli.progress import shown_progress

    with shown_progress("structures") as progress:
        table = api.orderings(structures, out, cells=cells, smallest=smallest, potential=potential, progress=progress)
    if as_json:
        print_json(table.astype(object).where(table.notna(), None).to_dict("records"))
    else:
        failed = int((table["status"] != "ok").sum())
        note(
            f"{int(table['orderings'].sum())} orderings of {len(table) - failed} structures in {out}, {failed} without"
        )
