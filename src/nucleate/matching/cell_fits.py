"""Whether pairs of reduced cells are the same structure: pymatgen's ``StructureMatcher.fit``, many pairs at once.

Two cells of equal sites match if on some common basis (:mod:`nucleate.matching.lattice_mappings`) the sites of one
lie on those of the other (:mod:`nucleate.matching.site_mappings`). Where a verdict hangs on rounding, the plain
matcher decides, so that verdicts are the plain matcher's for every pair. Only cells so elongated that the search would
take minutes get none, but a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nucleate.crystal.crystals import Crystals
from nucleate.matching.lattice_mappings import (
    LENGTH_SLACK,
    REDUCTION_SLACK,
    Bases,
    Bools,
    Floats,
    Ints,
    LatticeVectors,
    candidate_bases,
    lengths_and_angles,
    may_map,
    slices,
)
from nucleate.matching.reduced_cells import MatchError, MatchSettings, ReducedCell, reduced_cells, time_limit
from nucleate.matching.site_mappings import NO, UNSURE, YES, Cells, match_placements, place

if TYPE_CHECKING:
    from pymatgen.core.structure_matcher import StructureMatcher

PAIRS = 512
"""Pairs compared together, fewer where they have many sites to try; bounds the memory."""
SITES = 40_000
"""Sites times choices of a partner for the first of them, summed over the pairs compared together."""
PLACED = 1_000_000
"""Sites times common cells, summed over the pairs placed together, or those of one pair; bounds the memory too."""
TOO_LONG = "the cells are too elongated: more common cells than are searched"

SiteKey = tuple[tuple[int, int], ...]
"""Sorted (species, count) pairs of a reduced cell; only equal ones can match. Any species is 0 for frameworks."""


def site_key(cell: ReducedCell, framework: bool) -> SiteKey:
    """Key that two cells must share to be compared at all."""
    return ((0, len(cell.numbers)),) if framework else cell.counts


@dataclass(frozen=True)
class CellGroup:
    """Reduced cells of one :func:`site_key`, stacked, with what a comparison needs of each computed once."""

    members: tuple[ReducedCell, ...]
    framework: bool

    @cached_property
    def cells(self) -> Cells:
        """The members scaled to one Å³ a site, their sites in the order of their species."""
        lattice, frac, anchor, species = [], [], [], np.zeros(0, np.int64)
        for cell in self.members:
            numbers = np.zeros_like(cell.numbers) if self.framework else cell.numbers
            order = np.argsort(numbers, kind="stable")
            _, species, counts = np.unique(numbers, return_inverse=True, return_counts=True)
            volume = abs(np.linalg.det(cell.lattice)) / len(numbers)
            lattice.append(cell.lattice / volume ** (1 / 3))
            frac.append(cell.frac[order])
            anchor.append(int(np.flatnonzero(order == np.argmin(counts[species]))[0]))
            species = species[order]
        return Cells(np.array(lattice), np.array(frac), species, np.array(anchor))

    @cached_property
    def shapes(self) -> tuple[Floats, Floats]:
        """Lengths (in units of the scaled cell) and angles (degrees) of the scaled cells, each of shape (M, 3)."""
        return lengths_and_angles(self.cells.lattice)

    def vectors(self, cutoff: Floats) -> LatticeVectors:
        """Lattice vectors of each of M members up to a length (M,); kept until longer ones are needed."""
        known: tuple[Floats, LatticeVectors] | None = self.__dict__.get("_vectors")
        if known is None or (known[0] < cutoff).any():
            known = (cutoff, LatticeVectors(self.cells.lattice, cutoff))
            self.__dict__["_vectors"] = known
        return known[1]


def fits(
    first: CellGroup,
    i: Ints,
    second: CellGroup,
    j: Ints,
    settings: MatchSettings,
    matcher: StructureMatcher | None = None,
    swapped: bool = False,
) -> tuple[Ints, dict[int, str]]:
    """Whether members ``i`` of one group match members ``j`` of another of the same key, in the order of ``fit``.

    Arguments:
        first: Cells.
        i: Members of it, shape (P,).
        second: Cells of as many sites of each species, or of so many times as many; supercells of the first are then
            compared with them.
        j: Members of it, shape (P,).
        settings: Tolerances and time limit.
        matcher: The plain matcher whose verdicts these are; by default that of the settings.
        swapped: The second group holds the plain matcher's first structures.

    Returns:
        Verdict on each pair, shape (P,): 1 or 0, 2 where there is none, and for each of the last the reason.
    """
    verdicts = np.full(len(i), NO)
    reasons: dict[int, str] = {}
    lengths = second.shapes[0][j]
    chosen = np.flatnonzero(may_map(first.shapes[0][i], lengths, settings.ltol))
    if len(chosen):
        species = first.cells.species
        copies = len(second.cells.species) // len(species)
        longest = first.shapes[0].max(axis=1)
        # A second cell that passes `may_map` is no longer than this: abc <= 2**0.5 V holds for both reduced cells.
        bound = np.sqrt(2.0) * ((1 + settings.ltol) * REDUCTION_SLACK) ** 2 * longest * copies
        needed = np.minimum(bound, max(lengths.max(), longest.max()) * 1.001)
        table = first.vectors(needed * (1 + settings.ltol) * (1 + LENGTH_SLACK) + 1e-6)
        step = max(1, min(PAIRS, SITES // (len(species) * copies**2 * np.bincount(species).min())))
        for start in range(0, len(chosen), step):
            rows = chosen[start : start + step]
            verdicts[rows], searched = _fit_batch(first, i[rows], second, j[rows], table, settings, swapped)
            searched &= lengths[rows].max(axis=1) <= needed[i[rows]]
            verdicts[rows[~searched]] = UNSURE
            reasons |= dict.fromkeys(rows[~searched].tolist(), TOO_LONG)
    matcher = settings.matcher(first.framework) if matcher is None else matcher
    for row in sorted(set(np.flatnonzero(verdicts == UNSURE).tolist()) - set(reasons)):
        one, two = first.members[i[row]], second.members[j[row]]
        try:
            verdicts[row] = plain_fit(matcher, *((two, one) if swapped else (one, two)), settings.seconds)
        except MatchError as error:
            reasons[row] = str(error)
    return verdicts, reasons


def _fit_batch(
    first: CellGroup,
    i: Ints,
    second: CellGroup,
    j: Ints,
    table: LatticeVectors,
    settings: MatchSettings,
    swapped: bool,
) -> tuple[Ints, Bools]:
    lengths, angles = second.shapes
    copies = len(second.cells.species) // len(first.cells.species)
    bases = candidate_bases(table, i, lengths[j], angles[j], settings.ltol, settings.angle_tol, copies)
    verdicts = np.full(len(i), NO)
    counts = np.bincount(bases.pair, minlength=len(i))
    for part in slices(counts * len(second.cells.species), PLACED):
        lines = slice(*np.searchsorted(bases.pair, (part.start, part.stop)))
        own = Bases(bases.pair[lines] - part.start, bases.matrix[lines], bases.sure[lines], bases.searched[part])
        places = place(first.cells, i[part], second.cells, j[part], own, settings.stol)
        verdicts[part] = match_placements(first.cells, second.cells, places, len(i[part]), swapped)
    return verdicts, bases.searched.copy()


def plain_fit(matcher: StructureMatcher, first: ReducedCell, second: ReducedCell, seconds: float) -> int:
    """The plain matcher's verdict on two reduced cells, stopped after ``seconds``.

    Raises:
        MatchError: It fails or takes too long.
    """
    try:
        with time_limit(seconds):
            return YES if matcher.fit(first.structure, second.structure, skip_structure_reduction=True) else NO
    except MatchError:
        raise
    except Exception as error:  # pymatgen raises many kinds on strange cells
        raise MatchError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class CellComparison:
    """Ordered crystals, or with ``framework`` structure types, compared by their reduced cells.

    The known crystal is the first of the two, as in pymatgen's ``group_structures``.
    """

    settings: MatchSettings
    framework: bool = False

    def prepare(self, crystals: Crystals, rows: Sequence[int]) -> list[ReducedCell | MatchError]:
        """Reduced cells, or why there is none."""
        return reduced_cells(crystals, rows, self.settings.seconds)

    def key(self, cell: ReducedCell) -> SiteKey:
        """The sites of a cell."""
        return site_key(cell, self.framework)

    def stack(self, cells: Sequence[ReducedCell]) -> CellGroup:
        """Cells of equal sites together."""
        return CellGroup(tuple(cells), self.framework)

    def fits(self, known: CellGroup, i: Ints, queries: CellGroup, j: Ints) -> tuple[Ints, dict[int, str]]:
        """Results of pairs (P,), as :func:`fits` gives them."""
        return fits(known, i, queries, j, self.settings)
