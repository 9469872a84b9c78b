"""Libraries of structures: which known crystal is the same as this one; pymatgen's answers at many times its speed.

Two crystals are the same if pymatgen's ``StructureMatcher`` says so (S. P. Ong et al., Comput. Mater. Sci. 68, 314
(2013)). They are compared only if their reduced formulas agree and their primitive cells hold equally many sites;
without either the matcher answers no by construction. Cells are reduced once a crystal, and the comparisons of a
crystal with all entries of its formula are made together (:mod:`nucleate.evaluation.cell_fits`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import gcd

import numpy as np
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.evaluation.cell_fits import CellGroup, fits, site_key
from nucleate.evaluation.reduction import (
    SAME_STRUCTURE,
    MatchError,
    MatchSettings,
    ReducedCell,
    reduced_cells,
    structure_fault,
)

CompositionKey = tuple[tuple[int, int], ...]
"""Sorted (atomic number, count) pairs without a common divisor."""

ENTRIES = 64
"""Entries that all crystals are compared with before those with an answer are taken out."""


@dataclass(frozen=True)
class Match:
    """What a library says of one crystal.

    Attributes:
        index: Number of the first entry that is the same structure, or None.
        reason: Why the answer is missing or may be incomplete; empty where every comparison was made.
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


@dataclass
class _Entry:
    crystals: Crystals
    row: int
    index: int
    cell: ReducedCell | MatchError | None = None


