"""How many atoms, and how much mass, a crystal has in its volume."""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import MASSES
from nucleate.crystal.periodic import usable_cells
from nucleate.descriptors.element_values import site_values

GRAMS_PER_CM3 = 1.66053906660
"""One atomic mass unit per Å³ in g/cm³."""


def number_density(crystals: Crystals) -> Tensor:
    """Atoms per Å³, shape (B,), float64; NaN without atoms and where the cell is degenerate or a number not finite."""
    exact = crystals.to(dtype=torch.float64)
    return torch.where(usable_cells(exact) & (crystals.n_atoms > 0), crystals.n_atoms / exact.volume, torch.nan)


def density(crystals: Crystals) -> Tensor:
    """Mass density in g/cm³, shape (B,), float64; NaN as above, and where an element has no mass (beyond Z = 96)."""
    mass = site_values(crystals, MASSES).sum(-1)
    return mass / crystals.n_atoms * number_density(crystals) * GRAMS_PER_CM3
