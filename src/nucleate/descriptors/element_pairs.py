"""Unordered element pairs as row numbers, and the classes of pairs that behave alike."""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.elements import COVALENT_RADII, NUMBERS

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
    """Row of each unordered pair of atomic numbers 1 to ``MAX_Z``, in any shape; H-H is row 0."""
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
    """Class of every row, 0 to ``N_CLASSES`` - 1: one for each unordered pair of groups of elements."""
    group = torch.zeros(MAX_Z + 1, dtype=torch.int64)
    for number, symbols in enumerate(_GROUPS, 1):
        for symbol in symbols.split():
            group[NUMBERS[symbol]] = number
    low, high = pair_elements()
    return pair_rows(group[low], group[high])
