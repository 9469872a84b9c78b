"""A quasi-Newton minimiser with a trust radius, for functions of a few hundred unknowns.

Steps follow the BFGS Hessian with the absolute values of its eigenvalues (so that they always lead
downhill) and never exceed the trust radius, which shrinks where the quadratic model fails and grows
where it holds; a step that raises the energy is taken back. Nocedal and Wright, Numerical
Optimization (2006), chapters 4 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
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
