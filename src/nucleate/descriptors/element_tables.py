"""Tables over elements and pairs of elements: classes of pairs, values on sites, atomic volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII, NUMBERS, SYMBOLS
from nucleate.errors import UserError

MAX_Z = len(COVALENT_RADII) - 1
"""Heaviest element with a covalent radius; pairs beyond it have no row."""

N_PAIRS = MAX_Z * (MAX_Z + 1) // 2

_GROUPS = (
    "H",
    "Li Na K Rb Cs Fr Be Mg Ca Sr Ba Ra",
    "Sc Y La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Ac Th Pa U Np Pu Am Cm",
    "Ti V Cr Mn Fe Co Ni Cu Zr Nb Mo Tc Ru Rh Pd Ag Hf Ta W Re Os Ir Pt Au",
    "Zn Cd Hg Al Ga In Tl Sn Pb Bi Po",
    "B C Si Ge",
    "N P As Sb",
    "O S Se Te",
    "F Cl Br I At",
    "He Ne Ar Kr Xe Rn",
)
N_CLASSES = len(_GROUPS) * (len(_GROUPS) + 1) // 2


def pair_rows(first: Tensor, second: Tensor) -> Tensor:
    """Row of each unordered pair of atomic numbers 1 to ``MAX_Z``, of the shape (...) of both; H-H is row 0."""
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    return high * (high - 1) // 2 + low - 1


def pair_elements() -> tuple[Tensor, Tensor]:
    """Atomic numbers (low, high) of every row, each of shape (N_PAIRS,)."""
    high = torch.repeat_interleave(torch.arange(1, MAX_Z + 1), torch.arange(1, MAX_Z + 1))
    low = torch.arange(N_PAIRS) - high * (high - 1) // 2 + 1
    return low, high


def pair_lengths() -> Tensor:
    """Sum of the two covalent radii in Å of every row, shape (N_PAIRS,)."""
    radii = torch.tensor(COVALENT_RADII, dtype=torch.float64)
    low, high = pair_elements()
    return radii[low] + radii[high]


def pair_classes() -> Tensor:
    """Class of every row, shape (N_PAIRS,), below ``N_CLASSES``: one for each unordered pair of groups of elements."""
    group = torch.zeros(MAX_Z + 1, dtype=torch.int64)
    for number, symbols in enumerate(_GROUPS, 1):
        for symbol in symbols.split():
            group[NUMBERS[symbol]] = number
    low, high = pair_elements()
    return pair_rows(group[low], group[high])


def site_values(crystals: Crystals, table: Sequence[float]) -> Tensor:
    """The value of each site's element, shape (B, N), float64; 0 at padding, NaN beyond the end of the table.

    Arguments:
        crystals: B crystals.
        table: Value at index Z, in any unit (Å, eV, none); that at index 0 is not used.
    """
    values = torch.tensor([0.0, *table[1:], torch.nan], dtype=torch.float64, device=crystals.numbers.device)
    numbers = torch.where(crystals.numbers < 0, len(table), crystals.numbers).clamp(max=len(table))
    return values[torch.where(crystals.mask, numbers, 0)]


def lacking(crystals: Crystals, table: Sequence[float]) -> Tensor:
    """True on real sites whose element has no value in a table of any unit (Å, eV), shape (B, N)."""
    return site_values(crystals, table).isnan()


# Å³ per atom, Z = 1 to 96; 0 where there are no data. Non-negative fit of cell volumes to element counts over 9,705
# structures of the Materials Project (CC BY 4.0; A. Jain et al., APL Materials 1, 011002 (2013)) by
# scripts/fit_atomic_volumes.py: median error 5 %, 90th percentile 17 %.
ATOMIC_VOLUMES: tuple[float, ...] = (
    0.0,
    5.7, 0.0, 13.2, 8.2, 6.2, 6.4, 6.1, 7.4, 11.4, 0.0, 22.1, 22.6, 16.5, 14.8, 15.8, 21.3, 29.0, 45.0, 38.7, 29.0,
    20.3, 15.5, 13.7, 10.9, 11.7, 10.9, 9.8, 9.5, 11.9, 16.2, 17.4, 18.0, 19.5, 27.5, 36.9, 41.2, 48.3, 32.1, 27.8,
    20.8, 17.2, 15.0, 14.7, 12.8, 12.9, 14.7, 19.3, 24.0, 25.3, 26.0, 27.9, 36.4, 48.2, 57.2, 59.7, 41.0, 33.8,
    29.5, 32.3, 31.7, 31.9, 29.7, 33.6, 27.9, 27.8, 27.2, 26.7, 26.2, 25.6, 27.2, 24.8, 19.6, 17.3, 17.0, 15.0,
    13.7, 13.7, 15.3, 18.9, 26.6, 30.8, 31.5, 32.2, 0.0, 0.0, 0.0, 0.0, 0.0, 43.5, 31.9, 24.6, 23.2, 24.0, 25.1,
    0.0, 0.0,
)  # fmt: skip


def cell_volume(counts: Mapping[int, int], where: str = "composition") -> float:
    """Expected volume in Å³ of a cell with these element counts {Z: count}.

    Raises:
        UserError: There is no volume for one of the elements.
    """
    for z in counts:
        if z >= len(ATOMIC_VOLUMES) or not ATOMIC_VOLUMES[z]:
            raise UserError(where, SYMBOLS[z], "elements whose crystals are known well enough (H to Bi, Ac to Pu)")
    return sum(ATOMIC_VOLUMES[z] * n for z, n in counts.items())


# Differences that cost one unit. Chosen so that pairs known to replace each other (K and Rb, Cl and Br, Fe and Co,
# La and Nd, Zr and Hf) stay under about two, and pairs of unlike charge or size go beyond five.
