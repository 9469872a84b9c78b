"""Crystals that are orderings of one alloy: MatterGen's disordered matcher, in batch.

Elements of like size and electronegativity can take each other's sites (the Hume-Rothery rules; Zeni et al., 2025). Two
crystals of one reduced formula are the same structure if

- they have the same space group (symprec 0.1) and the ordered matcher takes them for equal, or
- the first has elements that can take each other's sites and, with their sites shared by all of them, matches the
  second. A shared site matches a site of any of its elements; the first is reduced again, because sharing can make its
  primitive cell smaller; supercells are tried, and the sites of one may be a part of the other's.

The first is the queried crystal, the second the known one. The verdicts are those of pymatgen's ``StructureMatcher``
used in this way; where one cell holds a whole number of times the sites of the other the comparisons are made together.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element, Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.matching.cell_fits import CellGroup, fits, plain_fit, site_key
from nucleate.matching.lattice_mappings import Ints
from nucleate.matching.reduced_cells import Cell, MatchError, MatchSettings, ReducedCell, reduced, structure
from nucleate.matching.site_mappings import NO, UNSURE, YES

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure_matcher import StructureMatcher

RADIUS_DIFFERENCE = 0.3
"""Largest difference of two atomic radii, relative to their mean, of elements that can take each other's sites."""
ELECTRONEGATIVITY_DIFFERENCE = 1.0
"""The same for Pauling's electronegativity."""
SYMPREC = 0.1
"""Å; tolerance of the space group."""
MAX_COPIES = 32
"""Primitive cells in a supercell up to which supercells are compared in batch."""


@dataclass(frozen=True)
class AlloyCell:
    """A crystal as the disordered matcher sees it.

    Attributes:
        original: The crystal as it came.
        ordered: Its reduced cell.
        shared: The ordered cell with one element named for all that can take each other's sites.
        merged: The reduced cell of the crystal with shared sites, named likewise; None if no sites are shared.
    """

    original: Cell
    ordered: ReducedCell
    shared: ReducedCell
    merged: ReducedCell | None

    @cached_property
    def space_group(self) -> int:
        """Number at ``SYMPREC`` as pymatgen finds it; -1 where it finds none."""
        try:
            return int(self.original.structure.get_space_group_info(symprec=SYMPREC)[1])
        except Exception:  # noqa: BLE001  symmetry search raises many kinds on strange cells
            return -1


