"""Lattice algebra on batches: parameters, polar symmetrisation, and the logarithm of the cell's shape.

A cell L (rows are vectors) and its rotations L R describe one crystal. The symmetric polar factor
P = (L Lᵀ)^(1/2) is the one member of that class without a rotation; S = log P has six free numbers,
lives in a vector space, and exp(S) is a right-handed cell of positive volume whatever S is.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Upper triangle in the order xx, yy, zz, yz, xz, xy (Voigt).
_ROWS = (0, 1, 2, 1, 0, 0)
_COLUMNS = (0, 1, 2, 2, 2, 1)


def parameters_to_matrix(lengths: Tensor, angles: Tensor) -> Tensor:
    """Cell with a along x and b in the xy plane.

    Arguments:
        lengths: a, b, c in Å, shape (..., 3).
        angles: α, β, γ in degrees, shape (..., 3).

    Returns:
        Lattice vectors as rows in Å, shape (..., 3, 3); NaN where the angles close no cell.
    """
    cos, sin_gamma = torch.cos(torch.deg2rad(angles)), torch.sin(torch.deg2rad(angles[..., 2]))
    a, b, c = lengths.unbind(-1)
    zero = torch.zeros_like(a)
    cy = (cos[..., 0] - cos[..., 1] * cos[..., 2]) / sin_gamma
    cz = torch.sqrt(1 - cos[..., 1] ** 2 - cy**2)
    rows = [
        torch.stack([a, zero, zero], -1),
        torch.stack([b * cos[..., 2], b * sin_gamma, zero], -1),
        torch.stack([c * cos[..., 1], c * cy, c * cz], -1),
    ]
    return torch.stack(rows, -2)


def matrix_to_parameters(lattice: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths in Å and angles α, β, γ in degrees, each of shape (..., 3), of cells (..., 3, 3)."""
    lengths = torch.linalg.norm(lattice, dim=-1)
    unit = lattice / lengths[..., None]
    cosines = [(unit[..., i, :] * unit[..., j, :]).sum(-1) for i, j in ((1, 2), (0, 2), (0, 1))]
    return lengths, torch.rad2deg(torch.acos(torch.stack(cosines, -1).clamp(-1.0, 1.0)))


def polar_symmetric(lattice: Tensor) -> Tensor:
    """Symmetric positive polar factor (L Lᵀ)^(1/2), shape (..., 3, 3): the cell without its rotation."""
    return _spectral(lattice @ lattice.mT, torch.sqrt)


def log_shape(lattice: Tensor) -> Tensor:
    """log of the symmetric polar factor as six numbers (xx, yy, zz, yz, xz, xy), shape (..., 6).

    The trace is the logarithm of the volume in Å³.
    """
    log = 0.5 * _spectral(lattice @ lattice.mT, torch.log)
    return log[..., _ROWS, _COLUMNS]


def from_log_shape(shape: Tensor) -> Tensor:
    """Inverse of :func:`log_shape`: the symmetric cell exp(S) in Å, shape (..., 3, 3)."""
    matrix = shape.new_zeros(*shape.shape[:-1], 3, 3)
    matrix[..., _ROWS, _COLUMNS] = shape
    matrix[..., _COLUMNS, _ROWS] = shape
    return torch.linalg.matrix_exp(matrix)


def heights(lattice: Tensor) -> Tensor:
    """Distances in Å between opposite faces of the cell, shape (..., 3)."""
    return 1.0 / torch.linalg.norm(torch.linalg.inv(lattice), dim=-2)


def _spectral(matrix: Tensor, function: object) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    tiny = torch.finfo(matrix.dtype).tiny
    mapped = function(values.clamp_min(tiny))  # type: ignore[operator]
    return (vectors * mapped[..., None, :]) @ vectors.mT
