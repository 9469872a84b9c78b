"""Neighbours of sites: nearest first out to any distance, and near ones by the solid angles of the Voronoi cell."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

FIRST_POINTS = 40
"""Neighbours tried first; the cell of most sites is closed by fewer."""

DIGITS = 3
"""Decimals to which the relative solid angles are rounded."""


def solid_angles(vectors: NDArray[np.float64], radius: float, closed: bool = False) -> NDArray[np.float64] | None:
    """Solid angles of the faces of a site's Voronoi cell.

    Arguments:
        vectors: From the site to its neighbours in Å, nearest first, shape (K, 3).
        radius: Every neighbour within this distance in Å is among them.
        closed: Take the cell that these neighbours close, also where farther ones could cut it.

    Returns:
        Steradians for each neighbour, 0 for those without a face, shape (K,); None where the cell is open or where
        neighbours beyond the radius could cut it.
    """
    for count in (FIRST_POINTS, len(vectors)):
        points = vectors[:count]
        complete = len(points) == len(vectors)
        known = radius if complete else float(np.linalg.norm(points[-1]))
        angles = _hull_angles(points, 0.0 if complete and closed else known)
        if angles is not None:
            return np.concatenate([angles, np.zeros(len(vectors) - len(points))])
        if complete:
            break
    return None


def _hull_angles(points: NDArray[np.float64], known: float) -> NDArray[np.float64] | None:
    """The same for points that are complete within ``known`` Å (0: take the points as all there are)."""
    if len(points) < 4:
        return None
    dual = points / np.square(points).sum(1, keepdims=True)
    try:
        hull = ConvexHull(dual)
    except (QhullError, ValueError):
        return None
    depth = -hull.equations[:, 3].max()  # the distance from the origin to the nearest facet
    scale = 1.0 / np.linalg.norm(points[0])
    # A corner of the cell lies 1 / (2 depth) away, so a neighbour beyond 1 / depth cannot cut it off.
    if depth <= 1e-9 * scale or (known and 1.0 / depth > known):
        return None
    corners = dual[hull.simplices]  # (facets, 3, 3)
    along = corners[:, (1, 2, 0)] - corners
    back = -along[:, (2, 0, 1)]
    doubled = np.linalg.norm(np.cross(along[:, 0], back[:, 0]), axis=-1)  # the triangle's area, twice
    inner = np.arctan2(doubled[:, None], (along * back).sum(-1))
    total = np.bincount(hull.simplices.ravel(), inner.ravel(), minlength=len(points))
    on_hull = np.bincount(hull.simplices.ravel(), minlength=len(points)) > 0
    return np.where(on_hull, np.maximum(2 * math.pi - total, 0.0), 0.0)


def near_neighbors(angles: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which neighbours count as near, shape (S, K), from the solid angles at S sites, shape (S, K).

    A site without any solid angle has no near neighbours.
    """
    largest = angles.max(1, keepdims=True, initial=0.0)
    weights = np.round(angles / np.where(largest > 0, largest, 1.0), DIGITS)
    ordered = -np.sort(-weights, 1)
    area = _quarter_circle(np.concatenate([ordered, np.zeros((len(ordered), 1))], 1))
    chosen = (area[:, :-1] - area[:, 1:]).argmax(1)
    least = np.take_along_axis(ordered, chosen[:, None], 1)
    return (weights >= least) & (weights > 0)


def _quarter_circle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area of the unit quarter circle between 0 and x, as its share."""
    inside = np.clip(x, 0.0, 1.0)
    return (inside * np.sqrt(1 - inside**2) + np.arcsin(inside)) / (0.5 * math.pi)


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
