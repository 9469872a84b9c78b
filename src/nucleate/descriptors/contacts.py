"""Closest contact and coordination of each crystal; NaN where the geometry does not define them."""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.bonds import bondable, bonds
from nucleate.descriptors.validity import validity


def min_radii_fraction(crystals: Crystals) -> Tensor:
    """Smallest distance over the sum of the two covalent radii (Cordero et al., 2008), shape (B,), float64.

    Below 0.5 a crystal is not valid; known crystals lie mostly between 0.8 and 1.1.
    """
    values = validity(crystals).min_radii_fraction
    return torch.where(bondable(crystals) & values.isfinite(), values, torch.nan)


def coordination(crystals: Crystals) -> Tensor:
    """Mean number of bonds of an atom by :func:`nucleate.descriptors.bonds.bonds`, shape (B,), float64."""
    count = torch.bincount(bonds(crystals).crystal, minlength=len(crystals))
    return torch.where(bondable(crystals), count / crystals.n_atoms.to(torch.float64), torch.nan)
