"""Whether the sites of one cell can be laid onto those of another: the second half of the structure matcher, in batch.

Two crystals are placed on the average of their cells with one site of the rarest species on top of a site of the
other. They match if the assignment of sites with the smallest sum of squared distances, after its mean displacement
is taken out, leaves no site further than stol (V/N)^(1/3) from its partner.

What makes it fast. Let R = 2 stol (V/N)^(1/3). In a match every displacement is within R/2 of the mean, so that any
two differ by less than R. Shifted so that the first site lies exactly on its partner, every site therefore has a
partner of its own closer than R. If no choice of partner for the first site brings that about on a given cell, the
cell holds no match, whatever the assignment would have been; nearly all cells end there. Where an assignment is
solved, it is first among the distances below R, then with all longer ones at the cost R², which is not above their
own: if both give the same, it is the true optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from nucleate.matching.lattice_mappings import Bases, Bools, Floats, Ints, lattice_points

NO, YES, UNSURE, APART = 0, 1, 2, 3

SLACK = 1e-9
"""Relative; distances this close to a bound, and assignments this close to each other, are not decided here."""
HALF = 0.499
"""Reach of R along an axis, in cells, up to which only one image of a site can be closer than R."""
WIDE = 0.999
"""The same up to which the two nearest images along each axis are enough."""
BLOCKED = 1e6
"""Cost of an assignment between different species; distances are of order one."""
ROWS = 60_000
"""Placements looked at together, times their sites; bounds the memory."""


@dataclass(frozen=True)
class Cells:
    """Reduced cells with equal sites: the same number of each species.

    Attributes:
        lattice: Cells as rows, scaled to volume 1 a site, shape (C, 3, 3).
        frac: Fractional coordinates, sites of one species together, shape (C, N, 3).
        species: Running number of the species of each site, rising, shape (N,).
        anchor: First site of the rarest species in the order of the original, shape (C,).
    """

    lattice: Floats
    frac: Floats
    species: Ints
    anchor: Ints

    def __len__(self) -> int:
        return len(self.lattice)


@dataclass(frozen=True)
class Placements:
    """Cells of the first crystals placed on average cells, one row a candidate basis.

    Attributes:
        pair: Which pair, shape (L,), in rising order.
        origin: Row of the first crystal, shape (L,).
        first: Coordinates of the first crystal in the new basis, shape (L, N, 3).
        second: Row of the second crystal, shape (L,).
        cell: Average cell, lower triangular, shape (L, 3, 3).
        radius: R of the module's text, shape (L,).
        reach: R in units of the spacings of the average cell's lattice planes, shape (L, 3).
        sure: False where the basis is a candidate only within rounding, or the average cell is nearly flat, shape (L,).
    """

    pair: Ints
    origin: Ints
    first: Floats
    second: Ints
    cell: Floats
    radius: Floats
    reach: Floats
    sure: Bools


def place(first: Cells, i: Ints, second: Cells, j: Ints, bases: Bases, stol: float) -> Placements:
    """Put pairs of cells ``i`` and ``j``, shape (P,), on the average cells that L candidate bases give.

    Where the second cells hold several times as many sites, the bases span supercells with as many. The tolerance
    ``stol`` is in units of (V/N)^(1/3).
    """
    pair, matrix = bases.pair, bases.matrix
    sites = len(second.species)
    volume = sites // len(first.species)
    inverse = np.linalg.inv(matrix.astype(np.float64))
    inverse = np.rint(inverse * volume) / volume
    coordinates = first.frac[i[pair]] @ inverse
    if volume > 1:
        coordinates = coordinates[:, :, None, :] + lattice_points(matrix, volume)[:, None, :, :]
        coordinates = coordinates.reshape(len(pair), sites, 3)
    coordinates -= np.floor(coordinates)
    basis = matrix @ first.lattice[i[pair]]
    target = second.lattice[j[pair]]
    lengths, cosines = _mean_parameters(basis, target)
    cell, good = _triangular(lengths, cosines)
    size = cell[:, 0, 0] * cell[:, 1, 1] * cell[:, 2, 2]
    radius = 2 * stol * (size / sites) ** (1 / 3)
    spacings = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=1)
    return Placements(pair, i[pair], coordinates, j[pair], cell, radius, radius[:, None] / spacings, bases.sure & good)


def _mean_parameters(one: Floats, two: Floats) -> tuple[Floats, Floats]:
    """Means of lengths and of angles; the latter as cosines."""
    lengths, angles = [], []
    for cell in (one, two):
        length = np.linalg.norm(cell, axis=2)
        unit = cell / length[:, :, None]
        cosine = np.stack([(unit[:, k] * unit[:, m]).sum(-1) for k, m in ((1, 2), (0, 2), (0, 1))], -1)
        lengths.append(length)
        angles.append(np.arccos(np.clip(cosine, -1, 1)))
    return (lengths[0] + lengths[1]) / 2, np.cos((angles[0] + angles[1]) / 2)


def _triangular(lengths: Floats, cosines: Floats) -> tuple[Floats, Bools]:
    """Lower triangular cells, and whether their angles close a cell safely."""
    ca, cb, cg = cosines.T
    sg = np.sqrt(1 - cg**2)
    y = (ca - cb * cg) / sg
    z2 = 1 - cb**2 - y**2
    good = z2 > 1e-3
    cell = np.zeros((len(lengths), 3, 3))
    cell[:, 0, 0] = 1
    cell[:, 1, 0], cell[:, 1, 1] = cg, sg
    cell[:, 2, 0], cell[:, 2, 1], cell[:, 2, 2] = cb, y, np.sqrt(np.where(good, z2, 1.0))
    return cell * lengths[:, :, None], good


def match_placements(first: Cells, second: Cells, places: Placements, pairs: int, swapped: bool = False) -> Ints:
    """YES, NO or UNSURE for each pair, shape (pairs,).

    UNSURE means that a verdict hangs on rounding or on a placement outside the scheme of the module's text; then
    only the plain matcher can decide. The matcher lays its second structure onto its first:
    one site of the second is brought onto every like site of the first, and every site of the second must have a near
    one. With ``swapped`` the ``second`` cells here are its first structures.
    """
    verdicts = np.full(pairs, NO)
    if not len(places.pair):
        return verdicts
    flat = (places.reach.max(axis=1) >= WIDE) | ~np.isfinite(places.radius)
    verdicts[places.pair[flat]] = UNSURE
    species = second.species
    line, partner, anchor = _translations(first, second, places, np.flatnonzero(~flat), swapped)
    shift = places.first[line, partner] - second.frac[places.second[line], anchor]
    wide: Bools = np.asarray((places.reach >= HALF).any(axis=1))
    alive = np.zeros(len(line), bool)
    for kind in (False, True):
        chosen = np.flatnonzero(wide[line] == kind)
        step = max(1, ROWS // (len(species) * (8 if kind else 1)))
        for start in range(0, len(chosen), step):
            rows = chosen[start : start + step]
            alive[rows[_have_partners(second, places, line[rows], shift[rows], species, kind)]] = True
    held = np.zeros(len(line), bool)
    pairs_left, begin, count = np.unique(places.pair[line[alive]], return_index=True, return_counts=True)
    candidates = np.flatnonzero(alive)
    for pair, start, rows in zip(pairs_left, begin, count, strict=True):
        mine = candidates[start : start + rows]
        found, held[mine] = _decide_pair(second, places, line[mine], shift[mine], anchor[mine], wide, species)
        verdicts[pair] = max(verdicts[pair], found) if found != YES else YES
    # A basis with a placement on which all sites pair up may hold a match at a placement on which they do not.
    hopeful = np.zeros(len(places.pair), bool)
    hopeful[line[held]] = True
    others = np.flatnonzero(hopeful[line] & ~held & (verdicts[places.pair[line]] == NO))
    if len(others):
        kept = _in_boxes(second, places, line[others], shift[others], species, swapped)
        verdicts[places.pair[line[others[kept]]]] = UNSURE
    return verdicts


def _translations(
    first: Cells, second: Cells, places: Placements, lines: Ints, swapped: bool
) -> tuple[Ints, Ints, Ints]:
    """The placements that are tried: line, and the sites of the first and of the second that lie on each other.

    Of sites of the first that differ by a translation of its own one is enough.
    """
    copies = len(second.species) // len(first.species)
    sizes = np.bincount((second if swapped else first).species)
    rarest = int(sizes.min())  # equally rare species may differ in which of them comes first
    starts = np.cumsum(sizes) - sizes
    line, number = np.repeat(lines, rarest), np.tile(np.arange(rarest), len(lines))
    if swapped:
        fixed = first.anchor[places.origin[line]]
        return line, fixed * copies, starts[first.species[fixed]] + number
    fixed = second.anchor[places.second[line]]
    return line, (starts[second.species[fixed]] + number) * copies, fixed


def _in_boxes(second: Cells, places: Placements, line: Ints, shift: Floats, species: Ints, swapped: bool) -> Bools:
    """Placements that pass the matcher's own first test: a site within ``reach`` along each axis for every site."""
    same = species[:, None] == species[None, :]
    passed = np.zeros(len(line), bool)
    step = max(1, ROWS // len(species) ** 2)
    for start in range(0, len(line), step):
        at, by = line[start : start + step], shift[start : start + step]
        moved = second.frac[places.second[at]] + by[:, None, :]
        delta = moved[:, :, None, :] - places.first[at][:, None, :, :]
        delta -= np.rint(delta)
        close = (np.abs(delta) <= places.reach[at][:, None, None, :] + SLACK).all(-1) & same
        passed[start : start + step] = close.any(axis=1 if swapped else 2).all(axis=1)
    return passed


def _have_partners(second: Cells, places: Placements, line: Ints, shift: Floats, species: Ints, wide: bool) -> Ints:
    """Rows of ``line`` for which every second site has a site of its species closer than R; rarest species first."""
    rows = np.arange(len(line))
    sizes = np.bincount(species)
    starts = np.cumsum(sizes) - sizes
    for kind in np.argsort(sizes, kind="stable"):
        block = slice(starts[kind], starts[kind] + sizes[kind])
        for site in range(block.start, block.stop):
            if not len(rows):
                return rows
            at = line[rows]
            moved = second.frac[places.second[at], site] + shift[rows]
            delta = moved[:, None, :] - places.first[at, block]
            squares = _squares(delta, places.cell[at], wide)[0]
            rows = rows[(squares.min(axis=1) <= places.radius[at] ** 2 * (1 + SLACK))]
    return rows


def _squares(delta: Floats, cell: Floats, wide: bool) -> tuple[Floats, Floats, Floats]:
    """Squared length of the shortest image (L, M), that image (L, M, 3), and the square of the next image."""
    delta = delta - np.rint(delta)
    if not wide:
        vectors = _cartesian(delta, cell)
        squares = np.einsum("lmk,lmk->lm", vectors, vectors)
        return squares, vectors, np.full_like(squares, np.inf)
    other = -np.where(delta >= 0, 1.0, -1.0)
    images = np.stack([delta + other * np.array(bits) for bits in np.ndindex(2, 2, 2)], 2)
    vectors = _cartesian(images.reshape(len(delta), -1, 3), cell).reshape(images.shape)
    squares = np.einsum("lmik,lmik->lmi", vectors, vectors)
    order = np.argsort(squares, axis=2)[:, :, :2]
    two = np.take_along_axis(squares, order, 2)
    best = np.take_along_axis(vectors, order[:, :, :1, None], 2)[:, :, 0]
    return two[..., 0], best, two[..., 1]


def _cartesian(delta: Floats, cell: Floats) -> Floats:
    x, y, z = delta[..., 0], delta[..., 1], delta[..., 2]
    c = cell[:, :, :, None]
    return np.stack(
        [
            x * c[:, 0, 0] + y * c[:, 1, 0] + z * c[:, 2, 0],
            y * c[:, 1, 1] + z * c[:, 2, 1],
            z * c[:, 2, 2],
        ],
        -1,
    )


def _decide_pair(
    second: Cells, places: Placements, line: Ints, shift: Floats, anchors: Ints, wide: Bools, species: Ints
) -> tuple[int, Bools]:
    """Solve the assignments of one pair, the most promising first, until one is a match for sure.

    Returns:
        YES, NO or UNSURE, and for each placement whether all sites pair up closer than R on it (placements after the
        match are not looked at).
    """
    same = species[:, None] == species[None, :]
    n = len(species)
    step = max(1, ROWS // (n * n))
    held = np.zeros(len(line), bool)
    doubtful = False
    for start in range(0, len(line), step):
        at, by = line[start : start + step], shift[start : start + step]
        moved = second.frac[places.second[at]] + by[:, None, :]
        delta = (moved[:, :, None, :] - places.first[at][:, None, :, :]).reshape(len(at), n * n, 3)
        parts = _squares(delta, places.cell[at], bool(wide[at].any()))
        squares, vectors, nexts = parts[0].reshape(-1, n, n), parts[1].reshape(-1, n, n, 3), parts[2].reshape(-1, n, n)
        limit = places.radius[at] ** 2
        close = same & (squares <= limit[:, None, None] * (1 + SLACK))
        possible = np.flatnonzero(close.any(axis=1).all(axis=1) & close.any(axis=2).all(axis=1))
        cost = np.where(close, squares, BLOCKED)
        for row in possible[np.argsort(cost[possible].min(axis=2).sum(axis=1), kind="stable")]:
            parts_of_row = cost[row], close[row], same, squares[row], vectors[row], nexts[row]
            found = _solve(*parts_of_row, float(limit[row]))
            if found == YES and places.sure[at[row]]:
                return YES, held
            anchor = int(anchors[start + row])
            narrow = found == NO and not wide[at[row]]
            held[start + row] = found != APART and not (
                narrow and _contradictory(close[row], vectors[row], squares[row, anchor], anchor, float(limit[row]))
            )
            doubtful |= found in (YES, UNSURE)
    return UNSURE if doubtful else NO, held


def _solve(
    cost: Floats, close: Bools, same: Bools, squares: Floats, vectors: Floats, nexts: Floats, limit: float
) -> int:
    """Whether the best assignment of one placement is a match; APART if its sites do not all pair up."""
    rows, columns = linear_sum_assignment(cost)
    if not close[rows, columns].all():
        return APART
    used = squares[rows, columns]
    if (used > limit * (1 - SLACK)).any() or (nexts[rows, columns] <= used * (1 + SLACK)).any():
        return UNSURE
    moves = vectors[rows, columns]
    residual = np.sqrt(((moves - moves.mean(axis=0)) ** 2).sum(axis=1).max())
    ratio = 2 * residual / np.sqrt(limit)
    if abs(ratio - 1) < SLACK or _has_equal_optimum(cost, rows, columns, limit):
        return UNSURE
    if ratio > 1 and used.mean() < limit / 4 * (1 - SLACK):
        # An assignment that costs no more has a mean below R/2, so that one with a distance over R is no match.
        return NO
    relaxed = np.where(same, np.minimum(squares, limit), BLOCKED)
    best = linear_sum_assignment(relaxed)[1]
    if not np.array_equal(best, columns):
        return UNSURE
    return YES if ratio < 1 else NO


def _contradictory(close: Bools, vectors: Floats, squares: Floats, anchor: int, limit: float) -> bool:
    """Whether no choice of partners can have all displacements within R of each other, so that none is a match.

    A choice for one site is struck out if some other site, or some partner, has none left that agrees with it.
    """
    partner = int(squares.argmin())
    second, first = np.nonzero(close)
    left = (second == anchor) == (first == partner)  # the anchor lies on its partner
    second, first = second[left], first[left]
    moves = vectors[second, first]
    agree = ((moves[:, None] - moves[None]) ** 2).sum(-1) <= limit * (1 + SLACK)
    sites = np.arange(len(close))
    belongs = np.concatenate([second[:, None] == sites, first[:, None] == sites], axis=1)
    alive = np.ones(len(second), bool)
    while alive.any():
        supported = alive & ((agree * alive) @ belongs).all(axis=1)
        if (supported == alive).all():
            return False
        alive = supported
    return True


def _has_equal_optimum(cost: Floats, rows: Ints, columns: Ints, limit: float) -> bool:
    """Whether another assignment costs the same within rounding; which of them is found is then chance."""
    if len(rows) == 1:
        return False
    penalised = cost.copy()
    penalised[rows, columns] += SLACK * limit
    other = linear_sum_assignment(penalised)[1]
    return not np.array_equal(other, columns)
