"""Libraries of structures: which known crystal is the same as this one, and which are new or unique.

Where there are many crystals, worker processes compare them formula by formula; the matches are those of one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import parse_formula
from nucleate.crystal.formula import reduced
from nucleate.execution.executor import Lost, Task, WorkersUnavailableError, load_executor
from nucleate.matching.entries import CompositionKey, Entries, Entry, Match, PreparedCell, composition_key
from nucleate.matching.reduced_cells import SAME_STRUCTURE, MatchError, MatchSettings, structure_fault

SHARE = 64
"""Crystals to be prepared for one task, about; more where one formula has more."""

WORTH_WORKERS = 1500
"""Crystals to be prepared from which on worker processes pay; each takes seconds to import its libraries."""

Arrays = list[NDArray[np.generic]]

_NOTHING_KNOWN = Match(None, "no known structures to compare with")


@dataclass
class StructureLibrary(Entries):
    """Crystals that others are compared with, by worker processes where there are enough to make them pay.

    Attributes:
        workers: Number of processes. The matches are those of one.
    """

    workers: int = 1

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

    def find_all(self, crystals: Crystals) -> list[Match]:
        """See :meth:`nucleate.matching.entries.Entries.find_all`."""
        shared = self._shared(crystals, None)
        return super().find_all(crystals) if shared is None else shared

    def take(self, crystals: Crystals, indices: Sequence[int] | None = None) -> list[Match]:
        """See :meth:`nucleate.matching.entries.Entries.take`."""
        numbers = list(range(len(self), len(self) + len(crystals))) if indices is None else list(indices)
        shared = self._shared(crystals, numbers)
        return super().take(crystals, numbers) if shared is None else shared

    def _shared(self, crystals: Crystals, numbers: Sequence[int] | None) -> list[Match] | None:
        """Matches of ``find_all`` or, with ``numbers``, of ``take``, found by worker processes.

        None where they would not pay or cannot be had.
        """
        if self.workers < 2:
            return None
        found = [Match(None, structure_fault(crystals, row)) for row in range(len(crystals))]
        shares = _shares(self, crystals, [row for row, match in enumerate(found) if not match.reason], numbers)
        if sum(share.weight for share in shares) < WORTH_WORKERS:
            return None
        items = [_item(crystals, share, numbers) for share in shares]
        seconds = self.settings.seconds * max(share.weight for share in shares)
        settings = self.settings, self.framework
        executor = load_executor(workers=self.workers)
        taken: dict[int, PreparedCell | MatchError | None] = {}
        try:
            for index, result in executor.map(Task(_solver, settings), items, seconds):
                share = shares[index]
                if isinstance(result, Lost):
                    result = [Match(None, result.reason)] * len(share.rows), [entry.cell for entry in share.entries], []
                matches, cells, new = result
                for row, match in zip(share.rows, matches, strict=True):
                    found[row] = match
                for entry, cell in zip(share.entries, cells, strict=True):
                    entry.cell = cell
                taken |= zip((row for row in share.rows if found[row].is_known is False), new, strict=False)
        except WorkersUnavailableError:
            return None
        if numbers is not None:
            for row, match in enumerate(found):
                if match.is_known is False:
                    self.append(crystals, row, numbers[row], taken.get(row))
        return found


def novelty(crystals: Crystals, known: StructureLibrary | Crystals, known_formulas: Iterable[str] = ()) -> pd.DataFrame:
    """Compare each crystal with the known structures of its reduced formula.

    Arguments:
        crystals: Batch of B crystals.
        known: Known structures. Pass one :class:`StructureLibrary` to every call: its reduced cells are kept, and it
            says which matcher is used and by how many processes.
        known_formulas: Further formulas that are known without a structure; they only set ``formula_known``.

    Returns:
        A row for each crystal: ``is_novel`` (boolean; missing where there is no verdict, and everywhere if there are
        no known structures), ``known_as`` (number of the known structure), ``formula_known`` and
        ``novelty_reason``.
    """
    library = known if isinstance(known, StructureLibrary) else StructureLibrary.of(known)
    formulas = library.formulas | formula_keys(known_formulas)
    matches = library.find_all(crystals) if len(library) else [_NOTHING_KNOWN] * len(crystals)
    keys = [composition_key(row) for row in crystals.numbers]
    return pd.DataFrame(
        {
            "is_novel": pd.array([None if m.is_known is None else not m.is_known for m in matches], dtype="boolean"),
            "known_as": pd.array([m.index for m in matches], dtype="Int64"),
            "formula_known": pd.array([key in formulas for key in keys], dtype="boolean"),
            "novelty_reason": pd.array([m.reason for m in matches], dtype=object),
        }
    )


def formula_keys(formulas: Iterable[str]) -> set[CompositionKey]:
    """Reduced formulas of texts such as ``Mg2Si``.

    Raises:
        UserError: A text is not a formula.
    """
    return {tuple(sorted(reduced(parse_formula(text, "known formula")).items())) for text in set(formulas)}


def uniqueness(crystals: Crystals, settings: MatchSettings = SAME_STRUCTURE, workers: int = 1) -> pd.DataFrame:
    """Compare each crystal with the unique ones before it, within its reduced formula.

    The rule is MatterGen's (Zeni et al., 2025): greedy, in the order given.

    Arguments:
        crystals: Batch of B crystals.
        settings: Variant, tolerances and time limit of the matcher.
        workers: Processes to use where there are enough crystals to make them pay. The verdicts are the same.

    Returns:
        A row for each crystal: ``is_unique`` (boolean, missing where there is no verdict), ``duplicate_of`` (row of
        the first equal crystal) and ``uniqueness_reason`` (why a verdict is missing or incomplete).
    """
    matches = StructureLibrary(settings, workers=workers).take(crystals)
    return pd.DataFrame(
        {
            "is_unique": pd.array([None if m.is_known is None else not m.is_known for m in matches], dtype="boolean"),
            "duplicate_of": pd.array([m.index for m in matches], dtype="Int64"),
            "uniqueness_reason": pd.array([m.reason for m in matches], dtype=object),
        }
    )


@dataclass
class _Share:
    """One task: crystals of a batch and the entries that they may match."""

    rows: list[int]
    entries: list[Entry]

    @property
    def weight(self) -> int:
        """Crystals that must be prepared."""
        return len(self.rows) + sum(entry.cell is None for entry in self.entries)


@dataclass(frozen=True)
class _Item:
    """A share as plain arrays; with ``numbers`` the crystals are taken in, else looked up."""

    crystals: Arrays
    entries: Arrays
    indices: list[int]
    cells: list[PreparedCell | MatchError | None]
    numbers: list[int] | None


_Solution = tuple[list[Match], list[PreparedCell | MatchError | None], list[PreparedCell | MatchError | None]]
"""Matches of a share's crystals, then the cells prepared of its entries and of the crystals that were taken in."""


