"""Names of compositions: reduced and anonymous formulas, chemical systems, as pymatgen writes them.

A reduced formula lists elements by rising Pauling electronegativity; a polyanion (the last two of three
or more elements, less than 1.65 apart) is bracketed when its counts share a divisor: ``Li2(SO3)2`` rather
than ``Li2S2O6``. Peroxides of hydrogen and the alkali metals and the diatomic gases keep their doubled form.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import gcd, inf
from string import ascii_uppercase

import numpy as np

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS

# Pauling electronegativities, Z = 1 to 103; elements without one (0 here) sort last.
# CRC Handbook of Chemistry and Physics, and Allred, J. Inorg. Nucl. Chem. 17, 215 (1961).
ELECTRONEGATIVITIES: tuple[float, ...] = (
    0.0,
    2.20, 0.0, 0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98, 0.0, 0.93, 1.31, 1.61, 1.90, 2.19, 2.58, 3.16,
    0.0, 0.82, 1.00, 1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65, 1.81, 2.01, 2.18, 2.55,
    2.96, 3.00, 0.82, 0.95, 1.22, 1.33, 1.60, 2.16, 1.90, 2.20, 2.28, 2.20, 1.93, 1.69, 1.78, 1.96, 2.05,
    2.10, 2.66, 2.60, 0.79, 0.89, 1.10, 1.12, 1.13, 1.14, 1.13, 1.17, 1.20, 1.20, 1.10, 1.22, 1.23, 1.24,
    1.25, 1.10, 1.27, 1.30, 1.50, 2.36, 1.90, 2.20, 2.20, 2.28, 2.54, 2.00, 1.62, 2.33, 2.02, 2.00, 2.20,
    2.20, 0.70, 0.90, 1.10, 1.30, 1.50, 1.38, 1.36, 1.28, 1.30, 1.30, 1.30, 1.30, 1.30, 1.30, 1.30, 1.30,
    1.30,
)  # fmt: skip

POLYANION_GAP = 1.65
_DOUBLED = {"LiO", "NaO", "KO", "RbO", "CsO", "HO", "O", "N", "F", "Cl", "H"}


def compositions(crystals: Crystals) -> list[dict[int, int]]:
    """Element counts {Z: count} of each crystal's cell, in rising Z."""
    counts = count_table(crystals)
    rows: list[dict[int, int]] = [{} for _ in range(len(crystals))]
    for row, z in zip(*(axis.tolist() for axis in np.nonzero(counts)), strict=True):
        rows[row][z] = int(counts[row, z])
    return rows


def count_table(crystals: Crystals) -> np.ndarray:
    """Number of atoms of each element, shape (B, 104), indexed by atomic number; column 0 is 0."""
    numbers = crystals.numbers.cpu().numpy()
    width = len(SYMBOLS)
    slots = numbers + width * np.arange(len(numbers))[:, None]
    table = np.bincount(slots.ravel(), minlength=width * len(numbers)).reshape(len(numbers), width)
    table[:, 0] = 0
    return table


def reduced_formulas(crystals: Crystals) -> list[str]:
    """Reduced formula of each crystal, such as ``LiFePO4``."""
    return [reduced_formula(counts) for counts in compositions(crystals)]


def chemical_systems(crystals: Crystals) -> list[str]:
    """Chemical system of each crystal, symbols in alphabetical order, such as ``Fe-Li-O-P``."""
    return [chemical_system(counts) for counts in compositions(crystals)]


def reduced_formula(counts: Mapping[int, int]) -> str:
    """Reduced formula of element counts {Z: count}."""
    return _reduced_formula(tuple(sorted(counts.items())))


def chemical_system(counts: Mapping[int, int]) -> str:
    """Symbols of the elements, in alphabetical order, joined by hyphens."""
    return "-".join(sorted(SYMBOLS[z] for z in counts))


def anonymous_formula(counts: Mapping[int, int]) -> str:
    """Reduced counts in rising order on the letters A, B, C, ..."""
    divisor = gcd(*counts.values())
    letters = zip(ascii_uppercase, sorted(n // divisor for n in counts.values()), strict=False)
    return "".join(letter + (str(n) if n > 1 else "") for letter, n in letters)


@lru_cache(maxsize=65536)
def _reduced_formula(counts: tuple[tuple[int, int], ...]) -> str:
    divisor = gcd(*(n for _, n in counts))
    ordered = sorted(((z, n // divisor) for z, n in counts), key=lambda item: _rank(item[0]))
    text = _bracketed(ordered) or _joined(ordered)
    return _joined([(z, 2 * n) for z, n in ordered]) if text in _DOUBLED else text


def _bracketed(ordered: list[tuple[int, int]]) -> str:
    """The formula with its polyanion in brackets; empty where there is none."""
    if len(ordered) < 3:
        return ""
    (z1, n1), (z2, n2) = ordered[-2:]
    unit = gcd(n1, n2)
    x1, x2 = ELECTRONEGATIVITIES[z1], ELECTRONEGATIVITIES[z2]
    if unit == 1 or not x1 or not x2 or x2 - x1 >= POLYANION_GAP:
        return ""
    return f"{_joined(ordered[:-2])}({_joined([(z1, n1 // unit), (z2, n2 // unit)])}){unit}"


def _joined(counts: list[tuple[int, int]]) -> str:
    return "".join(SYMBOLS[z] + (str(n) if n > 1 else "") for z, n in counts)


def _rank(z: int) -> tuple[float, str]:
    return ELECTRONEGATIVITIES[z] or inf, SYMBOLS[z]


def reduced(counts: Mapping[int, int]) -> dict[int, int]:
    """Counts divided by their greatest common divisor."""
    divisor = gcd(*counts.values())
    return {z: n // divisor for z, n in counts.items()}
