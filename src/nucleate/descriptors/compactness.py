"""Compactness: how much of the cell the atoms fill when each is a sphere of its atomic radius.

C = (4π/3) Σ r³ / V, overlaps ignored. The radii are Slater's empirical atomic radii as pymatgen has them
("atomic_radius"), the table that the published values of C rest on. Fifteen elements up to lawrencium have none:
He, Ne, Kr, Xe, At, Rn, Fr and those from curium on.
"""

from __future__ import annotations

from functools import lru_cache
from math import nan, pi

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.periodic import usable_cells
from nucleate.descriptors.element_values import lacking, site_values

MIN_VOLUME = 1.0
"""Å³; a predicted cell smaller than this counts as this large, so that a loss on C stays finite."""


@lru_cache(maxsize=1)
def _radii() -> tuple[float, ...]:
    from pymatgen.core import Element

    found = (Element(symbol).atomic_radius for symbol in SYMBOLS[1:])
    return (0.0, *(nan if radius is None else float(radius) for radius in found))


def sphere_volumes(n_species: int = 100) -> Tensor:
    """Volume of the atomic sphere of each element in Å³, shape (n_species,), float64.

    Element Z stands at index Z - 1, as in the outputs of the networks; NaN where an element has no radius.
    """
    radii = torch.tensor(_radii()[1 : n_species + 1], dtype=torch.float64)
    return 4 * pi / 3 * radii**3


def compactness(crystals: Crystals) -> Tensor:
    """Filled fraction C of each cell, dimensionless.

    Returns:
        Values, shape (B,), float64. NaN where an element has no radius (:func:`without_radius` says which site), where
        there is no atom, and where the cell is degenerate or a number not finite.

    References:
        A. Vasylenko et al., Physics-informed diffusion models for extrapolating crystal structures beyond known
        motifs (2025), Eq. 2.
    """
    filled = 4 * pi / 3 * (site_values(crystals, _radii()) ** 3).sum(-1)
    exact = crystals.to(dtype=torch.float64)
    return torch.where(usable_cells(exact) & (crystals.n_atoms > 0), filled / exact.volume, torch.nan)


def without_radius(crystals: Crystals) -> Tensor:
    """True on real sites whose element has no radius, shape (B, N)."""
    return lacking(crystals, _radii())


def expected_compactness(species: Tensor, lattice: Tensor, mask: Tensor) -> Tensor:
    """Compactness of predicted crystals, differentiable in species and cell.

    A site contributes its expected sphere volume E[4πr³/3]. Elements without a radius are left out and the rest of the
    site's probability is scaled up to 1; a site that can only be such an element makes the crystal NaN. On crystals
    that are certain this equals :func:`compactness`, down to cells of ``MIN_VOLUME``.

    Arguments:
        species: Probability of each element at each site, Z at index Z - 1, shape (B, N, S).
        lattice: Cells as rows in Å, shape (B, 3, 3).
        mask: True on real sites, shape (B, N).

    Returns:
        Values, shape (B,), in the precision of ``species``.
    """
    volumes = sphere_volumes(species.shape[-1]).to(species)
    has_radius = volumes.isfinite()
    share = species[..., has_radius]
    known = share.sum(-1)
    expected = (share * volumes[has_radius]).sum(-1) / known.clamp_min(torch.finfo(species.dtype).tiny)
    # Sites are replaced before they are summed, so that no NaN enters a gradient.
    filled = torch.where(mask, expected, 0.0).sum(-1)
    undefined = (mask & (known <= 0)).any(-1) | ~mask.any(-1)
    return torch.where(undefined, torch.nan, filled / torch.linalg.det(lattice).abs().clamp_min(MIN_VOLUME))
