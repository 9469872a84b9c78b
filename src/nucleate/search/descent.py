"""Quasi-Newton minimisation of many small problems at once, each on its own trust radius.

Steps follow the inverse BFGS matrix of each problem and never exceed its trust radius, which shrinks where a step
raises the energy (the step is taken back) and grows where it does not: Nocedal and Wright, Numerical Optimization
(2006), chapter 6. Nothing of one problem enters another.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST_RADIUS, LARGEST_RADIUS = 1e-4, 0.6


@dataclass
class Descent:
    """D minimisations in progress over U unknowns each.

    Attributes:
        x: Unknowns of the lowest energies so far, shape (D, U).
        energy: Energies there, shape (D,).
        gradient: Gradients there, shape (D, U).
        inverse: Estimates of the inverse second derivatives, shape (D, U, U).
        radius: Trust radii in the norm of the metric, shape (D,).
        metric: What measures steps, shape (D, U, U).
    """

    x: Tensor
    energy: Tensor
    gradient: Tensor
    inverse: Tensor
    radius: Tensor
    metric: Tensor

    @classmethod
    def start(
        cls, x: Tensor, energy: Tensor, gradient: Tensor, stiffness: Tensor, metric: Tensor, radius: float
    ) -> Descent:
        """At x, with a first guess of the second derivatives, and the metric that measures steps and the radius."""
        radii = torch.full_like(energy, radius)
        return cls(x, energy, gradient, torch.linalg.inv(stiffness), radii, metric)

    def proposal(self) -> Tensor:
        """Where to look next, shape (D, U)."""
        move = -_times(self.inverse, self.gradient)
        length = self._length(move)
        return self.x + move * (self.radius / length.clamp_min(1e-12)).clamp(max=1.0)[:, None]

    def learn(self, tried: Tensor, energy: Tensor, gradient: Tensor, noise: float = 0.0) -> Tensor:
        """Take energies and gradients at what was proposed; rises beyond ``noise`` are taken back.

        Returns:
            Which problems moved, shape (D,).
        """
        usable = energy.isfinite() & gradient.isfinite().all(1)
        energy = torch.where(usable, energy, torch.inf)
        gradient = torch.where(usable[:, None], gradient, 0.0)
        move = tried - self.x
        change = gradient - self.gradient
        self._update(move, change, usable)
        length = self._length(move)
        better = usable & (energy <= self.energy + noise)
        predicted = (self.gradient * move).sum(1) * 0.5
        ratio = (energy - self.energy) / predicted.clamp(max=-1e-12)
        shrunk = (0.35 * torch.minimum(self.radius, length)).clamp_min(SMALLEST_RADIUS)
        grown = torch.where((ratio > 0.6) & (length > 0.95 * self.radius), 1.6 * self.radius, self.radius)
        self.radius = torch.where(better, grown.clamp(max=LARGEST_RADIUS), shrunk)
        self.x = torch.where(better[:, None], tried, self.x)
        self.energy = torch.where(better, energy, self.energy)
        self.gradient = torch.where(better[:, None], gradient, self.gradient)
        return better

    def _update(self, move: Tensor, change: Tensor, usable: Tensor) -> None:
        """BFGS update of the inverse where the curvature along the step is positive."""
        curvature = (move * change).sum(1)
        image = _times(self.inverse, change)
        ok = usable & (curvature > 1e-10) & (curvature > 1e-3 * (move * self.gradient).sum(1).abs())
        rho = torch.where(ok, 1.0 / torch.where(ok, curvature, 1.0), 0.0)
        along = (change * image).sum(1)
        outer = move[:, :, None] * move[:, None, :]
        mixed = move[:, :, None] * image[:, None, :]
        self.inverse = (
            self.inverse + ((1 + rho * along) * rho)[:, None, None] * outer - rho[:, None, None] * (mixed + mixed.mT)
        )

    def _length(self, move: Tensor) -> Tensor:
        return (move * _times(self.metric, move)).sum(1).clamp_min(0).sqrt()


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix * vector[:, None, :]).sum(-1)