@dataclass
class StructureLibrary:
    """Crystals that others are compared with; cells are reduced when first needed and then kept.

    Attributes:
        settings: Tolerances and time limit of a comparison.
        framework: Take all species for equal, so that structure types are compared instead of structures
            (pymatgen's ``FrameworkComparator``).
        workers: Processes for reducing cells where there are very many.
    """

    settings: MatchSettings = SAME_STRUCTURE
    framework: bool = False
    workers: int = 1
    _groups: dict[CompositionKey, list[_Entry]] = field(default_factory=lambda: defaultdict(list))
    _stacks: dict[CompositionKey, tuple[int, list[tuple[CellGroup, list[_Entry]]], str]] = field(default_factory=dict)
    _formulas: set[CompositionKey] = field(default_factory=set)
    _size: int = 0

    @classmethod
    def of(
        cls,
        crystals: Crystals,
        settings: MatchSettings = SAME_STRUCTURE,
        framework: bool = False,
        workers: int = 1,
    ) -> StructureLibrary:
        """A library of all crystals of a batch, numbered as in the batch."""
        library = cls(settings, framework, workers)
        library.extend(crystals)
        return library

    def __len__(self) -> int:
        return self._size

    @property
    def formulas(self) -> set[CompositionKey]:
        """Reduced formulas of all entries."""
        return set(self._formulas)

    def extend(self, crystals: Crystals) -> None:
        """Append every crystal of a batch, numbered on from the last entry."""
        for row in range(len(crystals)):
            self.append(crystals, row, self._size)

    def append(self, crystals: Crystals, row: int, index: int) -> None:
        """Append crystal ``row`` of a batch under a number of the caller's choice."""
        self._append(_Entry(crystals, row, index))

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
        numbers = list(range(self._size, self._size + len(crystals))) if indices is None else list(indices)
        found = self._search(crystals)
        answers = [match for match, _ in found]
        groups: dict[CompositionKey, list[int]] = {}
        for row, match in enumerate(answers):
            if match.is_known is False:
                groups.setdefault(self._key(crystals, row), []).append(row)
        cells = {row: cell for row, (_, cell) in enumerate(found) if cell is not None}
        for rows in self._by_sites(crystals, list(groups.values()), cells, answers):
            self._group(rows, cells, numbers, answers)
        for row, answer in enumerate(answers):
            if answer.is_known is False:
                self._append(_Entry(crystals, row, numbers[row], cells.get(row)))
        return answers

    def _by_sites(
        self,
        crystals: Crystals,
        groups: list[list[int]],
        cells: dict[int, ReducedCell],
        answers: list[Match],
    ) -> list[list[int]]:
        """Split groups of one formula by the sites of their reduced cells; a lone crystal needs none."""
        wanted = [rows for rows in groups if len(rows) > 1]
        missing = [row for rows in wanted for row in rows if row not in cells]
        for row, cell in zip(missing, self._reduce(crystals, missing), strict=True):
            if isinstance(cell, MatchError):
                answers[row] = Match(None, str(cell))
            else:
                cells[row] = cell
        split: dict[object, list[int]] = {}
        for number, rows in enumerate(wanted):
            for row in rows:
                if row in cells:
                    split.setdefault((number, site_key(cells[row], self.framework)), []).append(row)
        return list(split.values())

    def _group(self, rows: list[int], cells: dict[int, ReducedCell], numbers: list[int], answers: list[Match]) -> None:
        """The greedy rule within crystals of equal sites."""
        group = CellGroup(tuple(cells[row] for row in rows), self.framework)
        left = np.arange(len(rows))
        while len(left):
            leader, left = int(left[0]), left[1:]
            if answers[rows[leader]].reason or not len(left):
                continue
            same, reasons = fits(group, np.full(len(left), leader), group, left, self.settings)
            for position, reason in reasons.items():
                row = rows[left[position]]
                answers[row] = Match(None, _and(answers[row].reason, f"entry {numbers[rows[leader]]}: {reason}"))
            for member in left[same == 1].tolist():
                answers[rows[member]] = Match(numbers[rows[leader]])
            left = left[same != 1]

    def _search(self, crystals: Crystals) -> list[tuple[Match, ReducedCell | None]]:
        answers: list[tuple[Match, ReducedCell | None]] = [(Match(None), None)] * len(crystals)
        groups: dict[CompositionKey, list[int]] = {}
        for row in range(len(crystals)):
            fault = structure_fault(crystals, row)
            if fault:
                answers[row] = (Match(None, fault), None)
                continue
            key = self._key(crystals, row)
            if self._groups.get(key):
                groups.setdefault(key, []).append(row)
        wanted = [row for rows in groups.values() for row in rows]
        cells: dict[int, ReducedCell] = {}
        for row, cell in zip(wanted, self._reduce(crystals, wanted), strict=True):
            if isinstance(cell, MatchError):
                answers[row] = (Match(None, str(cell)), None)
            else:
                cells[row] = cell
        self._prepare(list(groups))
        for key, rows in groups.items():
            usable = [row for row in rows if row in cells]
            for row, match in zip(usable, self._compare(key, [cells[row] for row in usable]), strict=True):
                answers[row] = (match, cells[row])
        return answers

    def _compare(self, key: CompositionKey, cells: list[ReducedCell]) -> list[Match]:
        """The first entry of one formula that each cell matches."""
        _, stacks, faults = self._stacks[key]
        answers = [Match(None, faults)] * len(cells)
        positions: dict[object, list[int]] = {}
        for position, cell in enumerate(cells):
            positions.setdefault(site_key(cell, self.framework), []).append(position)
        for known, entries in stacks:
            rows = positions.get(site_key(known.members[0], self.framework), [])
            group = CellGroup(tuple(cells[row] for row in rows), self.framework)
            left = np.arange(len(rows))
            for start in range(0, len(entries), ENTRIES):
                if not len(left):
                    break
                block = np.arange(start, min(start + ENTRIES, len(entries)))
                i, j = np.tile(block, len(left)), np.repeat(left, len(block))
                same, reasons = fits(known, i, group, j, self.settings)
                for position, reason in reasons.items():
                    row, entry = rows[j[position]], entries[i[position]]
                    answers[row] = Match(None, _and(answers[row].reason, f"entry {entry.index}: {reason}"))
                table = same.reshape(len(left), len(block)) == 1
                for member, place in zip(left[table.any(1)], table.argmax(1)[table.any(1)], strict=True):
                    answers[rows[member]] = Match(entries[block[place]].index)
                left = left[~table.any(1)]
        return answers

    def _prepare(self, keys: list[CompositionKey]) -> None:
        """Reduce the entries of some formulas and stack those of equal sites."""
        stale = [key for key in keys if self._stacks.get(key, (0,))[0] != len(self._groups[key])]
        raw = [entry for key in stale for entry in self._groups[key] if entry.cell is None]
        if len({id(entry.crystals) for entry in raw}) == 1:
            cells = self._reduce(raw[0].crystals, [entry.row for entry in raw])
        else:
            cells = [self._reduce(entry.crystals, [entry.row])[0] for entry in raw]
        for entry, cell in zip(raw, cells, strict=True):
            entry.cell = cell
        for key in stale:
            split: dict[object, list[_Entry]] = {}
            faults = ""
            for entry in self._groups[key]:
                if isinstance(entry.cell, ReducedCell):
                    split.setdefault(site_key(entry.cell, self.framework), []).append(entry)
                else:
                    faults = _and(faults, f"entry {entry.index}: {entry.cell}")
            stacks = [
                (CellGroup(tuple(e.cell for e in part if isinstance(e.cell, ReducedCell)), self.framework), part)
                for part in split.values()
            ]
            self._stacks[key] = (len(self._groups[key]), stacks, faults)

    def _append(self, entry: _Entry) -> None:
        self._groups[self._key(entry.crystals, entry.row)].append(entry)
        self._formulas.add(composition_key(entry.crystals.numbers[entry.row]))
        self._size += 1

    def _key(self, crystals: Crystals, row: int) -> CompositionKey:
        """What can match at all; every crystal where species are not told apart."""
        return () if self.framework else composition_key(crystals.numbers[row])

    def _reduce(self, crystals: Crystals, rows: list[int]) -> list[ReducedCell | MatchError]:
        return reduced_cells(crystals, rows, self.settings.seconds, self.workers)


def _and(reasons: str, reason: str) -> str:
    return f"{reasons}; {reason}" if reasons else f"not compared with {reason}"
