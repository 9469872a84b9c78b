"""The crystals that the page itself carries: for the 3-D view and for download as CIF."""

from __future__ import annotations

from typing import Any

import numpy as np

from nucleate.crystal.elements import COVALENT_RADII, SYMBOLS
from nucleate.report.markup import formula
from nucleate.report.run_data import RunData, records

MAX_STRUCTURES = 200
MAX_ATOMS = 400

# Colours by atomic number from hydrogen on, six hexadecimal digits and a space each: those that molecular
# viewers have in common (oxygen red, nitrogen blue, sulfur yellow, alkali metals violet, alkaline earths green).
_COLOURS = (
    "FFFFFF D9FFFF CC80FF C2FF00 FFB5B5 909090 3050F8 FF0D0D 90E050 B3E3F5 AB5CF2 8AFF00 BFA6A6 F0C8A0 FF8000 FFFF30 "
    "1FF01F 80D1E3 8F40D4 3DFF00 E6E6E6 BFC2C7 A6A6AB 8A99C7 9C7AC7 E06633 F090A0 50D050 C88033 7D80B0 C28F8F 668F8F "
    "BD80E3 FFA100 A62929 5CB8D1 702EB0 00FF00 94FFFF 94E0E0 73C2C9 54B5B5 3B9E9E 248F8F 0A7D8C 006985 C0C0C0 FFD98F "
    "A67573 668080 9E63B5 D47A00 940094 429EB0 57178F 00C900 70D4FF FFFFC7 D9FFC7 C7FFC7 A3FFC7 8FFFC7 61FFC7 45FFC7 "
    "30FFC7 1FFFC7 00FF9C 00E675 00D452 00BF38 00AB24 4DC2FF 4DA6FF 2194D6 267DAB 266696 175487 D0D0E0 FFD123 B8B8D0 "
    "A6544D 575961 9E4FB5 AB5C00 754F45 428296 420066 007D00 70ABFA 00BAFF 00A1FF 008FFF 0080FF 006BFF 545CF2 785CE3 "
    "8A4FE3 A136D4 B31FD4 B31FBA B30DA6 BD0D87 C70066"
)
_NONMETALS = frozenset({1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 33, 34, 35, 36, 52, 53, 54, 85, 86})


def carried(run: RunData) -> list[dict[str, Any]]:
    """The rows whose crystals go into the page: the best that have a drawable structure."""
    rows: list[dict[str, Any]] = []
    for row in records(run.candidates):
        if _cell(row, "relaxed_") is not None or _cell(row, "") is not None:
            rows.append(row)
            if len(rows) == MAX_STRUCTURES:
                break
    return rows


def viewer_payload(rows: list[dict[str, Any]], cifs: dict[str, str]) -> dict[str, Any]:
    """What the page's script needs: structures in rank order, element looks, CIF texts.

    A structure has ``id``, ``formula`` (markup), ``numbers`` and up to two cells, ``relaxed`` and ``generated``, each
    with flat ``frac`` and ``lattice`` (Å, rows).
    """
    structures = []
    seen: set[int] = set()
    for row in rows:
        numbers = [int(z) for z in row["numbers"]]
        seen.update(numbers)
        structures.append(
            {
                "id": row["id"],
                "formula": formula(row["formula"]),
                "numbers": numbers,
                "relaxed": _cell(row, "relaxed_"),
                "generated": _cell(row, ""),
            }
        )
    elements = {
        str(z): {
            "symbol": SYMBOLS[z],
            "colour": f"#{_COLOURS[7 * z - 7 : 7 * z - 1]}",
            "radius": COVALENT_RADII[z] if z < len(COVALENT_RADII) else 1.6,
            "metal": z not in _NONMETALS,
        }
        for z in sorted(seen)
    }
    return {"structures": structures, "elements": elements, "cifs": cifs}


def _cell(row: dict[str, Any], prefix: str) -> dict[str, list[float]] | None:
    numbers, frac, lattice = row["numbers"], row[f"{prefix}frac"], row[f"{prefix}lattice"]
    if numbers is None or frac is None or lattice is None or lattice.shape != (3, 3) or frac.shape != (len(numbers), 3):
        return None
    if len(numbers) > MAX_ATOMS or not ((numbers >= 1) & (numbers < len(SYMBOLS))).all():
        return None
    if not 1e-3 < abs(float(np.linalg.det(lattice))) < 1e6:
        return None
    return {
        "frac": [round(float(v), 5) for v in (frac % 1.0).ravel()],
        "lattice": [round(float(v), 4) for v in lattice.ravel()],
    }
