"""Bonds by covalent radii, for batches: two atoms are bonded up to 1.2 times the sum of their radii.

The factor lies in the gap of most solids: the longest bonds of metals and salts are within 1.15 of the sum (Na 1.12,
NaCl 1.05), contacts between molecules, chains and layers beyond 1.25 (selenium chains 1.43, MoS2 layers 1.6).

Two cations are not bonded, however near: the covalent radius of an electropositive metal says nothing of its ion (Cs to
Cs in CsCl is 0.84 of the sum). A cation here is a metal that is at least 1.5 less electronegative than the most
electronegative element of the crystal; metals in alloys, carbides and sulfides of noble metals stay bonded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII, SYMBOLS
from nucleate.crystal.formula import ELECTRONEGATIVITIES
from nucleate.crystal.lattice import heights
from nucleate.crystal.periodic import (
    MAX_IMAGES,
    Neighbors,
    image_offsets,
    minimum_image,
    reduced_cells,
    squared_lengths,
    usable_cells,
)
from nucleate.descriptors.charge_balance import is_metal
from nucleate.descriptors.element_values import site_values

IONIC_GAP = 1.5
"""Difference in Pauling electronegativity from which a metal counts as a cation."""

TOLERANCE = 1.2
"""Longest bond, as a multiple of the sum of covalent radii."""

_PAIRS_AT_ONCE = 8_000_000


def bondable(crystals: Crystals) -> Tensor:
    """True where bonds are defined, shape (B,): a usable cell that holds atoms, all with covalent radii."""
    lacking = _radii(crystals).isnan().any(-1)
    return usable_cells(crystals) & ~lacking & (crystals.n_atoms > 0)


def bonds(crystals: Crystals, tolerance: float = TOLERANCE) -> Neighbors:
    """All directed bonds, every image counted, sorted by crystal and first site.

    Crystals that are not :func:`bondable` have none. Two sites on one place are bonded.

    Arguments:
        crystals: B crystals.
        tolerance: Longest bond, as a multiple of the sum of covalent radii.
    """
    crystals = crystals.to(dtype=torch.float64)
    rows = bondable(crystals).nonzero().flatten()
    cells, changes = reduced_cells(crystals.lattice[rows])
    frac = crystals.frac[rows] @ torch.linalg.inv(changes)
    radii, cation = _radii(crystals)[rows], cations(crystals)[rows]
    sizes = crystals.n_atoms[rows]
    cutoff = 2 * tolerance * radii.amax(-1) if len(rows) else radii.new_zeros(0)
    reach = torch.floor(cutoff[:, None] / heights(cells) + 0.5).clamp(1, MAX_IMAGES).to(torch.int64)
    found = []
    # Crystals of one size whose neighbours lie in equally many cells share one set of tensors.
    groups, member = torch.unique(torch.cat([sizes[:, None], reach], 1), dim=0, return_inverse=True)
    for k, (n, a, b, c) in enumerate(groups.tolist()):
        offsets = image_offsets((a, b, c), frac.device)
        step = max(1, _PAIRS_AT_ONCE // (n * n * len(offsets)))
        for part in (member == k).nonzero().flatten().split(step):
            group = _within(frac[part, :n], cells[part], tolerance * radii[part, :n], cation[part, :n], offsets)
            image = torch.round(group.image.to(torch.float64)[:, None] @ changes[part][group.crystal])[:, 0]
            found.append(group._replace(crystal=rows[part[group.crystal]], image=image.to(torch.int64)))
    if not found:
        empty = torch.zeros(0, dtype=torch.int64)
        return Neighbors(empty, empty, empty, empty.reshape(0, 3), crystals.frac.new_zeros(0))
    joined = Neighbors(*(torch.cat(parts) for parts in zip(*found, strict=True)))
    order = torch.argsort(joined.crystal, stable=True)
    return Neighbors(*(part[order] for part in joined))


def cations(crystals: Crystals) -> Tensor:
    """True on the sites of metals far less electronegative than the crystal's most electronegative element, (B, N)."""
    metal = site_values(crystals, [float(is_metal(z)) for z in range(len(SYMBOLS))]) == 1
    attraction = site_values(crystals, ELECTRONEGATIVITIES)
    highest = attraction.amax(-1, keepdim=True) if attraction.shape[1] else attraction
    return metal & (highest - attraction >= IONIC_GAP)


def _within(frac: Tensor, cells: Tensor, reach: Tensor, cation: Tensor, offsets: Tensor) -> Neighbors:
    """Pairs no farther apart than the sum of their ``reach`` (B, n), save those of two of ``cation`` (B, n).

    Images are in the basis of ``cells``.
    """
    raw = frac[:, None, :, :] - frac[:, :, None, :]
    near = minimum_image(raw)
    shifts = offsets.to(frac) @ cells
    squared = squared_lengths(near @ cells[:, None], shifts)
    itself = torch.eye(frac.shape[1], dtype=torch.bool, device=frac.device)[:, :, None] & (offsets == 0).all(-1)
    longest = (reach[:, :, None] + reach[:, None, :]).square()[..., None]
    repelled = (cation[:, :, None] & cation[:, None, :])[..., None]
    b, i, j, k = ((squared <= longest) & ~itself & ~repelled).nonzero().unbind(1)
    image = offsets[k] + torch.round(near - raw)[b, i, j].to(torch.int64)
    return Neighbors(b, i, j, image, squared[b, i, j, k].sqrt())


def _radii(crystals: Crystals) -> Tensor:
    """Covalent radii of the sites in Å, shape (B, N); 0 at padding, NaN where an element has none."""
    return site_values(crystals, COVALENT_RADII)
