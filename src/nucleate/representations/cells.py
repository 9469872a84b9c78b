"""Cells as vectors: the published nine entries, or six numbers free of rotation and size."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import from_log_shape, from_voigt, log_shape, polar_symmetric, to_voigt


class CellVectors(Protocol):
    """Between cells (B, 3, 3) in Å and vectors (B, F) of order one."""

    @property
    def width(self) -> int:
        """Length F of a vector."""

    def fit(self, crystals: Crystals) -> None:
        """Take what is needed from training crystals."""

    def encode(self, lattice: Tensor, n_atoms: Tensor) -> Tensor:
        """Vectors (B, D) of cells (B, 3, 3) in Å that hold ``n_atoms`` (B,) atoms."""

    def decode(self, vector: Tensor, n_atoms: Tensor) -> Tensor:
        """Cells (B, 3, 3) in Å of vectors (B, D)."""

    def features(self, vector: Tensor, lattice: Tensor) -> Tensor:
        """Features of a noisy cell for the network, shape (B, F)."""

    def prediction(self, raw: Tensor, lattice: Tensor) -> Tensor:
        """The prediction (B, F) of cell vectors behind the network's output ``raw``, at cells (B, 3, 3) in Å."""


SMALLEST_STD = 1e-2
"""A component that the training data hardly vary is scaled no further, so that alike cells stay trainable."""


class LogShapeCells(nn.Module):
    """log of the symmetric polar factor of the cell of one atom's volume, shape (B, 6), standardised on the data."""

    width = 6
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("std", torch.ones(6))

    def fit(self, crystals: Crystals) -> None:
        """Take mean and standard deviation from training crystals."""
        raw = self._raw(crystals.lattice, crystals.n_atoms)
        self.mean.copy_(raw.mean(0))
        if len(raw) > 1:
            self.std.copy_(raw.std(0).clamp_min(SMALLEST_STD))

    def encode(self, lattice: Tensor, n_atoms: Tensor) -> Tensor:
        return (self._raw(lattice, n_atoms) - self.mean) / self.std

    def decode(self, vector: Tensor, n_atoms: Tensor) -> Tensor:
        # Beyond five deviations a noisy vector says nothing about a real cell, and exp would overflow.
        cell = from_log_shape(vector.clamp(-5.0, 5.0) * self.std + self.mean)
        return cell * n_atoms.to(cell.dtype)[:, None, None] ** (1 / 3)

    def features(self, vector: Tensor, lattice: Tensor) -> Tensor:  # noqa: ARG002
        return vector

    def prediction(self, raw: Tensor, lattice: Tensor) -> Tensor:  # noqa: ARG002
        return raw

    def _raw(self, lattice: Tensor, n_atoms: Tensor) -> Tensor:
        return log_shape(lattice / n_atoms.to(lattice.dtype)[:, None, None] ** (1 / 3))


class MatrixCells(nn.Module):
    """The nine entries in Å as they are; rotations are undone by L Lᵀ in and a product with L out (DiffCSP, Eq. 9)."""

    width = 9

    def fit(self, crystals: Crystals) -> None:
        """Nothing to fit."""

    def encode(self, lattice: Tensor, n_atoms: Tensor) -> Tensor:  # noqa: ARG002
        return lattice.flatten(1)

    def decode(self, vector: Tensor, n_atoms: Tensor) -> Tensor:  # noqa: ARG002
        return vector.unflatten(1, (3, 3))

    def features(self, vector: Tensor, lattice: Tensor) -> Tensor:  # noqa: ARG002
        return (lattice @ lattice.mT).flatten(1)

    def prediction(self, raw: Tensor, lattice: Tensor) -> Tensor:
        return (raw.unflatten(1, (3, 3)) @ lattice).flatten(1)


class DensityScaledCells(nn.Module):
    """The symmetric polar factor of the cell beside a cube of the average density: (P - μ(n) 1)/ς(n), six entries.

    MatterGen (Zeni et al., 2025, A.7) noises symmetric matrices towards μ(n) 1 = (n/ρ)^(1/3) 1 with a standard
    deviation ς(n) = (n ν)^(1/3); in these units that is a process of zero mean and unit variance, and independent
    noise on six entries is symmetric noise on the matrix. ρ is the public code's constant; its 0.5 n^(1/3) is ν = 1/8.

    A noisy matrix need not be positive definite. Its polar factor, which turns negative eigenvalues round, is, and
    none is left below ``SMALLEST_EIGENVALUE``.
    """

    width = 6
    density = 0.05771451654022283
    """ρ in atoms/Å³."""
    spread = 0.5
    """ς(1) in Å."""

    def fit(self, crystals: Crystals) -> None:
        """Nothing to fit."""

    def encode(self, lattice: Tensor, n_atoms: Tensor) -> Tensor:
        mean, std = self._limit(n_atoms, lattice)
        return (to_voigt(polar_symmetric(lattice)) - mean) / std

    def decode(self, vector: Tensor, n_atoms: Tensor) -> Tensor:
        mean, std = self._limit(n_atoms, vector)
        values, vectors = torch.linalg.eigh(from_voigt(vector * std + mean))
        kept = values.abs().maximum(SMALLEST_EIGENVALUE / self.spread * std)
        return (vectors * kept[..., None, :]) @ vectors.mT

    def features(self, vector: Tensor, lattice: Tensor) -> Tensor:  # noqa: ARG002
        return vector

    def prediction(self, raw: Tensor, lattice: Tensor) -> Tensor:  # noqa: ARG002
        return raw

    def bounded(self, vector: Tensor) -> Tensor:
        """Vectors (B, 6) of cells no flatter or longer than real ones (:data:`EIGENVALUES`), which stay as they are."""
        low, high = ((value - self.density ** (-1 / 3)) / self.spread for value in EIGENVALUES)
        values, vectors = torch.linalg.eigh(from_voigt(vector))
        return to_voigt((vectors * values.clamp(low, high)[..., None, :]) @ vectors.mT)

    def _limit(self, n_atoms: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, 6) and standard deviation (B, 1) of the entries of pure noise in Å."""
        length = n_atoms.to(like.dtype)[:, None] ** (1 / 3)
        diagonal = length.new_tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
        return length * self.density ** (-1 / 3) * diagonal, self.spread * length


EIGENVALUES = (0.8, 8.3)
"""Eigenvalues of the cell of one atom in Å, for n atoms n^(1/3) times these: all but the longest 1 % of 9,705
structures of the Materials Project (CC BY 4.0)."""
SMALLEST_EIGENVALUE = 0.5
"""Smallest eigenvalue of a decoded cell of one atom in Å, for n atoms n^(1/3) times this; real cells are above 0.8."""
