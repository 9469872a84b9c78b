"""Cells as vectors: the published nine entries, or six numbers free of rotation and size."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import from_log_shape, log_shape


class CellVectors(Protocol):
    """Between cells (B, 3, 3) in Å and vectors (B, F) of order one."""

    @property
    def width(self) -> int:
        """Length F of a vector."""

    def fit(self, crystals: Crystals) -> None:
        """Take what is needed from training crystals."""

    def encode(self, lattice: Tensor, n_atoms: Tensor) -> Tensor:
        """Vectors of cells."""

    def decode(self, vector: Tensor, n_atoms: Tensor) -> Tensor:
        """Cells of vectors."""

    def features(self, vector: Tensor, lattice: Tensor) -> Tensor:
        """What the network is told of a noisy cell, shape (B, F)."""

    def answer(self, raw: Tensor, lattice: Tensor) -> Tensor:
        """The answer (B, F) behind the network's output."""


SMALLEST_STD = 1e-2
"""A component that the training data hardly vary is scaled no further, so that alike cells stay trainable."""


class LogShapeCells(nn.Module):
    """log of the symmetric polar factor of the cell of one atom's volume, standardised on the training data."""

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

    def answer(self, raw: Tensor, lattice: Tensor) -> Tensor:  # noqa: ARG002
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

    def answer(self, raw: Tensor, lattice: Tensor) -> Tensor:
        return (raw.unflatten(1, (3, 3)) @ lattice).flatten(1)
