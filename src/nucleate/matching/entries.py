"""Entries of a library of structures, and the comparison of crystals with them in one process.

Two crystals are the same if pymatgen's ``StructureMatcher`` says so (S. P. Ong et al., Comput. Mater. Sci. 68, 314
(2013)). They are compared only if their reduced formulas agree and their primitive cells hold equally many sites;
without either the matcher's verdict is no by construction. Cells are reduced once a crystal, and the comparisons of a
crystal with all entries of its formula are made together (:mod:`nucleate.matching.cell_fits`).

``MATCHERS`` of :mod:`nucleate.matching.reduced_cells` names the two matchers of MatterGen's evaluation, ``ordered`` and
``disordered``; settings of either go to a library and to ``uniqueness``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import gcd
from typing import Any, Protocol, TypeVar

import numpy as np
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.matching.cell_fits import CellComparison
from nucleate.matching.disordered import AlloyCell, AlloyComparison
from nucleate.matching.lattice_mappings import Ints
from nucleate.matching.reduced_cells import SAME_STRUCTURE, MatchError, MatchSettings, ReducedCell, structure_fault

CompositionKey = tuple[tuple[int, int], ...]
"""Sorted (atomic number, count) pairs without a common divisor."""

ENTRIES = 64
"""Entries that all crystals are compared with before those that match one are taken out."""


@dataclass(frozen=True)
class Match:
    """Verdict of a library on one crystal.

    Attributes:
        index: Number of the first entry that is the same structure, or None.
        reason: Why the verdict is missing or may be incomplete; empty where every comparison was made.
    """

    index: int | None
    reason: str = ""

    @property
    def is_known(self) -> bool | None:
        """Whether the library holds the crystal; None where that could not be found out."""
        return True if self.index is not None else None if self.reason else False


def composition_key(numbers: Tensor) -> CompositionKey:
    """Reduced formula of one crystal from its atomic numbers, padding (0) left out; shape (N,)."""
    elements, counts = np.unique(numbers.detach().cpu().numpy(), return_counts=True)
    pairs = [(int(z), int(n)) for z, n in zip(elements, counts, strict=True) if z]
    divisor = reduce(gcd, (n for _, n in pairs), 0)
    return tuple((z, n // divisor) for z, n in pairs)


PreparedCell = ReducedCell | AlloyCell
"""Cells of a crystal that are compared: its reduced cell, or those with and without shared sites."""

CellT = TypeVar("CellT")
GroupT = TypeVar("GroupT")


class Comparison(Protocol[CellT, GroupT]):
    """A way to compare crystals of one formula; it chooses what it compares of a crystal."""

    def prepare(self, crystals: Crystals, rows: Sequence[int]) -> Sequence[CellT | MatchError]:
        """Cell to be compared of each crystal, or a :class:`MatchError`."""

    def key(self, cell: CellT) -> object:
        """Further key that crystals must share to be compared."""

    def stack(self, cells: Sequence[CellT]) -> GroupT:
        """Crystals of one key together."""

    def fits(self, known: GroupT, i: Ints, queries: GroupT, j: Ints) -> tuple[Ints, dict[int, str]]:
        """Verdicts on P pairs of known and queried crystals, shape (P,): 1 (same), 0 or 2 (unknown, with reasons)."""


@dataclass
class Entry:
    """A crystal of a library, and what is compared of it once that was needed."""

    crystals: Crystals
    row: int
    index: int
    cell: PreparedCell | MatchError | None = None


_Stack = tuple[Any, list[Entry]]
"""Entries of equal sites, as their comparison stacks them, and themselves."""


@dataclass
class Entries:
    """Crystals that others are compared with; cells are reduced when first needed and then kept.

    Attributes:
        settings: Variant, tolerances and time limit of a comparison.
        framework: Take all species for equal, so that structure types are compared instead of structures
            (pymatgen's ``FrameworkComparator``).
        entries: The crystals, in the order in which they were appended.

    Raises:
        UserError: The disordered variant of a framework.
    """

    settings: MatchSettings = SAME_STRUCTURE
    framework: bool = False
    entries: list[Entry] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._groups: dict[CompositionKey, list[Entry]] = defaultdict(list)
        self._stacks: dict[CompositionKey, tuple[int, list[_Stack], str]] = {}
        self._formulas: set[CompositionKey] = set()
        self._comparison: Comparison[Any, Any] = CellComparison(self.settings, self.framework)
        if self.settings.variant != "ordered":
            if self.framework:
                raise UserError("matcher", f"the {self.settings.variant} variant of a framework", "the ordered one")
            self._comparison = AlloyComparison(self.settings)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def formulas(self) -> set[CompositionKey]:
        """Reduced formulas of all entries."""
        return set(self._formulas)

    def extend(self, crystals: Crystals) -> None:
        """Append every crystal of a batch, numbered on from the last entry."""
        for row in range(len(crystals)):
            self.append(crystals, row, len(self))

    def append(self, crystals: Crystals, row: int, index: int, cell: PreparedCell | MatchError | None = None) -> Entry:
        """Append crystal ``row`` of a batch under a number of the caller's choice, with what is prepared of it."""
        entry = Entry(crystals, row, index, cell)
        self._groups[self.key(crystals, row)].append(entry)
        self._formulas.add(composition_key(crystals.numbers[row]))
        self.entries.append(entry)
        return entry

    def find(self, crystals: Crystals, row: int) -> Match:
        """The first entry that is the same structure as crystal ``row``."""
        return self.find_all(crystals[row])[0]

    def find_all(self, crystals: Crystals) -> list[Match]:
        """The first entry that is the same structure as each crystal of a batch.

        Entries that cannot be compared are left out and named in the reason, and so is the fault of a crystal
        that cannot be compared itself.
        """
        return [match for match, _ in self._search(crystals)]

    def take(self, crystals: Crystals, indices: Sequence[int] | None = None) -> list[Match]:
        """Compare each crystal with the entries and the crystals before it, and append it if it is a new one.

        This is the greedy rule of MatterGen (Zeni et al., 2025) and of pymatgen's ``group_structures``: each set of
        equal crystals is represented by its first, and only representatives are compared with. A crystal whose
        standing is unknown does not become one.

        Arguments:
            crystals: Batch of B crystals, in order.
            indices: Numbers under which they are appended, shape (B,); by default counted on from the last entry.
        """
        numbers = list(range(len(self), len(self) + len(crystals))) if indices is None else list(indices)
        found = self._search(crystals)
        matches = [match for match, _ in found]
        groups: dict[CompositionKey, list[int]] = {}
        for row, match in enumerate(matches):
            if match.is_known is False:
                groups.setdefault(self.key(crystals, row), []).append(row)
        cells = {row: cell for row, (_, cell) in enumerate(found) if cell is not None}
        for rows in self._by_sites(crystals, list(groups.values()), cells, matches):
            self._group(rows, cells, numbers, matches)
        for row, match in enumerate(matches):
            if match.is_known is False:
                self.append(crystals, row, numbers[row], cells.get(row))
        return matches

    def _by_sites(
        self,
        crystals: Crystals,
        groups: list[list[int]],
        cells: dict[int, PreparedCell],
        matches: list[Match],
    ) -> list[list[int]]:
        """Split groups of one formula by the sites of their reduced cells; a lone crystal needs none."""
        wanted = [rows for rows in groups if len(rows) > 1]
        missing = [row for rows in wanted for row in rows if row not in cells]
        for row, cell in zip(missing, self._comparison.prepare(crystals, missing), strict=True):
            if isinstance(cell, MatchError):
                matches[row] = Match(None, str(cell))
            else:
                cells[row] = cell
        split: dict[object, list[int]] = {}
        for number, rows in enumerate(wanted):
            for row in rows:
                if row in cells:
                    split.setdefault((number, self._comparison.key(cells[row])), []).append(row)
        return list(split.values())

    def _group(self, rows: list[int], cells: dict[int, PreparedCell], numbers: list[int], matches: list[Match]) -> None:
        """The greedy rule within crystals of equal sites."""
        group = self._comparison.stack([cells[row] for row in rows])
        left = np.arange(len(rows))
        while len(left):
            leader, left = int(left[0]), left[1:]
            if matches[rows[leader]].reason or not len(left):
                continue
            same, reasons = self._comparison.fits(group, np.full(len(left), leader), group, left)
            for position, reason in reasons.items():
                row = rows[left[position]]
                matches[row] = Match(None, _and(matches[row].reason, f"entry {numbers[rows[leader]]}: {reason}"))
            for member in left[same == 1].tolist():
                matches[rows[member]] = Match(numbers[rows[leader]])
            left = left[same != 1]

    def _search(self, crystals: Crystals) -> list[tuple[Match, PreparedCell | None]]:
        matches: list[tuple[Match, PreparedCell | None]] = [(Match(None), None)] * len(crystals)
        groups: dict[CompositionKey, list[int]] = {}
        for row in range(len(crystals)):
            fault = structure_fault(crystals, row)
            if fault:
                matches[row] = (Match(None, fault), None)
                continue
            key = self.key(crystals, row)
            if self._groups.get(key):
                groups.setdefault(key, []).append(row)
        wanted = [row for rows in groups.values() for row in rows]
        cells: dict[int, PreparedCell] = {}
        for row, cell in zip(wanted, self._comparison.prepare(crystals, wanted), strict=True):
            if isinstance(cell, MatchError):
                matches[row] = (Match(None, str(cell)), None)
            else:
                cells[row] = cell
        self.prepare(list(groups))
        for key, rows in groups.items():
            usable = [row for row in rows if row in cells]
            for row, match in zip(usable, self._compare(key, [cells[row] for row in usable]), strict=True):
                matches[row] = (match, cells[row])
        return matches

    def _compare(self, key: CompositionKey, cells: list[PreparedCell]) -> list[Match]:
        """The first entry of one formula that each cell matches."""
        _, stacks, faults = self._stacks[key]
        matches = [Match(None, faults)] * len(cells)
        positions: dict[object, list[int]] = {}
        for position, cell in enumerate(cells):
            positions.setdefault(self._comparison.key(cell), []).append(position)
        for known, entries in stacks:
            rows = positions.get(self._comparison.key(known.members[0]), [])
            group = self._comparison.stack([cells[row] for row in rows])
            left = np.arange(len(rows))
            for start in range(0, len(entries), ENTRIES):
                if not len(left):
                    break
                block = np.arange(start, min(start + ENTRIES, len(entries)))
                i, j = np.tile(block, len(left)), np.repeat(left, len(block))
                same, reasons = self._comparison.fits(known, i, group, j)
                for position, reason in reasons.items():
                    row, entry = rows[j[position]], entries[i[position]]
                    matches[row] = Match(None, _and(matches[row].reason, f"entry {entry.index}: {reason}"))
                table = same.reshape(len(left), len(block)) == 1
                for member, place in zip(left[table.any(1)], table.argmax(1)[table.any(1)], strict=True):
                    matches[rows[member]] = Match(entries[block[place]].index)
                left = left[~table.any(1)]
        return matches

    def prepare(self, keys: list[CompositionKey]) -> None:
        """Reduce the entries of some formulas and stack those of equal sites."""
        stale = [key for key in keys if self._stacks.get(key, (0,))[0] != len(self._groups[key])]
        raw = [entry for key in stale for entry in self._groups[key] if entry.cell is None]
        if len({id(entry.crystals) for entry in raw}) == 1:
            cells = self._comparison.prepare(raw[0].crystals, [entry.row for entry in raw])
        else:
            cells = [self._comparison.prepare(entry.crystals, [entry.row])[0] for entry in raw]
        for entry, cell in zip(raw, cells, strict=True):
            entry.cell = cell
        for key in stale:
            split: dict[object, tuple[list[PreparedCell], list[Entry]]] = {}
            faults = ""
            for entry in self._groups[key]:
                if entry.cell is None or isinstance(entry.cell, MatchError):
                    faults = _and(faults, f"entry {entry.index}: {entry.cell}")
                    continue
                part = split.setdefault(self._comparison.key(entry.cell), ([], []))
                part[0].append(entry.cell)
                part[1].append(entry)
            stacks = [(self._comparison.stack(members), entries) for members, entries in split.values()]
            self._stacks[key] = (len(self._groups[key]), stacks, faults)

    def key(self, crystals: Crystals, row: int) -> CompositionKey:
        """Key that crystals must share to be compared: their reduced formula, unless species count as equal."""
        return () if self.framework else composition_key(crystals.numbers[row])

    def entries_of(self, key: CompositionKey) -> list[Entry]:
        """The entries that crystals of a key are compared with."""
        return self._groups.get(key, [])


def _and(reasons: str, reason: str) -> str:
    return f"{reasons}; {reason}" if reasons else f"not compared with {reason}"
