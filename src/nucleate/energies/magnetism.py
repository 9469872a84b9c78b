"""Saturation magnetisation from the sizes of the magnetic moments on the sites.

A potential such as CHGNet gives sizes without signs. Their sum over the cell is the moment of a ferromagnet, so the
number is a coarse screen: right for metals such as Fe, Co and Gd, too large for whatever is ferrimagnetic,
antiferromagnetic or only seems magnetic to the potential.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.energies.potential import Potential

VACUUM_PERMEABILITY = 1.25663706212e-6
"""N/A², CODATA 2018."""
BOHR_MAGNETON = 9.2740100783e-24
"""J/T, CODATA 2018."""
TESLA = VACUUM_PERMEABILITY * BOHR_MAGNETON * 1e30
"""µ₀M in T of 1 µB/Å³: 11.654."""
SMALLEST = 0.1
"""µB; a site with less counts as not magnetic where a choice has to be made."""


def saturation_magnetization(crystals: Crystals, moments: Tensor, smallest: float = 0.0) -> Tensor:
    """µ₀M in T of the ferromagnetic alignment, shape (B,), float64.

    Arguments:
        crystals: B crystals of at most N sites.
        moments: Moments of their sites in µB, shape (B, N); only their sizes count.
        smallest: Moments below this are left out.

    Returns:
        NaN where the moment of a site is unknown, or the cell has no volume.
    """
    sizes = moments.double().abs()
    sizes = torch.where(crystals.mask & ~(sizes < smallest), sizes, 0.0)
    volume = crystals.volume.double()
    return torch.where(volume > 0, TESLA * sizes.sum(1) / volume, math.nan)


def potential_magnetization(crystals: Crystals, potential: Potential) -> Tensor:
    """µ₀M in T from a potential's moments, shape (B,), float64; NaN where it knows none.

    Raises:
        UserError: An element is unknown to the potential.
    """
    return saturation_magnetization(crystals, potential.evaluate(crystals).magmoms)