@cache
def can_share(first: int, second: int) -> bool:
    """Whether two elements (atomic numbers) can take each other's sites; no element without a radius can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # elements without a value
        radii, affinities = zip(*((e.atomic_radius, e.X) for e in map(Element.from_Z, (first, second))), strict=True)
    if any(value is None or math.isnan(value) for value in radii):
        return False
    relative = abs(radii[0] - radii[1]) / np.mean([float(radius) for radius in radii])
    apart = abs(affinities[0] - affinities[1])  # NaN where there is no value: not within the bound
    return bool(relative <= RADIUS_DIFFERENCE and apart <= ELECTRONEGATIVITY_DIFFERENCE)


def shared_names(elements: Iterable[int]) -> dict[int, int]:
    """For each element the lowest one of those whose sites it shares, itself included; sharing is transitive."""
    names = {z: z for z in sorted(set(elements))}
    for one, two in combinations(names, 2):
        if can_share(one, two) and names[one] != names[two]:
            low, high = sorted((names[one], names[two]))
            names = {z: low if name == high else name for z, name in names.items()}
    return names


def alloy_cell(crystals: Crystals, row: int, seconds: float) -> AlloyCell:
    """Crystal ``row`` of a batch, ready to be compared; its reduction may take ``seconds``.

    Raises:
        MatchError: It cannot be compared.
    """
    start = structure(crystals, row)
    numbers = np.array(start.atomic_numbers)
    original = Cell(numbers, np.array(start.frac_coords), np.array(start.lattice.matrix))
    cell = reduced(start, seconds)
    ordered = ReducedCell(np.array(cell.atomic_numbers), np.array(cell.frac_coords), np.array(cell.lattice.matrix))
    names = shared_names(numbers.tolist())
    if all(z == name for z, name in names.items()):
        return AlloyCell(original, ordered, ordered, None)
    shared = ReducedCell(np.array([names[z] for z in ordered.numbers.tolist()]), ordered.frac, ordered.lattice)
    cell = reduced(_with_shared_sites(original, names), seconds)
    found = np.array([names[site.species.elements[0].Z] for site in cell])
    return AlloyCell(
        original, ordered, shared, ReducedCell(found, np.array(cell.frac_coords), np.array(cell.lattice.matrix))
    )


def _with_shared_sites(cell: Cell, names: dict[int, int]) -> Structure:
    """Each shared site filled by its elements in the proportion of the crystal."""
    counts = dict(cell.counts)
    fillings = {}
    for name in set(names.values()):
        members = [z for z in names if names[z] == name]
        total = sum(counts[z] for z in members)
        fillings[name] = {SYMBOLS[z]: counts[z] / total for z in members}
    return Structure(Lattice(cell.lattice), [fillings[names[z]] for z in cell.numbers.tolist()], cell.frac)


def sharing_matcher(settings: MatchSettings) -> StructureMatcher:
    """The plain matcher for a cell with shared sites and an ordered one, both with one name for shared elements."""
    return StructureMatcher(
        ltol=settings.ltol,
        stol=settings.stol,
        angle_tol=settings.angle_tol,
        attempt_supercell=True,
        allow_subset=True,
    )


class _Stacks:
    """Cells in groups of equal sites: the groups, and the number of the group and the place in it of each cell."""

    def __init__(self, cells: Sequence[ReducedCell | None]) -> None:
        split: dict[object, list[int]] = {}
        for number, cell in enumerate(cells):
            if cell is not None:
                split.setdefault(site_key(cell, False), []).append(number)
        self.group: Ints = np.full(len(cells), -1)
        self.place: Ints = np.zeros(len(cells), np.int64)
        self.groups: list[CellGroup] = []
        for rows in split.values():
            self.group[rows], self.place[rows] = len(self.groups), np.arange(len(rows))
            self.groups.append(CellGroup(tuple(c for c in (cells[row] for row in rows) if c is not None), False))


@dataclass(frozen=True)
class AlloyGroup:
    """Crystals of one reduced formula."""

    members: tuple[AlloyCell, ...]

    @cached_property
    def ordered(self) -> _Stacks:
        return _Stacks([member.ordered for member in self.members])

    @cached_property
    def shared(self) -> _Stacks:
        return _Stacks([member.shared for member in self.members])

    @cached_property
    def merged(self) -> _Stacks:
        return _Stacks([member.merged for member in self.members])


def alloy_fits(
    known: AlloyGroup, i: Ints, queries: AlloyGroup, j: Ints, settings: MatchSettings
) -> tuple[Ints, dict[int, str]]:
    """Whether queried crystals ``j`` (P,) are the known ones ``i`` (P,) of the same reduced formula.

    Returns:
        Verdict on each pair (P,): 1, 0, or 2 where there is none, and for each of the last the reason.
    """
    verdicts = np.full(len(i), NO)
    reasons: dict[int, str] = {}
    for group, stack, rows in _pairings(queries.merged, j, known.shared, i):
        found, why = _shared_fits(group, queries.merged.place[j[rows]], stack, known.shared.place[i[rows]], settings)
        verdicts[rows] = found
        reasons |= {int(rows[row]): reason for row, reason in why.items()}
    left = np.flatnonzero(verdicts != YES)
    for group, stack, part in _pairings(queries.ordered, j[left], known.ordered, i[left]):
        if site_key(group.members[0], False) != site_key(stack.members[0], False):
            continue
        rows = left[part]
        found, why = fits(group, queries.ordered.place[j[rows]], stack, known.ordered.place[i[rows]], settings)
        for row, verdict in zip(rows.tolist(), found.tolist(), strict=True):
            if verdict != NO and queries.members[j[row]].space_group == known.members[i[row]].space_group:
                verdicts[row] = verdict
                if verdict == YES:
                    reasons.pop(row, None)
        reasons |= {int(rows[row]): reason for row, reason in why.items() if verdicts[rows[row]] == UNSURE}
    return verdicts, reasons


def _pairings(first: _Stacks, j: Ints, second: _Stacks, i: Ints) -> Iterator[tuple[CellGroup, CellGroup, Ints]]:
    """The rows of pairs for each two groups of cells; those whose first has no cell are left out."""
    chosen = np.flatnonzero(first.group[j] >= 0)
    number = first.group[j[chosen]] * len(second.groups) + second.group[i[chosen]]
    for pair in np.unique(number).tolist():
        one, two = divmod(pair, len(second.groups))
        yield first.groups[one], second.groups[two], chosen[number == pair]


def _shared_fits(
    merged: CellGroup, j: Ints, shared: CellGroup, i: Ints, settings: MatchSettings
) -> tuple[Ints, dict[int, str]]:
    """Whether cells with shared sites match ordered ones; the sites of all of them in the same proportions."""
    matcher = sharing_matcher(settings)
    sizes = len(merged.members[0].numbers), len(shared.members[0].numbers)
    copies, rest = divmod(max(sizes), min(sizes))
    if not rest and copies <= MAX_COPIES:
        if sizes[0] <= sizes[1]:
            return fits(merged, j, shared, i, settings, matcher)
        return fits(shared, i, merged, j, settings, matcher, swapped=True)
    verdicts = np.full(len(i), NO)
    reasons: dict[int, str] = {}
    for row, (one, two) in enumerate(zip(j, i, strict=True)):
        try:
            verdicts[row] = plain_fit(matcher, merged.members[one], shared.members[two], settings.seconds)
        except MatchError as error:
            verdicts[row], reasons[row] = UNSURE, str(error)
    return verdicts, reasons


@dataclass(frozen=True)
class AlloyComparison:
    """Crystals compared by the disordered matcher; all of one formula with each other."""

    settings: MatchSettings

    def prepare(self, crystals: Crystals, rows: Sequence[int]) -> list[AlloyCell | MatchError]:
        """Cells to be compared, or the reason why a crystal has none."""
        cells: list[AlloyCell | MatchError] = []
        for row in rows:
            try:
                cells.append(alloy_cell(crystals, row, self.settings.seconds))
            except MatchError as error:
                cells.append(error)
        return cells

    def key(self, cell: AlloyCell) -> None:
        """Nothing more in common than the formula."""

    def stack(self, cells: Sequence[AlloyCell]) -> AlloyGroup:
        """Crystals of one formula together."""
        return AlloyGroup(tuple(cells))

    def fits(self, known: AlloyGroup, i: Ints, queries: AlloyGroup, j: Ints) -> tuple[Ints, dict[int, str]]:
        """Results of pairs (P,), as :func:`alloy_fits` gives them."""
        return alloy_fits(known, i, queries, j, self.settings)
