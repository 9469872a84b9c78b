"""Comparisons shared among worker processes, formula by formula; the answers are those of one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.execution.executor import Lost, Task, WorkersUnavailableError, load_executor
from nucleate.matching.reduced_cells import MatchSettings, structure_fault

if TYPE_CHECKING:
    from nucleate.matching.library import CompositionKey, Entry, Match, StructureLibrary

SHARE = 64
"""Crystals to be prepared for one task, about; more where one formula has more."""

WORTH_WORKERS = 1500
"""Crystals to be prepared from which on worker processes pay; each takes seconds to import its libraries."""

Arrays = list[NDArray[np.generic]]


@dataclass
class Share:
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
    cells: list[Any]
    numbers: list[int] | None


def answers(library: StructureLibrary, crystals: Crystals, numbers: Sequence[int] | None) -> list[Match] | None:
    """Matches of ``find_all`` or, with ``numbers``, ``take`` of a library, found by its worker processes.

    None where they would not pay or cannot be had.
    """
    from nucleate.matching.library import Match

    if library.workers < 2:
        return None
    found = [Match(None, structure_fault(crystals, row)) for row in range(len(crystals))]
    shares = _shares(library, crystals, [row for row, match in enumerate(found) if not match.reason], numbers)
    if sum(share.weight for share in shares) < WORTH_WORKERS:
        return None
    items = [_item(crystals, share, numbers) for share in shares]
    seconds = library.settings.seconds * max(share.weight for share in shares)
    settings = library.settings, library.framework
    executor = load_executor(workers=library.workers)
    taken: dict[int, Any] = {}
    try:
        for index, answer in executor.map(Task(_solver, settings), items, seconds):
            share = shares[index]
            if isinstance(answer, Lost):
                answer = [Match(None, answer.reason)] * len(share.rows), [entry.cell for entry in share.entries], []
            matches, cells, new = answer
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
                library.append(crystals, row, numbers[row], taken.get(row))
    return found


def _shares(
    library: StructureLibrary, crystals: Crystals, rows: Sequence[int], numbers: Sequence[int] | None
) -> list[Share]:
    """Small formulas together, the longest tasks first; crystals with nothing to be compared with are left out."""
    groups: dict[CompositionKey, list[int]] = {}
    for row in rows:
        groups.setdefault(library.key(crystals, row), []).append(row)
    large = [key for key, part in groups.items() if len(part) > SHARE and library.entries_of(key)]
    if numbers is None:  # crystals that are only looked up do not need each other
        library.prepare(large)
    shares: list[Share] = []
    for key, part in groups.items():
        entries = library.entries_of(key)
        if not entries and (numbers is None or len(part) == 1):
            continue
        step = SHARE if numbers is None else len(part)
        for start in range(0, len(part), step):
            if not shares or shares[-1].weight >= SHARE:
                shares.append(Share([], []))
            shares[-1].rows.extend(part[start : start + step])
            shares[-1].entries.extend(entries)
    return sorted(shares, key=lambda share: -share.weight)


def _item(crystals: Crystals, share: Share, numbers: Sequence[int] | None) -> _Item:
    return _Item(
        _arrays([(crystals, row) for row in share.rows]),
        _arrays([(entry.crystals, entry.row) for entry in share.entries]),
        [entry.index for entry in share.entries],
        [entry.cell for entry in share.entries],
        None if numbers is None else [numbers[row] for row in share.rows],
    )


def _solver(settings: MatchSettings, framework: bool) -> Callable[[_Item], tuple[list[Match], list[Any], list[Any]]]:
    """Function of a worker: matches, then the cells it prepared of the entries and of the crystals that it took in."""
    torch.set_num_threads(1)

    def solve(task: _Item) -> tuple[list[Match], list[Any], list[Any]]:
        from nucleate.matching.library import StructureLibrary

        library = StructureLibrary(settings, framework)
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
