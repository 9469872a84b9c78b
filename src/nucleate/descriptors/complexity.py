"""Crystallographic complexity: the information, in bits per atom, of which atoms symmetry makes equal.

An atom picked at random from the reduced (primitive) cell of v atoms lies in crystallographic orbit i with probability
m_i / v, where m_i is the orbit's multiplicity in that cell. The Shannon entropy of that choice is the structural
information per atom,

    K = - Σ_i (m_i / v) log2(m_i / v),   0 ≤ K ≤ log2 v.

K = 0 if all atoms are equivalent, and log2 v if no two of them are, as in P1. Two orbits on Wyckoff positions of one
letter, or of one element, count as two. The shares m_i / v are the same in every cell of a crystal, so any cell will
do.

K depends on the tolerance with which symmetry is searched: atoms moved at random have no symmetry left once they move
by more than ``symprec``, and K rises to log2 v. A threshold such as K > 3.9 asks for more than 2^3.9 = 14.9, that is
for at least 15 inequivalent atoms. ``docs/descriptors.md`` gives the distribution on real crystals.

Source: S. V. Krivovichev, Acta Cryst. A 68, 393 (2012), Eq. for I_G; K per atom in the sense of S. V. Krivovichev and
V. G. Krivovichev, Acta Cryst. A 76, 429 (2020).
"""

from __future__ import annotations

from collections import Counter
from math import log2, nan

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import usable_cells
from nucleate.symmetry.space_group import SYMPREC, symmetries


def complexity(crystals: Crystals, symprec: float = SYMPREC) -> Tensor:
    """Structural information of each crystal in bits per atom.

    Arguments:
        crystals: B crystals, in any cell.
        symprec: Distance in Å within which sites count as equivalent.

    Returns:
        Values, shape (B,), float64; NaN where no symmetry can be found (overlapping sites, a broken cell).
    """
    found = symmetries(crystals, symprec)
    values = [nan if symmetry is None else orbit_entropy(symmetry.orbits) for symmetry in found]
    return torch.where(usable_cells(crystals), torch.tensor(values, dtype=torch.float64), torch.nan)


def orbit_entropy(orbits: tuple[int, ...]) -> float:
    """Entropy in bits of the label of a site picked at random; ``orbits`` holds one label a site."""
    n = len(orbits)
    return sum(-m / n * log2(m / n) for m in Counter(orbits).values()) + 0.0
