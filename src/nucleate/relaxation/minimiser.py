"""Quasi-Newton minimisation of one crystal with a trust radius: unknowns of atoms and cell, first Hessian, steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucleate.crystal.elements import COVALENT_RADII
from nucleate.crystal.periodic import pairs_within

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


Function = Callable[[Array], tuple[float, Array]]
FIRST_RADIUS, SMALLEST_RADIUS, LARGEST_RADIUS = 0.2, 0.005, 0.5
CURVATURE_FLOOR = 1.0
"""Smallest curvature, in eV/Å², that a step is divided by."""
ENERGY_NOISE = 1e-4
"""Rise in eV that single precision may cause; larger ones are taken back."""


@dataclass
class State:
    """Where the minimiser stands.

    Attributes:
        x: Unknowns of the lowest energy so far.
        energy: Energy there.
        gradient: Gradient there.
        evaluations: Evaluations of the function so far.
    """

    x: Array
    energy: float
    gradient: Array
    evaluations: int = 1


class TrustRegion:
    """A minimisation in progress; each `step` costs one evaluation.

    Arguments:
        function: Energy and gradient at x.
        x: Where to start.
        hessian: First guess of the second derivatives, positive definite.
    """

    def __init__(self, function: Function, x: Array, hessian: Array) -> None:
        self.function = function
        energy, gradient = function(x)
        self.state = State(x, energy, gradient)
        self.hessian = hessian
        self.radius = FIRST_RADIUS

    def step(self) -> State:
        """Try one step and return the best state so far."""
        state = self.state
        values, vectors = np.linalg.eigh(self.hessian)
        move = -vectors @ ((vectors.T @ state.gradient) / np.maximum(np.abs(values), CURVATURE_FLOOR))
        longest = float(np.sqrt((move.reshape(-1, 3) ** 2).sum(1).max()))
        if longest > self.radius:
            move *= self.radius / longest
        energy, gradient = self.function(state.x + move)
        state.evaluations += 1
        predicted = float(state.gradient @ move + 0.5 * move @ self.hessian @ move)
        actual = energy - state.energy
        if np.isfinite(gradient).all() and np.isfinite(energy):
            self._learn(move, gradient - state.gradient)
        if not actual <= ENERGY_NOISE:
            self.radius = max(min(self.radius, longest) * 0.4, SMALLEST_RADIUS)
            if self.radius > SMALLEST_RADIUS or not np.isfinite(energy):
                return state
        ratio = actual / predicted if predicted < 0 else 0.0
        if ratio > 0.75 and longest >= 0.99 * self.radius:
            self.radius = min(1.5 * self.radius, LARGEST_RADIUS)
        elif ratio < 0.2 and predicted < -ENERGY_NOISE:
            self.radius = max(0.6 * self.radius, SMALLEST_RADIUS)
        state.x, state.energy, state.gradient = state.x + move, energy, gradient
        return state

    def _learn(self, move: Array, change: Array) -> None:
        """BFGS update of the Hessian, damped where the curvature along the step is not positive enough."""
        image = self.hessian @ move
        along = float(move @ image)
        if abs(along) < 1e-14:
            return
        curvature = float(move @ change)
        if curvature < 0.2 * along:
            weight = 0.8 * along / (along - curvature)
            change = weight * change + (1 - weight) * image
            curvature = float(move @ change)
        self.hessian += np.outer(change, change) / curvature - np.outer(image, image) / along


SPRING = 5.0
"""Stiffness in eV/Å² of a spring as long as the sum of the covalent radii."""
DECAY = 3.0
"""How fast springs weaken with their length over that sum."""
LARGEST_SPRING = 10.0
FLOOR = 5.0
"""Stiffness in eV/Å² of everything, so that no direction is free."""
REACH = 6.0
"""Springs are at most this long, in Å."""


def spring_hessian(coordinates: FrechetCoordinates, numbers: NDArray[np.int64]) -> Array:
    """Second derivatives in eV/Å² in the unknowns of ``coordinates`` at their start, shape (3n + 6, 3n + 6)."""
    n = coordinates.n
    i, j, vectors, lengths = pairs_within(coordinates.start, coordinates.lattice, REACH)
    radii = np.array(COVALENT_RADII)[np.minimum(numbers, len(COVALENT_RADII) - 1)]
    springs = np.minimum(SPRING * np.exp(-DECAY * (lengths / (radii[i] + radii[j]) - 1)), LARGEST_SPRING)
    units = vectors / lengths[:, None]
    stretch = np.zeros((len(lengths), n + 2, 3))  # how each unknown changes each length
    rows = np.arange(len(lengths))
    np.add.at(stretch, (rows, i), -units)
    np.add.at(stretch, (rows, j), units)
    by_cell = np.einsum("pa,kab,pb->pk", vectors, SYMMETRIC_BASIS, units) / coordinates.length
    stretch[:, n:] = by_cell.reshape(-1, 2, 3)
    flat = stretch.reshape(len(lengths), 3 * n + 6)
    hessian = 0.5 * (flat * springs[:, None]).T @ flat  # each pair is listed from both ends
    return np.asarray(hessian + FLOOR * np.eye(3 * n + 6), dtype=np.float64)
