"""Reduced cells: each crystal brought once to the cell in which the structure matcher compares it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import NUMBERS, SYMBOLS

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure_matcher import StructureMatcher

MAX_SITES = 200
"""Larger cells are not matched: the search grows with the third power of the number of sites."""

CELL_LENGTHS = (0.5, 300.0)
"""Å; a reduced cell outside these is not a crystal, and searching its lattice could take hours."""

PRIMITIVE_TOLERANCE = 0.25
"""Å; tolerance of pymatgen's search for a primitive cell."""


class MatchError(Exception):
    """A comparison that gave no answer; the text says why."""


@dataclass(frozen=True)
class MatchSettings:
    """Tolerances of a comparison, as in pymatgen's ``StructureMatcher``, and its time limit."""

    ltol: float = 0.2
    stol: float = 0.3
    angle_tol: float = 5.0
    seconds: float = 20.0

    def matcher(self, framework: bool = False) -> StructureMatcher:
        """The plain matcher; with ``framework`` one that takes all species for equal."""
        from pymatgen.core.structure_matcher import FrameworkComparator, StructureMatcher

        comparator = FrameworkComparator() if framework else None
        return StructureMatcher(ltol=self.ltol, stol=self.stol, angle_tol=self.angle_tol, comparator=comparator)

    def __str__(self) -> str:
        return f"StructureMatcher(ltol={self.ltol:g}, stol={self.stol:g}, angle_tol={self.angle_tol:g})"


SAME_STRUCTURE = MatchSettings()
"""When two crystals are the same one: for uniqueness and novelty (MatterGen's ordered matcher)."""


@dataclass(frozen=True)
class ReducedCell:
    """A primitive, Niggli-reduced cell.

    Attributes:
        numbers: Atomic numbers, shape (N,).
        frac: Fractional coordinates, shape (N, 3).
        lattice: Cell vectors as rows in Å, shape (3, 3).
    """

    numbers: NDArray[np.int64]
    frac: NDArray[np.float64]
    lattice: NDArray[np.float64]

    @cached_property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Sorted (atomic number, count) pairs."""
        elements, counts = np.unique(self.numbers, return_counts=True)
        return tuple(zip(elements.tolist(), counts.tolist(), strict=True))

    @cached_property
    def structure(self) -> Structure:
        """The cell as pymatgen has it."""
        from pymatgen.core import Lattice, Structure

        return Structure(Lattice(self.lattice), self.numbers, self.frac)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`MatchError` in the body once ``seconds`` have passed.

    It relies on the interval timer of POSIX, which only a main thread may set; elsewhere the limits on the
    number of sites and on the shape of the cell are the only guard.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise MatchError(f"stopped after {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def structure(crystals: Crystals, i: int) -> Structure:
    """Crystal i as a pymatgen ``Structure``.

    Raises:
        MatchError: It has no sites, too many, or values that are not finite.
    """
    from pymatgen.core import Lattice, Structure

    fault = structure_fault(crystals, i)
    if fault:
        raise MatchError(fault)
    numbers, frac, lattice = (value.detach().cpu().numpy() for value in crystals.sites(i))
    return Structure(Lattice(lattice), numbers, frac)


def structure_fault(crystals: Crystals, i: int) -> str:
    """Why crystal i cannot be matched: no sites, too many, or values that are no crystal's; else empty."""
    numbers, frac, lattice = (value.detach().cpu().numpy() for value in crystals.sites(i))
    if not 0 < len(numbers) <= MAX_SITES:
        return f"{len(numbers)} sites; at most {MAX_SITES} are matched"
    if not (np.isfinite(frac).all() and np.isfinite(lattice).all()):
        return "the cell or a coordinate is not finite"
    if not abs(np.linalg.det(lattice)) > 0.1 * len(numbers):
        return "the cell holds less than 0.1 Å³ an atom"
    return ""


def reduced_structure(crystals: Crystals, i: int, seconds: float) -> Structure:
    """Primitive and Niggli-reduced cell of crystal i, reduced the way ``StructureMatcher`` does by itself.

    Raises:
        MatchError: The cell cannot be reduced, or not in time.
    """
    original = structure(crystals, i)
    try:
        with time_limit(seconds):
            cell = original.get_reduced_structure(reduction_algo="niggli")
            if not _is_primitive(cell):
                cell = cell.get_primitive_structure()
    except MatchError:
        raise
    except Exception as error:  # pymatgen raises many kinds on strange cells
        raise MatchError(f"the cell cannot be reduced ({type(error).__name__}: {error})") from error
    lengths = cell.lattice.abc
    if min(lengths) < CELL_LENGTHS[0] or max(lengths) > CELL_LENGTHS[1]:
        raise MatchError(f"reduced cell lengths {min(lengths):.2g}..{max(lengths):.3g} Å")
    return cell


