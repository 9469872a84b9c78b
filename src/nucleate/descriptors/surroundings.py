"""The neighbours of chosen sites of one crystal, nearest first, out to any distance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 200_000_000
"""Images looked at for one crystal, a few seconds; what needs more is no crystal."""

SLICE_POINTS = 1_000_000
"""Images held at once."""


class Surroundings(NamedTuple):
    """Neighbours of R sites within a radius, padded to K.

    Attributes:
        vectors: From the site to its neighbours in Å, nearest first, shape (R, K, 3); 0 at padding.
        distances: Lengths in Å, shape (R, K); infinite at padding.
        sites: Which site of the cell the neighbour is an image of, shape (R, K); -1 at padding.
        radius: The radius in Å.
    """

    vectors: NDArray[np.float64]
    distances: NDArray[np.float64]
    sites: NDArray[np.int64]
    radius: float


def surroundings(
    frac: NDArray[np.float64], cell: NDArray[np.float64], chosen: NDArray[np.int64], radius: float
) -> Surroundings | None:
    """Neighbours of the chosen sites within ``radius``; None where that would be too many to look at.

    Arguments:
        frac: Fractional coordinates of the N sites, shape (N, 3).
        cell: Lattice vectors as rows in Å, shape (3, 3); reduced, so that few images need looking at.
        chosen: Numbers of the R sites, shape (R,).
        radius: In Å.
    """
    inverse = np.linalg.inv(cell)
    reach = np.floor(radius * np.linalg.norm(inverse, axis=0) + 0.5)
    if np.prod(2 * reach + 1) * len(frac) * len(chosen) > MAX_POINTS:
        return None
    axes = [np.arange(-k, k + 1) for k in reach.astype(int)]
    images = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) @ cell
    parts = []
    step = max(1, SLICE_POINTS // (len(frac) * len(images)))
    for start in range(0, len(chosen), step):
        some = chosen[start : start + step]
        difference = frac[None, :, :] - frac[some][:, None, :]
        home = (difference - np.floor(difference + 0.5)) @ cell
        shifted = home[:, :, None, :] + images
        squared = np.einsum("rnkx,rnkx->rnk", shifted, shifted)
        squared[np.arange(len(some)), some, len(images) // 2] = np.inf  # the site itself
        near = np.nonzero(squared <= radius**2)
        parts.append((near[0] + start, near[1], shifted[near], np.sqrt(squared[near])))
    rows, seconds, vectors, distances = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.lexsort((distances, rows))
    rows, seconds, vectors, distances = rows[order], seconds[order], vectors[order], distances[order]
    counts = np.bincount(rows, minlength=len(chosen))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = int(counts.max(initial=0))
    found = Surroundings(
        np.zeros((len(chosen), width, 3)),
        np.full((len(chosen), width), np.inf),
        np.full((len(chosen), width), -1),
        radius,
    )
    found.vectors[rows, place] = vectors
    found.distances[rows, place] = distances
    found.sites[rows, place] = seconds
    return found
