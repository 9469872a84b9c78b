"""Elements and common compounds as entered from the crystallographic literature."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import moyopy
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import atomic_number
from nucleate.data.prototype_templates import load_templates, parse_assignments, read_table

if TYPE_CHECKING:
    import pandas as pd


def load_literature() -> tuple[Crystals, pd.DataFrame]:
    """Primitive cells of every bundled entry, with a table of what they are.

    The entries are experimental structures at ambient conditions as far as they exist, not relaxed by any potential.

    Returns:
        The crystals in float64, and a table with one row each: ``id`` (``lit-<formula>-<space group>-<prototype>``),
        ``formula``, ``name``, ``prototype``, ``strukturbericht``, ``space_group``, ``n_atoms`` and ``source``
        (the citation).
    """
    crystals, table = _expanded()
    return crystals, table.copy()


@cache
def _expanded() -> tuple[Crystals, pd.DataFrame]:
    templates = load_templates()
    citations = {row["key"]: row["citation"] for row in read_table("sources.csv")}
    cells, rows = [], []
    for entry in read_table("compounds.csv"):
        template = templates[entry["prototype"]]
        conventional = template.expand(
            [atomic_number(symbol, entry["name"]) for symbol in entry["elements"].split()],
            [float(value) for value in entry["cell"].split()],
            parse_assignments(entry["parameters"]),
        )
        cells.append(primitive(*conventional))
        slug = template.name.replace(" ", "_")
        rows.append(
            {
                "id": f"lit-{entry['formula']}-{template.space_group}-{slug}",
                "formula": entry["formula"],
                "name": entry["name"],
                "prototype": template.name,
                "strukturbericht": template.strukturbericht,
                "space_group": template.space_group,
                "n_atoms": len(cells[-1][0]),
                "source": citations[entry["source"]],
            }
        )
    numbers, frac, lattice = zip(*cells, strict=True)
    return Crystals.from_lists(numbers, frac, lattice), pd.DataFrame(rows)


def primitive(
    numbers: NDArray[np.int64], frac: NDArray[np.float64], lattice: NDArray[np.float64], symprec: float = 0.01
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Standard primitive cell (moyopy).

    Arguments:
        numbers: Atomic numbers, shape (n,).
        frac: Fractional coordinates, shape (n, 3).
        lattice: Cell as rows in Å, shape (3, 3).
        symprec: Tolerance of the symmetry search in Å.

    Returns:
        The same three arrays of the primitive cell.
    """
    found = moyopy.MoyoDataset(moyopy.Cell(lattice.tolist(), frac.tolist(), numbers.tolist()), symprec=symprec)
    cell = found.prim_std_cell
    return np.array(cell.numbers), np.array(cell.positions), np.array(cell.basis)
