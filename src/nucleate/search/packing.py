"""Pushes atoms apart until every pair keeps its smallest distance: a batch of crystals at once."""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.periodic import image_offsets, minimum_distances, minimum_image

STEPS = 300
EXPAND_EVERY = 25
"""Steps after which a crystal that still overlaps grows by ``EXPANSION`` in volume."""

EXPANSION = 1.04
RELAXATION = 0.55
"""Share of an overlap that one step removes; 0.5 for each atom would settle a lone pair at once."""

TOLERANCE = 0.02
"""Overlaps below this share of the smallest distance are left."""


def spread(crystals: Crystals, smallest: Tensor) -> Crystals:
    """Move atoms, and grow cells where moving is not enough, until sites keep their distances.

    Each overlapping pair is moved apart along the line between its atoms (position-based relaxation of soft
    spheres); a crystal stops on its own once nothing overlaps, so none depends on its batch mates.

    Arguments:
        crystals: Batch of B crystals with cells that are neither flat nor skewed beyond 60° to 120°.
        smallest: Smallest distances in Å, shape (B, N, N).

    Returns:
        The moved crystals. Some may still overlap: see :func:`clearance`.
    """
    frac, lattice, mask = crystals.frac.clone(), crystals.lattice.clone(), crystals.mask
    b, n = crystals.numbers.shape
    offsets = image_offsets(1, frac.device).to(frac.dtype)
    pair = mask[:, :, None] & mask[:, None, :]
    itself = torch.eye(n, dtype=torch.bool, device=frac.device)
    active = torch.arange(b, device=frac.device)
    for step in range(1, STEPS + 1):
        cell, position, limit = lattice[active], frac[active], smallest[active]
        difference = minimum_image(position[:, None, :, :] - position[:, :, None, :])
        vector = (difference[:, :, :, None, :] + offsets) @ cell[:, None, None]
        distance = vector.norm(dim=-1)
        overlap = (limit[..., None] - distance).clamp_min(0)
        overlap = overlap.masked_fill(~pair[active][..., None], 0)
        overlap = overlap.masked_fill(itself[:, :, None] & (offsets == 0).all(-1), 0)
        crowded = (overlap > TOLERANCE * limit[..., None]).flatten(1).any(1)
        move = -RELAXATION * (overlap / distance.clamp_min(1e-6))[..., None] * vector
        frac[active] = torch.where(
            crowded[:, None, None], wrap(position + move.sum((2, 3)) @ torch.linalg.inv(cell)), position
        )
        active = active[crowded]
        if not len(active):
            break
        if step % EXPAND_EVERY == 0:
            lattice[active] = lattice[active] * EXPANSION ** (1 / 3)
    return Crystals(crystals.numbers, torch.where(mask[..., None], frac, 0.0), lattice, crystals.n_atoms)


def clearance(crystals: Crystals, smallest: Tensor) -> Tensor:
    """Smallest ratio of a periodic distance to the smallest one allowed, shape (B,); NaN for unusable cells."""
    return (minimum_distances(crystals) / smallest.clamp_min(1e-9)).flatten(1).amin(1)
