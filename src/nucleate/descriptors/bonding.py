"""Bonds by covalent radii, and what they give: closest contact, coordination, dimensionality of the network."""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII, SYMBOLS
from nucleate.crystal.formula import ELECTRONEGATIVITIES
from nucleate.crystal.lattice import face_distances
from nucleate.crystal.periodic import (
    MAX_IMAGES,
    Neighbors,
    image_offsets,
    minimum_image,
    reduced_cells,
    squared_lengths,
    usable_cells,
)
from nucleate.descriptors.composition import is_metal
from nucleate.descriptors.element_tables import site_values
from nucleate.descriptors.geometry import validity

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
        tolerance: Longest bond, as a ratio to the sum of covalent radii.
    """
    crystals = crystals.to(dtype=torch.float64)
    rows = bondable(crystals).nonzero().flatten()
    cells, changes = reduced_cells(crystals.lattice[rows])
    frac = crystals.frac[rows] @ torch.linalg.inv(changes)
    radii, cation = _radii(crystals)[rows], cations(crystals)[rows]
    sizes = crystals.n_atoms[rows]
    cutoff = 2 * tolerance * radii.amax(-1) if len(rows) else radii.new_zeros(0)
    reach = torch.floor(cutoff[:, None] / face_distances(cells) + 0.5).clamp(1, MAX_IMAGES).to(torch.int64)
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


def min_radii_fraction(crystals: Crystals) -> Tensor:
    """Smallest distance over the sum of the two covalent radii (Cordero et al., 2008), shape (B,), float64.

    Below 0.5 a crystal is not valid; known crystals lie mostly between 0.8 and 1.1.
    """
    values = validity(crystals).min_radii_fraction
    return torch.where(bondable(crystals) & values.isfinite(), values, torch.nan)


def coordination(crystals: Crystals) -> Tensor:
    """Mean number of bonds of an atom by :func:`nucleate.descriptors.bonding.bonds`, shape (B,), float64."""
    count = torch.bincount(bonds(crystals).crystal, minlength=len(crystals))
    return torch.where(bondable(crystals), count / crystals.n_atoms.to(torch.float64), torch.nan)


def dimensionality(crystals: Crystals) -> Tensor:
    """Dimensionality 0 to 3 of each crystal by the bonds of :func:`nucleate.descriptors.bonding.bonds`.

    Returns:
        Values, shape (B,), float64; NaN where bonds are not defined.
    """
    b, n = crystals.numbers.shape
    ranks = site_dimensionality(bonds(crystals), b, n)
    highest = torch.where(crystals.mask, ranks, 0).amax(-1) if n else ranks.new_zeros(b)
    return torch.where(bondable(crystals), highest.to(torch.float64), torch.nan)


def site_dimensionality(edges: Neighbors, b: int, n: int) -> Tensor:
    """Rank of the component that each site belongs to, shape (B, N), int64.

    Arguments:
        edges: Directed bonds, each in both directions.
        b: Number of crystals.
        n: Number of sites of the largest.
    """
    first, second = edges.crystal * n + edges.first, edges.crystal * n + edges.second
    root, place = _components(first, second, edges.image, b * n)
    loops = place[first] + edges.image - place[second]
    home = root[first]
    # Whole numbers throughout: rank 1 needs a loop a, rank 2 one with a × loop ≠ 0, rank 3 one out of their plane.
    a = _any_of(loops, home, b * n)
    normal = _any_of(torch.linalg.cross(a[home], loops), home, b * n)
    height = _any_of((normal[home] * loops).sum(-1, keepdim=True), home, b * n)
    rank = sum(((value != 0).any(-1).to(torch.int64) for value in (a, normal, height)), torch.zeros_like(root))
    return rank[root].reshape(b, n)


def _components(first: Tensor, second: Tensor, image: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Lowest site of each site's component, shape (size,), and the cell of the site seen from there, shape (size, 3).

    Each round hands the lowest known site on along every bond; a component of diameter d takes d rounds.
    """
    root = torch.arange(size, device=first.device)
    place = torch.zeros(size, 3, dtype=torch.int64, device=first.device)
    numbers = torch.arange(len(first), device=first.device)
    while True:
        better = root[first] < root[second]
        if not bool(better.any()):
            return root, place
        source, target, step, number = first[better], second[better], image[better], numbers[: int(better.sum())]
        lowest = root.scatter_reduce(0, target, root[source], "amin")
        best = root[source] == lowest[target]
        # Of several bonds that bring the same news one is taken whole, so that root and cell belong together.
        chosen = torch.full((size,), -1, dtype=torch.int64, device=first.device)
        chosen = chosen.scatter_reduce(0, target[best], number[best], "amax")
        changed = (chosen >= 0).nonzero().flatten()
        bond = chosen[changed]
        place[changed] = place[source[bond]] + step[bond]
        root[changed] = root[source[bond]]


def _any_of(vectors: Tensor, home: Tensor, size: int) -> Tensor:
    """One vector that is not zero for each home, zero where there is none, shape (size, D)."""
    found = (vectors != 0).any(-1).nonzero().flatten()
    chosen = torch.full((size,), -1, dtype=torch.int64, device=vectors.device)
    chosen = chosen.scatter_reduce(0, home[found], found, "amax")
    result = torch.zeros(size, vectors.shape[-1], dtype=vectors.dtype, device=vectors.device)
    result[chosen >= 0] = vectors[chosen[chosen >= 0]]
    return result
