"""Wyckoff positions of the 230 space groups: letters, sizes, freedom, and the settings that describe one crystal.

Settings are the standard ones of the International Tables: unique axis b and cell choice 1, hexagonal axes for
rhombohedral groups, the second choice of origin where there are two. The tables are those of pymatgen's prototype
module (Goodall et al., Sci. Adv. 8, eabn4117 (2022)), read from its data files, since importing it takes seconds.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import moyopy

from nucleate.crystal.space_group_symbols import N_GROUPS
from nucleate.errors import UserError

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
