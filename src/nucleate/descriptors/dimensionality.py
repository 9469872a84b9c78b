"""Dimensionality of the bonded network: molecules (0), chains (1), layers (2) or a bulk solid (3).

Atoms joined by bonds form components. Going round a closed path of bonds may lead to another image of the start;
the whole translations met so span a lattice, and its rank is the component's dimensionality. A crystal has that of
its component of highest rank.

Source: P. M. Larsen et al., Phys. Rev. Mater. 3, 034003 (2019); here without scores, for one choice of bonds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import Neighbors
from nucleate.descriptors.bonds import bondable, bonds


def dimensionality(crystals: Crystals) -> Tensor:
    """Dimensionality 0 to 3 of each crystal by the bonds of :func:`nucleate.descriptors.bonds.bonds`.

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
