"""All bases of one lattice that look like another cell: the first half of the structure matcher, in batch.

A basis of the first lattice is a candidate if its three lengths agree with those of the second cell within a
factor 1 + ltol, its angles within angle_tol, and it spans a cell of the volume wanted: a primitive one, or a
supercell of so many. The rule is that of pymatgen's ``Lattice.find_all_mappings``; here it is applied to many pairs of
cells at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LENGTH_SLACK = 1e-6
"""Relative; a length this close to its bound is looked at but not relied on."""
ANGLE_SLACK = 1e-5
"""Degrees; the same for an angle."""
REDUCTION_SLACK = 1.01
"""How far a reduced cell's lengths may exceed the shortest possible ones (reduction has tolerances of its own)."""

MAX_VECTORS = 20000
"""Lattice vectors of one cell; cells that need more are too elongated to be searched in batch."""
MAX_TRIPLES = 2_000_000
"""Combinations of vectors looked at for one pair."""
JOINED = 1_000_000
"""Combinations looked at together; bounds the memory."""

SEGMENT = 4096.0
"""Distance between the sort keys of two cells; longer than any vector of a cell of unit volume an atom."""


@dataclass(frozen=True)
class Bases:
    """Candidate bases for a number of pairs.

    Attributes:
        pair: Which pair each candidate belongs to, shape (L,), in rising order.
        matrix: Integer matrices M with new cell = M @ first cell, shape (L, 3, 3).
        sure: False where a bound is met only within rounding, shape (L,).
        searched: Per pair, False where the search would be too long and was not made, shape (P,).
    """

    pair: Ints
    matrix: Ints
    sure: Bools
    searched: Bools


