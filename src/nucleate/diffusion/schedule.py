"""Noise schedules as functions of time t in [0, 1]: 0 is data, 1 is noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nucleate.diffusion.noise import Noise


@dataclass(frozen=True)
class GeometricSchedule:
    """Standard deviations that grow by equal factors, σ(t) = σ₀ (σ₁/σ₀)^t (variance exploding).

    DiffCSP's step k of T is t = (k - 1)/(T - 1), so σ(1) = σ₀ and σ(T) = σ₁ (its Appendix B).
    """

    low: float = 0.005
    high: float = 0.5

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation at times t (B,), shape (B,)."""
        return self.low * (self.high / self.low) ** t  # DiffCSP, Appendix B


class SignalSchedule(Protocol):
    """A schedule that keeps the variance."""

    def alpha_bar(self, t: Tensor) -> Tensor:
        """Squared share ᾱ of the signal at times t (B,), shape (B,)."""


@dataclass(frozen=True)
class LinearSchedule:
    """Signal share of noise that comes at the rate β(t) = β₀ + (β₁ - β₀) t (Song et al., 2021, Eq. 32).

    MatterGen's lattices: √ᾱ(t) = exp(-(β₁ - β₀) t²/4 - β₀ t/2).
    """

    low: float = 0.1
    high: float = 20.0

    def alpha_bar(self, t: Tensor) -> Tensor:
        """Squared share ᾱ of the signal at times t (B,), shape (B,)."""
        return torch.exp(-0.5 * (self.high - self.low) * t**2 - self.low * t)  # Eq. 33, squared


@dataclass(frozen=True)
class CosineSchedule:
    """Signal share ᾱ(t) = cos²(π/2 (t + s)/(1 + s)) / cos²(π/2 s/(1 + s)), variance preserving.

    Nichol & Dhariwal, Improved denoising diffusion probabilistic models, 2021, Eq. 17; step k of T is t = k/T.
    """

    offset: float = 0.008
    floor: float = 1e-5

    def alpha_bar(self, t: Tensor) -> Tensor:
        """Squared share ᾱ of the signal at times t, shape (B,), at least ``floor``: 0 could not be inverted."""
        # Eq. 17
        start = math.cos(0.5 * math.pi * self.offset / (1 + self.offset)) ** 2
        value = torch.cos(0.5 * math.pi * (t + self.offset) / (1 + self.offset)) ** 2 / start
        return value.clamp(self.floor, 1.0)


class Step(NamedTuple):
    """One step of reverse diffusion.

    Attributes:
        t: Times at which it begins, shape (B,).
        s: Earlier times at which it ends, shape (B,).
        noise: Random numbers of the step.
        churn: Share η of the ancestral noise, 0 (probability flow) to 1 (the posterior).
        temperature: Of distributions of categories.
    """

    t: Tensor
    s: Tensor
    noise: Noise
    churn: float = 1.0
    temperature: float = 1.0


def expand_to(value: Tensor, like: Tensor) -> Tensor:
    """A number per crystal (B,) with trailing axes of one, shape (B, 1, ...), to meet ``like`` (B, ...)."""
    return value.reshape(-1, *([1] * (like.dim() - 1)))
