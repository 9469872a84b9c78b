"""Atoms and cell of one crystal as one vector of unknowns, and the gradient in those unknowns.

The unknowns are the positions in the starting cell and the logarithm L of a symmetric deformation
exp(L) applied to both: E. B. Tadmor et al., Phys. Rev. B 59, 235 (1999), with the exact derivative of
the matrix exponential, as in the ``FrechetCellFilter`` of ASE, whose convergence measure is kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# An orthonormal basis of the symmetric 3 x 3 matrices, shape (6, 3, 3).
SYMMETRIC_BASIS: Array = np.zeros((6, 3, 3))
for _k, (_i, _j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
    SYMMETRIC_BASIS[_k, _i, _j] = SYMMETRIC_BASIS[_k, _j, _i] = 1.0 if _i == _j else np.sqrt(0.5)


class FrechetCoordinates:
    """The map between a crystal of n sites and its vector of 3n + 6 unknowns.

    The last six are the components of L times ``length``, so that all have the unit Å.

    Arguments:
        frac: Starting fractional coordinates, shape (n, 3).
        lattice: Starting lattice, rows in Å, shape (3, 3).
    """

    def __init__(self, frac: Array, lattice: Array) -> None:
        self.n = len(frac)
        self.lattice = lattice
        self.start = frac @ lattice
        self.length = float(self.n)

    def initial(self) -> Array:
        """The unknowns of the starting crystal, shape (3n + 6,)."""
        return np.concatenate([self.start.ravel(), np.zeros(6)])

    def crystal(self, x: Array) -> tuple[Array, Array]:
        """Fractional coordinates (not wrapped) and lattice at the unknowns ``x``."""
        deformation = self._exponential(x)[0]
        frac = np.asarray(np.linalg.solve(self.lattice.T, x[: 3 * self.n].reshape(-1, 3).T).T, dtype=np.float64)
        return frac, self.lattice @ deformation

    def gradient(self, x: Array, forces: Array, virial: Array) -> Array:
        """Gradient in eV/Å from forces in eV/Å and the strain derivative V*stress in eV; shape (3n + 6,)."""
        deformation, values, vectors = self._exponential(x)
        by_deformation = np.linalg.solve(deformation, virial)
        exponentials, gaps = np.exp(values), values[:, None] - values[None, :]
        close = np.abs(gaps) < 1e-7
        divided = np.where(
            close,
            0.5 * (exponentials[:, None] + exponentials[None, :]),
            (exponentials[:, None] - exponentials[None, :]) / np.where(close, 1.0, gaps),
        )
        by_log = vectors @ (divided * (vectors.T @ by_deformation @ vectors)) @ vectors.T
        by_cell = np.einsum("kij,ij->k", SYMMETRIC_BASIS, by_log) / self.length
        return np.concatenate([(-forces @ deformation).ravel(), by_cell])

    def largest_force(self, gradient: Array) -> float:
        """The largest row of the gradient, over atoms and the three rows of the cell scaled by n; in eV/Å."""
        by_cell = np.einsum("k,kij->ij", gradient[-6:], SYMMETRIC_BASIS) * self.length / self.n
        rows = np.concatenate([gradient[:-6].reshape(-1, 3), by_cell])
        return float(np.sqrt((rows**2).sum(1).max()))

    def _exponential(self, x: Array) -> tuple[Array, Array, Array]:
        log = np.einsum("k,kij->ij", x[-6:] / self.length, SYMMETRIC_BASIS)
        values, vectors = np.linalg.eigh(log)
        return (vectors * np.exp(values)) @ vectors.T, values, vectors