def _is_primitive(cell: Structure) -> bool:
    """Whether the search for a smaller cell would find none, because no translation nearly maps the sites.

    The search takes its translations from the first of the rarest species and drops those that do not bring every
    site within twice its tolerance of a like one; here with a little more, so that none is missed.
    """
    numbers, frac = np.array(cell.atomic_numbers), cell.frac_coords
    sizes = {SYMBOLS[z]: int((numbers == z).sum()) for z in set(numbers.tolist())}
    if gcd(*sizes.values()) == 1:
        return True
    rarest = frac[numbers == NUMBERS[min(sorted(sizes), key=sizes.__getitem__)]]
    moves = rarest[1:] - rarest[0]
    like = numbers[:, None] == numbers[None, :]
    reach = 2 * PRIMITIVE_TOLERANCE / np.array(cell.lattice.abc) * (1 + 1e-6)
    for move in moves:
        away = frac[:, None, :] + move - frac[None, :, :]
        near = (np.abs(away - np.rint(away)) <= reach).all(axis=2) & like
        if near.any(axis=1).all():
            return False
    return True


def reduced_cell(crystals: Crystals, i: int, seconds: float) -> ReducedCell:
    """The same cell as arrays: small to keep and to send.

    Raises:
        MatchError: As :func:`reduced_structure`.
    """
    cell = reduced_structure(crystals, i, seconds)
    return ReducedCell(np.array(cell.atomic_numbers), np.array(cell.frac_coords), np.array(cell.lattice.matrix))


CHUNK = 64
"""Crystals a worker reduces as one task."""
WORTH_WORKERS = 1500
"""Crystals from which on starting worker processes pays; each takes seconds to import its libraries."""


def reduced_cells(
    crystals: Crystals, rows: Sequence[int], seconds: float, workers: int = 1
) -> list[ReducedCell | MatchError]:
    """Reduced cells of many crystals, in the order of ``rows``; an error stands where there is none.

    Arguments:
        crystals: Batch of B crystals.
        rows: Which of them.
        seconds: Time limit of one.
        workers: Processes to use where there are enough crystals to make them pay.
    """
    if workers < 2 or len(rows) < WORTH_WORKERS:
        return [_reduced_or_error(crystals, row, seconds) for row in rows]
    from nucleate.energies.pool import Lost, WorkersUnavailableError, map_unordered

    parts = [list(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]
    tasks = [_plain(crystals[part]) for part in parts]
    found: dict[int, list[ReducedCell | MatchError]] = {}
    try:
        for index, answer in map_unordered(_reducer, (seconds,), tasks, workers, seconds * CHUNK):
            if isinstance(answer, Lost):
                answer = [MatchError(answer.reason) for _ in parts[index]]
            found[index] = answer
    except WorkersUnavailableError:
        return [_reduced_or_error(crystals, row, seconds) for row in rows]
    return [cell for index in range(len(parts)) for cell in found[index]]


def _plain(crystals: Crystals) -> list[NDArray[np.generic]]:
    fields = (crystals.numbers, crystals.frac, crystals.lattice, crystals.n_atoms)
    return [value.detach().cpu().numpy() for value in fields]


def _reducer(seconds: float) -> Callable[[list[NDArray[np.generic]]], list[ReducedCell | MatchError]]:
    import torch

    def reduce(task: list[NDArray[np.generic]]) -> list[ReducedCell | MatchError]:
        numbers, frac, lattice, n_atoms = (torch.from_numpy(value) for value in task)
        crystals = Crystals(numbers, frac, lattice, n_atoms)
        return [_reduced_or_error(crystals, row, seconds) for row in range(len(crystals))]

    return reduce


def _reduced_or_error(crystals: Crystals, row: int, seconds: float) -> ReducedCell | MatchError:
    try:
        return reduced_cell(crystals, row, seconds)
    except MatchError as error:
        return error
