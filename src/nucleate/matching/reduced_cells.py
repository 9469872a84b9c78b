"""Reduced cells: each crystal brought once to the cell in which the structure matcher compares it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from types import FrameType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import FrameworkComparator, StructureMatcher

from nucleate.crystal.crystals import Crystals

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
    """A comparison without a verdict; the text says why."""


@dataclass(frozen=True)
class MatchSettings:
    """When two crystals are the same one.

    Attributes:
        ltol, stol, angle_tol: Tolerances, as in pymatgen's ``StructureMatcher``.
        seconds: Time limit of one comparison.
        variant: ``ordered``, or ``disordered``: two orderings of one alloy are the same structure
            (:mod:`nucleate.matching.disordered`).
    """

    ltol: float = 0.2
    stol: float = 0.3
    angle_tol: float = 5.0
    seconds: float = 20.0
    variant: Literal["ordered", "disordered"] = "ordered"

    def matcher(self, framework: bool = False) -> StructureMatcher:
        """The plain matcher; with ``framework`` one that takes all species for equal."""
        comparator = FrameworkComparator() if framework else None
        return StructureMatcher(ltol=self.ltol, stol=self.stol, angle_tol=self.angle_tol, comparator=comparator)

    def __str__(self) -> str:
        kind = "" if self.variant == "ordered" else f"{self.variant}, "
        return f"StructureMatcher({kind}ltol={self.ltol:g}, stol={self.stol:g}, angle_tol={self.angle_tol:g})"


SAME_STRUCTURE = MatchSettings()
"""For uniqueness and novelty where nothing else is said: MatterGen's ordered matcher."""

MATCHERS = {"ordered": SAME_STRUCTURE, "disordered": MatchSettings(variant="disordered")}
"""The matchers of MatterGen's evaluation, by the names that options and protocols give them."""


@dataclass(frozen=True)
class Cell:
    """A crystal as arrays: small to keep and to send.

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
        return Structure(Lattice(self.lattice), self.numbers, self.frac)


class ReducedCell(Cell):
    """A primitive, Niggli-reduced cell."""


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


def reduced(original: Structure, seconds: float) -> Structure:
    """Primitive and Niggli-reduced cell of a crystal, reduced the way ``StructureMatcher`` does by itself.

    Arguments:
        original: The crystal.
        seconds: Time limit in seconds.

    Raises:
        MatchError: The cell cannot be reduced, or not in time.
    """
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
    numbers = np.unique([site.species_string for site in cell], return_inverse=True)[1]
    sizes = np.bincount(numbers)
    if gcd(*sizes.tolist()) == 1:
        return True
    frac = cell.frac_coords
    rarest = frac[numbers == sizes.argmin()]
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
    """Primitive and Niggli-reduced cell of crystal i, within a limit of seconds.

    Raises:
        MatchError: As :func:`reduced` and :func:`structure`.
    """
    cell = reduced(structure(crystals, i), seconds)
    return ReducedCell(np.array(cell.atomic_numbers), np.array(cell.frac_coords), np.array(cell.lattice.matrix))


def reduced_cells(crystals: Crystals, rows: Sequence[int], seconds: float) -> list[ReducedCell | MatchError]:
    """Reduced cells of many crystals, in the order of ``rows``; an error stands where seconds or reduction fail."""
    cells: list[ReducedCell | MatchError] = []
    for row in rows:
        try:
            cells.append(reduced_cell(crystals, row, seconds))
        except MatchError as error:
            cells.append(error)
    return cells
