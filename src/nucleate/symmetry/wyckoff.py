"""Wyckoff positions of the 230 space groups: letters, multiplicities, freedom, and the atoms that they can hold."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import moyopy

from nucleate.errors import UserError
from nucleate.symmetry.space_group import N_GROUPS

MOST_POSITIONS = 27
"""Positions of the group that has the most, number 47, whose 27th letter is A."""
LETTERS = "abcdefghijklmnopqrstuvwxyzA"
_CENTRINGS = {"P": 1, "A": 2, "B": 2, "C": 2, "I": 2, "R": 3, "F": 4}


@dataclass(frozen=True)
class WyckoffPosition:
    """A Wyckoff position.

    Attributes:
        letter: Its name; "A" follows "z" in group 47.
        multiplicity: Points of an orbit in the conventional cell.
        n_free: Coordinates that symmetry leaves free, 0 to 3.
    """

    letter: str
    multiplicity: int
    n_free: int


@lru_cache(maxsize=N_GROUPS)
def wyckoff_positions(number: int) -> tuple[WyckoffPosition, ...]:
    """The positions of a space group, letter a first and the general one last.

    Raises:
        UserError: The number is not of 1 to 230.
    """
    key = str(checked_group(number))
    sizes, freedoms = _table("multiplicities")[key], _table("params")[key]
    return tuple(WyckoffPosition(letter, sizes[letter], freedoms[letter]) for letter in LETTERS if letter in sizes)


@lru_cache(maxsize=N_GROUPS)
def by_letter(number: int) -> Mapping[str, WyckoffPosition]:
    """The positions of a space group by their letters, letter a first."""
    return {position.letter: position for position in wyckoff_positions(number)}


@lru_cache(maxsize=N_GROUPS)
def equivalent_settings(number: int) -> tuple[Mapping[str, str], ...]:
    """Renamings of the letters under which a group describes the same crystals, the identity first.

    They are those of the affine normaliser of the group: another choice of origin or axes exchanges positions.
    """
    rows = _table("relabelings")[str(checked_group(number))]
    return tuple({chr(int(code)): renamed for code, renamed in row.items()} for row in rows)


@lru_cache(maxsize=N_GROUPS)
def centring(number: int) -> int:
    """Lattice points in the conventional cell: 1, 2, 3 (rhombohedral groups) or 4."""
    return _CENTRINGS[moyopy.SpaceGroupType(checked_group(number)).hm_short[0]]


@lru_cache(maxsize=N_GROUPS)
def lattice_symbol(number: int) -> str:
    """Bravais lattice as in Pearson symbols: ``cF``, ``oS``, ``hR``."""
    return str(moyopy.SpaceGroupType(checked_group(number)).bravais_class)


def checked_group(number: int, where: str = "space group") -> int:
    """The number itself.

    Raises:
        UserError: It is not of 1 to 230.
    """
    if not 1 <= number <= N_GROUPS:
        raise UserError(where, str(number), "a number from 1 to 230")
    return number


@lru_cache(maxsize=3)
def _table(name: str) -> Any:
    package = importlib.util.find_spec("pymatgen.analysis.prototypes")
    if package is None or package.origin is None:
        raise ImportError("pymatgen.analysis.prototypes, which holds the tables of Wyckoff positions, is missing")
    path = Path(package.origin).parent / f"wyckoff-position-{name}.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


@lru_cache(maxsize=230)
def site_multiplicities(space_group: int) -> tuple[tuple[int, bool], ...]:
    """Atoms in the primitive cell for each Wyckoff position, and whether its coordinates are free."""
    cells = centring(space_group)
    return tuple((site.multiplicity // cells, site.n_free > 0) for site in wyckoff_positions(space_group))


def fits(space_group: int, counts: Mapping[int, int]) -> bool:
    """True if occupied positions can add up to the counts {Z: atoms in the primitive cell}.

    A position without free coordinates holds atoms once; one with free coordinates any number of times. The
    crystal may still turn out more symmetric, when the positions chosen are also those of a supergroup.
    """
    return _fits(space_group, tuple(sorted(counts.values(), reverse=True)))


@lru_cache(maxsize=65536)
def _fits(space_group: int, counts: tuple[int, ...]) -> bool:
    sites = site_multiplicities(space_group)
    free = {multiplicity for multiplicity, is_free in sites if is_free}
    fixed = [multiplicity for multiplicity, is_free in sites if not is_free]
    reachable = _sums(free, max(counts))
    subsets = [sum(m for k, m in enumerate(fixed) if chosen >> k & 1) for chosen in range(1 << len(fixed))]
    used = {0}  # sets of fixed positions already taken by the elements so far, as bits
    for count in counts:
        options = [chosen for chosen, total in enumerate(subsets) if total <= count and reachable[count - total]]
        used = {taken | chosen for taken in used for chosen in options if not taken & chosen}
        if not used:
            return False
    return True


def _sums(parts: set[int], limit: int) -> list[bool]:
    """Which totals up to ``limit`` repeated parts add up to."""
    reachable = [True] + [False] * limit
    for total in range(1, limit + 1):
        reachable[total] = any(part <= total and reachable[total - part] for part in parts)
    return reachable


@lru_cache(maxsize=65536)
def most_orbits(fixed: tuple[int, ...], free: tuple[int, ...], total: int) -> int:
    """Most orbits that ``total`` atoms can be made of, -1 where they cannot be made of any.

    Arguments:
        fixed: Multiplicities of positions that hold atoms once.
        free: Multiplicities of those that hold atoms any number of times.
        total: Atoms.
    """
    most = [0] + [-1] * total
    for size in fixed:
        for n in range(total, size - 1, -1):
            if most[n - size] >= 0:
                most[n] = max(most[n], most[n - size] + 1)
    for size in free:
        for n in range(size, total + 1):
            if most[n - size] >= 0:
                most[n] = max(most[n], most[n - size] + 1)
    return most[total]


@lru_cache(maxsize=65536)
def shared_out(fixed: tuple[int, ...], needs: tuple[tuple[int, tuple[int, ...]], ...]) -> bool:
    """True if every need can be met at once.

    Arguments:
        fixed: Multiplicities of positions that hold atoms of one element once, sorted.
        needs: Atoms of an element, and multiplicities of positions that hold any number of them.
    """
    if not needs:
        return True
    (count, free), *others = needs
    reachable = _sums(set(free), count)
    sizes = sorted(set(fixed))
    for taken in product(*(range(min(fixed.count(size), count // size) + 1) for size in sizes)):
        total = sum(n * size for n, size in zip(taken, sizes, strict=True))
        if total <= count and reachable[count - total]:
            kept = (size for n, size in zip(taken, sizes, strict=True) for _ in range(fixed.count(size) - n))
            if shared_out(tuple(kept), tuple(others)):
                return True
    return False