def _shares(library: Entries, crystals: Crystals, rows: Sequence[int], numbers: Sequence[int] | None) -> list[_Share]:
    """Small formulas together, the longest tasks first; crystals with nothing to be compared with are left out."""
    groups: dict[CompositionKey, list[int]] = {}
    for row in rows:
        groups.setdefault(library.key(crystals, row), []).append(row)
    large = [key for key, part in groups.items() if len(part) > SHARE and library.entries_of(key)]
    if numbers is None:  # crystals that are only looked up do not need each other
        library.prepare(large)
    shares: list[_Share] = []
    for key, part in groups.items():
        entries = library.entries_of(key)
        if not entries and (numbers is None or len(part) == 1):
            continue
        step = SHARE if numbers is None else len(part)
        for start in range(0, len(part), step):
            if not shares or shares[-1].weight >= SHARE:
                shares.append(_Share([], []))
            shares[-1].rows.extend(part[start : start + step])
            shares[-1].entries.extend(entries)
    return sorted(shares, key=lambda share: -share.weight)


def _item(crystals: Crystals, share: _Share, numbers: Sequence[int] | None) -> _Item:
    return _Item(
        _arrays([(crystals, row) for row in share.rows]),
        _arrays([(entry.crystals, entry.row) for entry in share.entries]),
        [entry.index for entry in share.entries],
        [entry.cell for entry in share.entries],
        None if numbers is None else [numbers[row] for row in share.rows],
    )


def _solver(settings: MatchSettings, framework: bool) -> Callable[[_Item], _Solution]:
    """Function of a worker that compares the crystals of a share."""
    torch.set_num_threads(1)

    def solve(task: _Item) -> _Solution:
        library = Entries(settings, framework)
        entries, crystals = _crystals(task.entries), _crystals(task.crystals)
        for row, (index, cell) in enumerate(zip(task.indices, task.cells, strict=True)):
            library.append(entries, row, index, cell)
        matches = library.find_all(crystals) if task.numbers is None else library.take(crystals, task.numbers)
        cells = [entry.cell for entry in library.entries]
        return matches, cells[: len(entries)], cells[len(entries) :]

    return solve


def _arrays(parts: Sequence[tuple[Crystals, int]]) -> Arrays:
    """Fields of single crystals of some batches."""
    if len({id(batch) for batch, _ in parts}) == 1:
        crystals = parts[0][0][[row for _, row in parts]]
    else:
        crystals = Crystals.concatenate([batch[row] for batch, row in parts])
    fields = (crystals.numbers, crystals.frac, crystals.lattice, crystals.n_atoms)
    return [value.detach().cpu().numpy() for value in fields]


def _crystals(arrays: Arrays) -> Crystals:
    numbers, frac, lattice, n_atoms = (torch.from_numpy(value) for value in arrays)
    return Crystals(numbers, frac, lattice, n_atoms)
