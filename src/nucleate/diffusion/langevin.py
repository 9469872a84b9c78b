"""The Langevin corrector, x + δ ∇log p + √(2δ) z at constant time, and rules for its step size δ.

Song et al., Score-based generative modeling through stochastic differential equations, 2021, Algorithms 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 1e6
"""Steps are cut here: where the score vanishes any size is as good."""

StepSize = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From scores (B, ...), noise z of the same shape and σ(t)/σ(0) (B,) to δ of each crystal, shape (B,)."""


def langevin(noisy: Tensor, score: Tensor, drawn: Tensor, size: Tensor) -> Tensor:
    """Values (B, ...) after a step of sizes δ (B, 1, ...), with a score and standard normal noise of their shape."""
    return noisy + size * score + torch.sqrt(2 * size) * drawn  # Algorithm 4


@dataclass(frozen=True)
class FixedSize:
    """Step δ = ``size`` (σ(t)/σ(0))², dimensionless, DiffCSP's choice."""

    size: float

    def __call__(self, score: Tensor, drawn: Tensor, growth: Tensor) -> Tensor:  # noqa: ARG002
        """Sizes δ, shape (B,)."""
        return self.size * growth**2


@dataclass(frozen=True)
class SignalToNoise:
    """δ = 2 a (r |z|/|score|)² (Song et al., Score-based generative modeling through SDEs, 2021, Algorithm 4).

    Attributes:
        ratio: Signal-to-noise ratio r.
        damping: a, shape (B,) or 1; MatterGen's is the ratio of the squared signals at both ends of the step.
        batch_means: Take the norms' means over the batch, as MatterGen's public code does; a crystal then depends on
            its batch mates.
        weights: How often each entry of the last axis counts in the norms; None for once each.
    """

    ratio: float
    damping: Tensor | float = 1.0
    batch_means: bool = False
    weights: tuple[float, ...] | None = None

    def __call__(self, score: Tensor, drawn: Tensor, growth: Tensor) -> Tensor:  # noqa: ARG002
        """Sizes δ, shape (B,)."""
        noise, signal = self._norm(drawn), self._norm(score)
        if self.batch_means:
            noise, signal = noise.mean().expand_as(noise), signal.mean().expand_as(signal)
        quotient = noise / signal.clamp_min(torch.finfo(signal.dtype).tiny)
        return (2 * self.damping * (self.ratio * quotient) ** 2).clamp_max(LARGEST)  # Algorithm 4

    def _norm(self, value: Tensor) -> Tensor:
        square = value.square()
        if self.weights is not None:
            square = square * square.new_tensor(self.weights)
        return square.flatten(1).sum(1).sqrt()
