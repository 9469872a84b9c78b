"""A protostructure as a function: from free coordinates and free strains of a cell to a crystal.

The cell is L = P L₀ exp(S): L₀ the unit cell of the crystal family (a cube, or hexagonal axes), S a symmetric matrix
that the point group leaves alone, P the primitive vectors. Its trace is the logarithm of the volume over L₀'s. Every
crystal of the protostructure has such a description, and every value describes one of its group or a supergroup.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import moyopy
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.site_maps import primitive_vectors, site_map

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
