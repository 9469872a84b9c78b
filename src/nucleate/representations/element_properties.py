"""The elemental properties that stand in the lowest rows of the matrix, as tables by atomic number.

Both papers name six: atomic number, electronegativity, period, group, atomic fraction, and either the number of
valence electrons (Mal, Mishra & Sen, DiffCrysGen, Table I) or of d electrons (Mal, Seal & Sen, MagGen).
"""

from __future__ import annotations

LARGEST_NUMBER = 94

_NOBLE = (2, 10, 18, 36, 54, 86)

PERIOD: tuple[int, ...] = (0, *(1 + sum(z > noble for noble in _NOBLE) for z in range(1, LARGEST_NUMBER + 1)))


def _group(z: int) -> int:
    """Column of the periodic table; lanthanides and actinides count as group 3."""
    period = PERIOD[z]
    place = z - (0, *_NOBLE)[period - 1]
    length = (2, 8, 8, 18, 18, 32, 32)[period - 1]
    if place == length:
        return 18
    if place <= 2:
        return place
    if length == 8:
        return place + 10
    if length == 18:
        return place
    return 3 if place <= 17 else place - 14


GROUP: tuple[int, ...] = (0, *(_group(z) for z in range(1, LARGEST_NUMBER + 1)))

VALENCE: tuple[int, ...] = tuple(0 if group == 18 else group if group <= 12 else group - 10 for group in GROUP)
"""Electrons outside the noble-gas core, filled d shells of the p block apart; 0 for noble gases."""

# Electrons in d orbitals outside the noble-gas core of a neutral atom in its ground state.
_FILLING = {
    4: (1, 2, 3, 5, 5, 6, 7, 8, 10, 10),
    5: (1, 2, 4, 5, 5, 7, 8, 10, 10, 10),
}
_EARLY = {57: 1, 58: 1, 64: 1, 71: 1, 72: 2, 73: 3, 74: 4, 75: 5, 76: 6, 77: 7, 78: 9, 79: 10, 80: 10,
          89: 1, 90: 2, 91: 1, 92: 1, 93: 1}  # fmt: skip


def _d_electrons(z: int) -> int:
    period, group = PERIOD[z], GROUP[z]
    if period in _FILLING:
        return 0 if group in (1, 2, 18) else 10 if group > 12 else _FILLING[period][group - 3]
    return 10 if 81 <= z <= 85 else _EARLY.get(z, 0)


D_ELECTRONS: tuple[int, ...] = (0, *(_d_electrons(z) for z in range(1, LARGEST_NUMBER + 1)))
"""0 for noble gases, whose d electrons are core."""

# Pauling's scale, 0 for He, Ne and Ar; Pm, Eu, Tb and Yb are interpolated, as in MagGen's public table.
ELECTRONEGATIVITY: tuple[float, ...] = (
    0.0,
    2.20, 0.00, 0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98, 0.00, 0.93, 1.31, 1.61, 1.90, 2.19, 2.58,
    3.16, 0.00, 0.82, 1.00, 1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65, 1.81, 2.01,
    2.18, 2.55, 2.96, 3.00, 0.82, 0.95, 1.22, 1.33, 1.60, 2.16, 1.90, 2.20, 2.28, 2.20, 1.93, 1.69,
    1.78, 1.96, 2.05, 2.10, 2.66, 2.60, 0.79, 0.89, 1.10, 1.12, 1.13, 1.14, 1.13, 1.17, 1.20, 1.20,
    1.10, 1.22, 1.23, 1.24, 1.25, 1.10, 1.27, 1.30, 1.50, 2.36, 1.90, 2.20, 2.20, 2.28, 2.54, 2.00,
    1.62, 2.33, 2.02, 2.00, 2.20, 2.20, 0.70, 0.90, 1.10, 1.30, 1.50, 1.38, 1.36, 1.28,
)  # fmt: skip
