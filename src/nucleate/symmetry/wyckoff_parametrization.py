"""Wyckoff parametrization: from free coordinates and strains of a protostructure to a crystal, and back."""

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
import torch
from numpy.typing import NDArray
from torch import Tensor

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.space_group import N_GROUPS
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


_HALF = 0.5**0.5
_DIAGONAL = [[1.0, 1.0, 1.0, 0, 0, 0]]
_UNIAXIAL = [[1.0, 1.0, 0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0]]
_AXES = [[1.0, 0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0]]
# Invariant symmetric matrices as entries xx, yy, zz, yz, xz, xy.
_STRAINS: dict[str, list[list[float]]] = {
    "c": _DIAGONAL,
    "h": _UNIAXIAL,
    "t": _UNIAXIAL,
    "o": _AXES,
    "m": [*_AXES, [0, 0, 0, 0, _HALF, 0]],
    "a": [*_AXES, [0, 0, 0, _HALF, 0, 0], [0, 0, 0, 0, _HALF, 0], [0, 0, 0, 0, 0, _HALF]],
}
_ROWS, _COLUMNS = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]


@dataclass(frozen=True)
class Layout:
    """The n sites of a protostructure's primitive cell, in O orbits, with F free coordinates and K free strains.

    Attributes:
        numbers: Atomic numbers, shape (n,).
        orbit: Orbit of each site, shape (n,).
        first: Site that stands for each orbit, shape (O,).
        weight: Sites of each orbit, shape (O,).
        matrix: How free coordinates move sites (fractional, primitive basis), shape (n, 3, F).
        shift: Sites at zero free coordinates, shape (n, 3).
        frame: P L₀, shape (3, 3).
        strains: The K invariant matrices, shape (K, 3, 3).
    """

    numbers: Tensor
    orbit: Tensor
    first: Tensor
    weight: Tensor
    matrix: Tensor
    shift: Tensor
    frame: Tensor
    strains: Tensor

    @property
    def n_sites(self) -> int:
        return len(self.numbers)

    @property
    def n_coordinates(self) -> int:
        return self.matrix.shape[-1]

    @property
    def n_strains(self) -> int:
        return len(self.strains)

    def frac(self, free: Tensor) -> Tensor:
        """Fractional coordinates (D, n, 3), not wrapped, from free ones (D, F)."""
        return torch.einsum("nif,df->dni", self.matrix, free) + self.shift

    def lattice(self, strain: Tensor) -> Tensor:
        """Cells (D, 3, 3), rows in Å, from free strains (D, K)."""
        return self.frame @ torch.linalg.matrix_exp(torch.einsum("dk,kij->dij", strain, self.strains))

    def crystals(self, free: Tensor, strain: Tensor) -> Crystals:
        """The crystals at D values, shapes (D, F) and (D, K)."""
        count = len(free)
        return Crystals(
            self.numbers.expand(count, -1).clone(),
            wrap(self.frac(free)),
            self.lattice(strain),
            torch.full((count,), self.n_sites),
        )


@lru_cache(maxsize=512)
def layout(protostructure: Protostructure) -> Layout:
    """The layout of a protostructure, in the setting in which it is written."""
    group = protostructure.space_group
    maps = [site_map(group, letter) for _, letter in protostructure.sites]
    sizes = torch.tensor([len(found.shift) for found in maps])
    starts = torch.cumsum(sizes, 0) - sizes
    n_free = sum(found.matrix.shape[-1] for found in maps)
    matrix = torch.zeros(int(sizes.sum()), 3, n_free, dtype=torch.float64)
    column = 0
    for start, found in zip(starts.tolist(), maps, strict=True):
        width = found.matrix.shape[-1]
        matrix[start : start + len(found.shift), :, column : column + width] = torch.from_numpy(found.matrix)
        column += width
    orbit = torch.repeat_interleave(torch.arange(len(maps)), sizes)
    family = str(moyopy.SpaceGroupType(group).bravais_class)[0]
    unit = torch.eye(3, dtype=torch.float64)
    if family == "h":
        unit[1, 0], unit[1, 1] = -0.5, 0.75**0.5
    entries = torch.tensor(_STRAINS[family], dtype=torch.float64)
    strains = torch.zeros(len(entries), 3, 3, dtype=torch.float64)
    strains[:, _ROWS, _COLUMNS] = entries
    strains[:, _COLUMNS, _ROWS] = entries
    return Layout(
        numbers=torch.tensor([z for z, _ in protostructure.sites])[orbit],
        orbit=orbit,
        first=starts,
        weight=sizes,
        matrix=matrix,
        shift=torch.cat([torch.from_numpy(found.shift) for found in maps]),
        frame=torch.from_numpy(primitive_vectors(group)) @ unit,
        strains=strains,
    )
