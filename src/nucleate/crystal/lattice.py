"""Lattice algebra on batches: parameters, polar symmetrisation, and the logarithm of the cell's shape.

A cell L (rows are vectors) and its rotations L R describe one crystal. The symmetric polar factor
P = (L Lᵀ)^(1/2) is the one member of that class without a rotation; S = log P has six free numbers,
lives in a vector space, and exp(S) is a right-handed cell of positive volume whatever S is.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_AUTOMORPHISMS = 48
"""Order of the largest point group of a lattice."""

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
    return to_voigt(0.5 * _spectral(lattice @ lattice.mT, torch.log))


def from_log_shape(shape: Tensor) -> Tensor:
    """Inverse of :func:`log_shape`: the symmetric cell exp(S) in Å, shape (..., 3, 3)."""
    return torch.linalg.matrix_exp(from_voigt(shape))


def to_voigt(matrix: Tensor) -> Tensor:
    """The six entries (xx, yy, zz, yz, xz, xy) of symmetric matrices (..., 3, 3), shape (..., 6)."""
    return matrix[..., _ROWS, _COLUMNS]


def from_voigt(entries: Tensor) -> Tensor:
    """Symmetric matrices (..., 3, 3) from their six entries (..., 6): the inverse of :func:`to_voigt`."""
    matrix = entries.new_zeros(*entries.shape[:-1], 3, 3)
    matrix[..., _ROWS, _COLUMNS] = entries
    matrix[..., _COLUMNS, _ROWS] = entries
    return matrix


def face_distances(lattice: Tensor) -> Tensor:
    """Distances in Å between opposite faces of the cell, shape (..., 3)."""
    return 1.0 / torch.linalg.norm(torch.linalg.inv(lattice), dim=-2)


def _spectral(matrix: Tensor, function: object) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    tiny = torch.finfo(matrix.dtype).tiny
    mapped = function(values.clamp_min(tiny))  # type: ignore[operator]
    return (vectors * mapped[..., None, :]) @ vectors.mT


def automorphisms(lattice: Tensor, tolerance: float = 0.02) -> tuple[Tensor, Tensor]:
    """Changes of basis that leave a reduced cell's metric as it is: the settings a reduction could have chosen.

    Arguments:
        lattice: Reduced cells as rows in Å, shape (B, 3, 3); entries of the changes are then -1, 0 or 1.
        tolerance: Largest deviation of any entry of the metric, relative to its largest entry.

    Returns:
        Integer matrices M with (M L)(M L)ᵀ ≈ L Lᵀ, shape (B, 48, 3, 3), int8, padded with the identity, and
        their number, shape (B,). Fractional coordinates in the new setting are ``frac @ inverse(M)``.
    """
    entries = torch.cartesian_prod(*[torch.arange(-1, 2, dtype=lattice.dtype)] * 9).reshape(-1, 3, 3)
    candidates = entries[(torch.linalg.det(entries).abs() - 1).abs() < 1e-3]
    found = torch.eye(3, dtype=torch.int8).repeat(len(lattice), MAX_AUTOMORPHISMS, 1, 1)
    count = torch.ones(len(lattice), dtype=torch.int64)
    for start in range(0, len(lattice), 256):  # slices keep memory near 100 MB
        metric = lattice[start : start + 256] @ lattice[start : start + 256].mT
        moved = candidates @ metric[:, None] @ candidates.mT
        size = metric.flatten(1).abs().amax(1)[:, None]
        deviation = (moved - metric[:, None]).flatten(2).abs().amax(2) / size
        # The closest come first, so that a cap keeps the exact ones.
        order = deviation.topk(MAX_AUTOMORPHISMS, dim=1, largest=False)
        fits = order.values < tolerance
        chosen = candidates[order.indices].to(torch.int8)
        rows = slice(start, start + len(metric))
        found[rows] = torch.where(fits[..., None, None], chosen, found[rows])
        count[rows] = fits.sum(1)
    return found, count
