"""Guarded structure matching: cells reduced once, pairs bounded in time, failures as reasons.

The matcher is pymatgen's ``StructureMatcher`` (S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013)). Two
crystals are compared only if their reduced formulas agree and their primitive cells hold equally many sites;
without either the matcher answers no by construction, so nothing is lost.
"""

from __future__ import annotations

import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from math import gcd
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from nucleate.crystal.crystals import Crystals

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure_matcher import StructureMatcher

MAX_SITES = 200
"""Larger cells are not matched: the search grows with the third power of the number of sites."""

CELL_LENGTHS = (0.5, 300.0)
"""Å; a reduced cell outside these is not a crystal, and searching its lattice could take hours."""

CompositionKey = tuple[tuple[int, int], ...]
"""Sorted (atomic number, count) pairs without a common divisor."""


@dataclass(frozen=True)
class MatchSettings:
    """Tolerances of a comparison, as in pymatgen's ``StructureMatcher``, and its time limit."""

    ltol: float = 0.2
    stol: float = 0.3
    angle_tol: float = 5.0
    seconds: float = 20.0

    def matcher(self) -> StructureMatcher:
        from pymatgen.core.structure_matcher import StructureMatcher

        return StructureMatcher(ltol=self.ltol, stol=self.stol, angle_tol=self.angle_tol)

    def __str__(self) -> str:
        return f"StructureMatcher(ltol={self.ltol:g}, stol={self.stol:g}, angle_tol={self.angle_tol:g})"


SAME_STRUCTURE = MatchSettings()
"""When two crystals are the same one: for uniqueness and novelty (MatterGen's ordered matcher)."""


class MatchError(Exception):
    """A comparison that gave no answer; the text says why."""


@dataclass(frozen=True)
class Match:
    """Answer of :meth:`StructureLibrary.find`.

    Attributes:
        index: Number of the first entry that matches, or None.
        reason: Why the answer may be incomplete; empty where every comparison was made.
    """

    index: int | None
    reason: str


def composition_key(numbers: Tensor) -> CompositionKey:
    """Reduced formula of one crystal from its atomic numbers, padding (0) left out; shape (N,)."""
    elements, counts = np.unique(numbers.detach().cpu().numpy(), return_counts=True)
    pairs = [(int(z), int(n)) for z, n in zip(elements, counts, strict=True) if z]
    divisor = reduce(gcd, (n for _, n in pairs), 0)
    return tuple((z, n // divisor) for z, n in pairs)


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

    numbers, frac, lattice = (value.detach().cpu().numpy() for value in crystals.sites(i))
    if not 0 < len(numbers) <= MAX_SITES:
        raise MatchError(f"{len(numbers)} sites; at most {MAX_SITES} are matched")
    if not (np.isfinite(frac).all() and np.isfinite(lattice).all()):
        raise MatchError("the cell or a coordinate is not finite")
    if not abs(np.linalg.det(lattice)) > 0.1 * len(numbers):
        raise MatchError("the cell holds less than 0.1 Å³ an atom")
    return Structure(Lattice(lattice), numbers, frac)


def reduced_cell(crystals: Crystals, i: int, seconds: float) -> Structure:
    """Primitive and Niggli-reduced cell of crystal i, reduced the way ``StructureMatcher`` does by itself.

    Raises:
        MatchError: The cell cannot be reduced, or not in time.
    """
    original = structure(crystals, i)
    try:
        with time_limit(seconds):
            cell = original.get_reduced_structure(reduction_algo="niggli").get_primitive_structure()
    except MatchError:
        raise
    except Exception as error:  # pymatgen raises many kinds on strange cells
        raise MatchError(f"the cell cannot be reduced ({type(error).__name__}: {error})") from error
    lengths = cell.lattice.abc
    if min(lengths) < CELL_LENGTHS[0] or max(lengths) > CELL_LENGTHS[1]:
        raise MatchError(f"reduced cell lengths {min(lengths):.2g}..{max(lengths):.3g} Å")
    return cell


@dataclass
class _Entry:
    crystals: Crystals
    row: int
    index: int
    cell: Structure | None = None
    reason: str = ""

    def reduced(self, seconds: float) -> Structure | None:
        if self.cell is None and not self.reason:
            try:
                self.cell = reduced_cell(self.crystals, self.row, seconds)
            except MatchError as error:
                self.reason = str(error)
        return self.cell


@dataclass
class StructureLibrary:
    """Crystals that others are compared with, grouped by reduced formula; cells are reduced when first needed.

    Attributes:
        settings: Tolerances and time limit of a comparison.
    """

    settings: MatchSettings = SAME_STRUCTURE
    _groups: dict[CompositionKey, list[_Entry]] = field(default_factory=lambda: defaultdict(list))
    _size: int = 0

    @classmethod
    def of(cls, crystals: Crystals, settings: MatchSettings = SAME_STRUCTURE) -> StructureLibrary:
        """A library of all crystals of a batch, numbered as in the batch."""
        library = cls(settings)
        library.extend(crystals)
        return library

    def __len__(self) -> int:
        return self._size

    @property
    def formulas(self) -> set[CompositionKey]:
        """Reduced formulas of all entries."""
        return set(self._groups)

    def extend(self, crystals: Crystals) -> None:
        """Append every crystal of a batch, numbered on from the last entry."""
        for row in range(len(crystals)):
            self.append(crystals, row, self._size)

    def append(self, crystals: Crystals, row: int, index: int) -> None:
        """Append crystal ``row`` of a batch under a number of the caller's choice."""
        self._groups[composition_key(crystals.numbers[row])].append(_Entry(crystals, row, index))
        self._size += 1

    def find(self, crystals: Crystals, row: int) -> Match:
        """The first entry that is the same structure as crystal ``row``.

        Entries that cannot be compared are left out and named in the reason.

        Raises:
            MatchError: The crystal itself cannot be reduced.
        """
        group = self._groups.get(composition_key(crystals.numbers[row]))
        if not group:
            structure(crystals, row)  # only checks that the crystal is one
            return Match(None, "")
        cell = reduced_cell(crystals, row, self.settings.seconds)
        matcher = self.settings.matcher()
        failures = []
        for entry in group:
            other = entry.reduced(self.settings.seconds)
            if other is None:
                failures.append(f"entry {entry.index}: {entry.reason}")
            elif len(other) == len(cell):  # else the matcher says no: it does not try supercells
                try:
                    with time_limit(self.settings.seconds):
                        if matcher.fit(other, cell, skip_structure_reduction=True):
                            return Match(entry.index, "")
                except Exception as error:  # noqa: BLE001  pymatgen raises many kinds on strange cells
                    failures.append(f"entry {entry.index}: {error}")
        return Match(None, "not compared with " + "; ".join(failures) if failures else "")
