"""Sites of Wyckoff positions as functions of their free coordinates, in primitive cells.

Site k of a position lies at A_k u + t_k with u the free ones of (x, y, z): the tables of the International Tables in
the standard settings of :mod:`nucleate.symmetry.wyckoff`, as PyXtal ships them (S. Fredericks et al., Comput. Phys.
Commun. 261, 107810 (2021)), read from its data file, since importing the package takes seconds.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import moyopy
import numpy as np
from numpy.typing import NDArray

from nucleate.crystal.space_group_symbols import N_GROUPS
from nucleate.symmetry.wyckoff import LETTERS, by_letter, centring, checked_group

Array = NDArray[np.float64]

# Rows are primitive vectors in units of the conventional ones; R is the obverse setting on hexagonal axes.
_PRIMITIVE: dict[str, Array] = {
    "P": np.eye(3),
    "A": np.array([[1, 0, 0], [0, 0.5, -0.5], [0, 0.5, 0.5]]),
    "C": np.array([[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]]),
    "I": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
    "F": np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "R": np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}
_TERM = re.compile(r"([+-]?)(\d*)([xyz])|([+-]?\d+(?:/\d+)?)")


@dataclass(frozen=True)
class SiteMap:
    """The n sites of one orbit in the primitive cell.

    Attributes:
        matrix: A in the primitive basis, columns for the free coordinates alone, shape (n, 3, n_free).
        shift: t in the primitive basis, in [0, 1), shape (n, 3).
    """

    matrix: Array
    shift: Array


def primitive_vectors(number: int) -> Array:
    """Primitive vectors of a space group in units of the conventional ones, rows, shape (3, 3)."""
    return _PRIMITIVE[moyopy.SpaceGroupType(checked_group(number)).hm_short[0]]


@lru_cache(maxsize=2048)
def site_map(number: int, letter: str) -> SiteMap:
    """Sites of a Wyckoff position.

    Raises:
        UserError: The number is not of 1 to 230.
        KeyError: The group has no such letter.
    """
    position = by_letter(number)[letter]
    texts = _coordinates()[checked_group(number)]
    maps = np.array([_affine(text) for text in texts[len(texts) - 1 - LETTERS.index(letter)]])
    to_primitive = np.linalg.inv(primitive_vectors(number)).T
    matrix, shift = to_primitive @ maps[:, :, :3], np.mod(maps[:, :, 3] @ to_primitive.T, 1.0)
    shift[shift > 1 - 1e-9] = 0.0
    free = np.flatnonzero(np.abs(matrix).sum((0, 1)))
    keys = np.round(np.concatenate([matrix.reshape(len(matrix), -1), shift], 1), 6)
    # Sites that centring translations carry into each other are one site of the primitive cell.
    kept = np.sort(np.unique(keys, axis=0, return_index=True)[1])
    if len(kept) != position.multiplicity // centring(number) or len(free) != position.n_free:
        raise RuntimeError(f"tables of position {letter} of space group {number} do not fit each other")
    return SiteMap(matrix[kept][:, :, free], shift[kept])


@lru_cache(maxsize=1)
def _coordinates() -> tuple[list[list[str]], ...]:
    """Coordinates of every position of every group, the general position first; index 0 is empty."""
    package = importlib.util.find_spec("pyxtal")
    if package is None or package.origin is None:
        raise ImportError("pyxtal, which holds the coordinates of Wyckoff positions, is missing")
    with (Path(package.origin).parent / "database" / "wyckoff_list.csv").open(newline="") as file:
        csv.field_size_limit(1 << 24)
        rows = {int(row[0]): row[1] for row in csv.reader(file) if row[0].isdigit()}
    return ([], *(ast.literal_eval(rows[number]) for number in range(1, N_GROUPS + 1)))


def _affine(text: str) -> Array:
    """``-y, x-y, z+1/3`` as (A | t), shape (3, 4)."""
    result = np.zeros((3, 4))
    for row, part in enumerate(text.split(",")):
        for sign, factor, axis, constant in _TERM.findall(part.replace(" ", "")):
            if axis:
                result[row, "xyz".index(axis)] += (-1 if sign == "-" else 1) * int(factor or 1)
            else:
                result[row, 3] += float(Fraction(constant))
    return result
