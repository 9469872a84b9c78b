"""Near neighbours of a site from the solid angles of its Voronoi cell.

The rule is that of pymatgen's ``CrystalNN`` without distance cutoffs, electronegativities and the adjustment for
porous structures: the solid angles of the faces, relative to the largest, are laid out along the radius of a
quarter of a circle, and the coordination number is the one whose interval holds the largest area.

The cell is found in its polar dual. A neighbour at p cuts space by x·q <= 1/2 with q = p / |p|², so the cell's
corners are the facets of the convex hull of all q, and the face of a neighbour is the fan of normals about the
hull's corner q. By the theorem of Gauss and Bonnet, the solid angle of that fan is 2π less the angles of the hull's
triangles that meet in q. Nothing but the hull of a few dozen points has to be computed.

References:
    | Benchmarking Coordination Number Prediction Algorithms on Inorganic Crystal Structures (Pan, Ganose, Horton,
      Aykol, Persson, Zimmermann, Jain, 2021)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

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
    from scipy.spatial import ConvexHull, QhullError

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
