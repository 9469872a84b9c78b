"""``nucleate wyckoff``: crystals of a protostructure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleate.cli import options

if TYPE_CHECKING:
    import pandas as pd

NAME = "wyckoff"
EXAMPLE = 'Example: nucleate wyckoff "A2BC4_cF56_227_c_b_e:Al-Mg-O" -n 4 -o spinel'


def command(
    label: Annotated[
        str, typer.Argument(help="A protostructure: formula, Pearson symbol, space group, Wyckoff letters, elements.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="A folder for ranked.csv and CIFs, or a file; the suffix is the format.")
    ],
    n: Annotated[int, typer.Option("-n", help="How many different crystals at most.", min=1, max=1000)] = 4,
    draws: Annotated[
        int, typer.Option(help="Cells and free coordinates drawn at once; at least 8 for each of -n.", min=1)
    ] = 32,
    keep: Annotated[
        int, typer.Option(help="Of those, how many the potential looks at; at least 2 for each of -n.", min=1)
    ] = 8,
    calls: Annotated[
        int, typer.Option(help="Calls of the potential inside the space group, for each 3 crystals.", min=1)
    ] = 120,
    method: Annotated[
        str, typer.Option(help="proxy: drawn and improved in batch; pyxtal: PyXtal's random filling.", metavar="NAME")
    ] = "proxy",
    seed: options.Seed = 0,
    potential: options.Potential = "chgnet",
    python: options.Python = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
) -> None:
    """Find coordinates and a cell for a space group and elements on its Wyckoff positions."""
    from nucleate.campaign.generate import rehearse
    from nucleate.campaign.wyckoff import realise, write_realised
    from nucleate.cli.outcome import note, print_json
    from nucleate.cli.progress import shown_progress
    from nucleate.search.protostructure_filling import FillSettings

    settings = FillSettings(draws=draws, keep=keep, calls=calls, method=method)
    rehearse(out)
    with shown_progress() as progress:
        crystals, table, cost = realise(
            label,
            n,
            seed=seed,
            settings=settings,
            potential=potential,
            python=python,
            workers=workers,
            progress=progress,
        )
    write_realised(crystals, table, out)
    if as_json:
        import json

        print_json({**cost, "out": str(out), "crystals": json.loads(table.to_json(orient="records"))})
        return
    _print_table(table)
    note(
        f"{len(table)} different crystals in {out}; {cost['calls_in_group']} calls of the potential inside the group, "
        f"{cost['calls_free']} after; {cost['core_seconds_filling']:.1f} + {cost['core_seconds_potential']:.1f} core-s"
    )


def _print_table(table: pd.DataFrame) -> None:
    from rich.table import Table

    from nucleate.cli.outcome import print_in_full

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("rank", "id"):
        shown.add_column(head, no_wrap=True)
    for head in ("energy\neV/atom", "space\ngroup", "relaxed", "same\nlabel", "Å³/atom", "SPP\nkT", "closest\n/ radii"):
        shown.add_column(head, justify="right", no_wrap=True)
    shown.add_column("status", no_wrap=True)
    for row in table.itertuples():
        shown.add_row(
            str(row.rank),
            row.id,
            f"{row.energy_per_atom:.3f}",
            str(row.space_group),
            str(row.relaxed_space_group),
            "yes" if row.keeps_label else "no",
            f"{row.volume_per_atom:.2f}",
            f"{row.proxy:.3f}",
            f"{row.min_radii_fraction:.2f}",
            row.status,
        )
    print_in_full(shown)