class LatticeVectors:
    """The lattice vectors of many cells, sorted by length within each cell.

    Arguments:
        cells: Cells as rows, shape (C, 3, 3), brought to comparable volumes.
        cutoff: Longest vector needed of each cell, shape (C,).
    """

    def __init__(self, cells: Floats, cutoff: Floats) -> None:
        heights = 1.0 / np.linalg.norm(np.linalg.inv(cells), axis=1)
        reach = np.floor(cutoff[:, None] / heights + 1e-6).astype(np.int64)
        estimate = np.prod(2.0 * reach + 1.0, axis=1)
        self.complete: Bools = (estimate <= 8 * MAX_VECTORS) & (cutoff < SEGMENT / 2)
        vectors, keys, halves = [], [], []
        for c in np.flatnonzero(self.complete):  # over cells, not pairs: once for each cell
            axes = [np.arange(-r, r + 1) for r in reach[c]]
            grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
            lengths = np.linalg.norm(grid @ cells[c], axis=1)
            kept = np.flatnonzero((lengths <= cutoff[c]) & (lengths > 0))
            kept = kept[np.argsort(lengths[kept], kind="stable")]
            vectors.append(grid[kept])
            keys.append(lengths[kept] + SEGMENT * c)
            # Of v and -v the first in the order of the grid, whose middle is zero.
            halves.append(kept < len(grid) // 2)
        empty: list[Any] = [np.zeros((0, 3), np.int64)]
        self.vectors: Ints = np.concatenate(vectors or empty)
        self.keys: Floats = np.concatenate(keys or [np.zeros(0)])
        half = np.flatnonzero(np.concatenate(halves or [np.zeros(0, bool)]))
        cell = np.floor(self.keys / SEGMENT).astype(np.int64)
        self.lengths: Floats = np.linalg.norm(np.einsum("ki,kij->kj", self.vectors, cells[cell]), axis=1)
        self.units: Floats = np.einsum("ki,kij->kj", self.vectors, cells[cell]) / self.lengths[:, None]
        self.half: Ints = half
        self.half_keys: Floats = self.keys[half]


def lengths_and_angles(cells: Floats) -> tuple[Floats, Floats]:
    """Lengths and angles (degrees) of cells, each of shape (C, 3)."""
    lengths = np.linalg.norm(cells, axis=-1)
    units = cells / lengths[..., None]
    cosines = np.stack([(units[..., i, :] * units[..., j, :]).sum(-1) for i, j in ((1, 2), (0, 2), (0, 1))], -1)
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


def may_map(first: Floats, second: Floats, ltol: float) -> Bools:
    """Whether reduced cells on one scale can have a common cell at all, by their lengths.

    A reduced cell has the shortest possible lengths, so no cell of the first lattice has a sorted length below
    the first cell's own; it must reach each of the second's within the tolerance. Shapes (P, 3) to (P,).
    """
    shortest, wanted = np.sort(first, axis=1), np.sort(second, axis=1)
    return np.asarray((shortest <= wanted * ((1 + ltol) * REDUCTION_SLACK)).all(axis=1))


def candidate_bases(
    table: LatticeVectors, first: Ints, lengths: Floats, angles: Floats, ltol: float, angle_tol: float, volume: int = 1
) -> Bases:
    """Candidate bases of the lattices ``first`` (rows of the table) for cells of given lengths and angles.

    Arguments:
        table: Vectors of the cells that bases are searched for, on one scale with the second ones.
        first: Row of the table for each pair, shape (P,).
        lengths: Lengths of the second cells, shape (P, 3).
        angles: Their angles in degrees, shape (P, 3).
        ltol: Length tolerance.
        angle_tol: Angle tolerance in degrees.
        volume: Primitive cells that a basis must span.
    """
    inner, outer = 1.0 / (1 + ltol) - LENGTH_SLACK, 1 + ltol + LENGTH_SLACK
    base = SEGMENT * first[:, None]
    low = np.searchsorted(table.keys, base + lengths * inner)
    high = np.searchsorted(table.keys, base + lengths * outer)
    low[:, 0] = np.searchsorted(table.half_keys, base[:, 0] + lengths[:, 0] * inner)
    high[:, 0] = np.searchsorted(table.half_keys, base[:, 0] + lengths[:, 0] * outer)
    counts = high - low
    searched = table.complete[first] & (counts[:, 0] * counts[:, 1] <= MAX_TRIPLES)
    counts = np.where(searched[:, None], counts, 0)
    cos_low = np.cos(np.radians(np.minimum(angles + angle_tol + ANGLE_SLACK, 180.0)))
    cos_high = np.cos(np.radians(np.maximum(angles - angle_tol - ANGLE_SLACK, 0.0)))

    def close(one: Ints, two: Ints, pair: Ints, axis: int) -> Bools:
        units = table.units
        cosine = units[one, 0] * units[two, 0] + units[one, 1] * units[two, 1] + units[one, 2] * units[two, 2]
        return np.asarray((cosine >= cos_low[pair, axis]) & (cosine <= cos_high[pair, axis]))

    joined = []
    for part in slices(counts[:, 0] * counts[:, 1], JOINED):
        pair, place = spans(counts[part, 0] * counts[part, 1])
        pair += part.start
        width = np.maximum(counts[pair, 1], 1)
        a = table.half[low[pair, 0] + place // width]
        b = low[pair, 1] + place % width
        kept = close(a, b, pair, 2)
        joined.append((pair[kept], a[kept], b[kept]))
    pair, a, b = (np.concatenate([part[k] for part in joined]) for k in range(3))
    triples = np.bincount(pair, counts[pair, 2], minlength=len(first))
    searched &= triples <= MAX_TRIPLES
    few = searched[pair]
    pair, a, b = pair[few], a[few], b[few]
    found = []
    for part in slices(counts[pair, 2], JOINED):
        row, place = spans(counts[pair[part], 2])
        row += part.start
        c = low[pair[row], 2] + place
        kept = close(b[row], c, pair[row], 0)
        row, c = row[kept], c[kept]
        kept = close(a[row], c, pair[row], 1)
        row, c = row[kept], c[kept]
        matrix = np.stack([table.vectors[a[row]], table.vectors[b[row]], table.vectors[c]], axis=1)
        kept = np.abs(determinant(matrix)) == volume
        found.append((row[kept], c[kept], matrix[kept]))
    row, c, matrix = (np.concatenate([part[k] for part in found]) for k in range(3))
    pair, a, b = pair[row], a[row], b[row]
    sure = _sure(table, pair, (a, b, c), lengths, angles, ltol, angle_tol)
    both = np.repeat(np.arange(len(pair)), 2)
    signs = np.tile(np.array([1, -1]), len(pair))
    return Bases(pair[both], matrix[both] * signs[:, None, None], sure[both], searched)


def _sure(
    table: LatticeVectors,
    pair: Ints,
    chosen: tuple[Ints, Ints, Ints],
    lengths: Floats,
    angles: Floats,
    ltol: float,
    angle_tol: float,
) -> Bools:
    ratio = np.stack([table.lengths[v] for v in chosen], 1) / lengths[pair]
    inside = (ratio < 1 + ltol - LENGTH_SLACK) & (ratio > 1 / (1 + ltol) + LENGTH_SLACK)
    units = [table.units[v] for v in chosen]
    cosines = np.stack([(units[i] * units[j]).sum(1) for i, j in ((1, 2), (0, 2), (0, 1))], 1)
    found = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    return np.asarray((inside & (np.abs(found - angles[pair]) <= angle_tol - ANGLE_SLACK)).all(1))


def determinant(matrix: Ints) -> Ints:
    """Determinants of integer matrices, exact, shape (..., 3, 3) to (...)."""
    a, b, c = matrix[..., 0, :], matrix[..., 1, :], matrix[..., 2, :]
    return np.asarray(
        a[..., 0] * (b[..., 1] * c[..., 2] - b[..., 2] * c[..., 1])
        - a[..., 1] * (b[..., 0] * c[..., 2] - b[..., 2] * c[..., 0])
        + a[..., 2] * (b[..., 0] * c[..., 1] - b[..., 1] * c[..., 0])
    )


def lattice_points(matrix: Ints, volume: int) -> Floats:
    """The points of a lattice in supercells of it, each once, in fractions of the supercell.

    Arguments:
        matrix: Bases of the supercells in that of the lattice, shape (L, 3, 3).
        volume: Absolute determinant of each.

    Returns:
        Shape (L, volume, 3), in [0, 1).
    """
    points = np.zeros((len(matrix), volume, 3))
    if volume == 1:
        return points
    inverse = np.linalg.inv(matrix.astype(np.float64))
    for triangular in _triangular_bases(volume):
        # Rows of both span the same lattice if one is an integer combination of the other.
        share = matrix @ np.rint(np.linalg.inv(triangular) * volume).astype(np.int64)
        same = np.flatnonzero((share % volume == 0).all(axis=(1, 2)))
        box = np.stack(np.meshgrid(*(np.arange(n) for n in np.diag(triangular)), indexing="ij"), -1).reshape(-1, 3)
        points[same] = box @ inverse[same]
    # On a grid of 1/volume, so that rounding puts no point just below 1.
    return np.asarray((np.rint(points * volume) % volume) / volume)


@cache
def _triangular_bases(volume: int) -> tuple[Ints, ...]:
    """A basis of each lattice of index ``volume`` in the integers (Hermite normal forms), rows as vectors."""
    sides = [n for n in range(1, volume + 1) if volume % n == 0]
    return tuple(
        np.array([[a, b, c], [0, e, f], [0, 0, volume // (a * e)]])
        for a in sides
        for e in sides
        if volume % (a * e) == 0
        for b in range(e)
        for c in range(volume // (a * e))
        for f in range(volume // (a * e))
    )


def spans(counts: Ints) -> tuple[Ints, Ints]:
    """Rows repeated ``counts`` (R,) times, and the running number within each row; both of shape (sum of counts,)."""
    row = np.repeat(np.arange(len(counts)), counts)
    start = np.cumsum(counts) - counts
    return row, np.arange(len(row)) - start[row]


def slices(weights: Ints, limit: int) -> list[slice]:
    """Consecutive slices of rows whose ``weights`` (R,) add up to at most ``limit``, or of one row; at least one."""
    total = np.cumsum(weights)
    cuts = [0]
    while cuts[-1] < len(weights):
        before = total[cuts[-1] - 1] if cuts[-1] else 0
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(total, before + limit, side="right"))))
    return [slice(a, b) for a, b in pairwise(cuts)] or [slice(0, 0)]
