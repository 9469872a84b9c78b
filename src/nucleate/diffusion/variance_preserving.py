"""Gaussian diffusion that keeps the variance: cells as vectors, and species as noisy one-hot vectors.

x_t = √ᾱ x_0 + √(1-ᾱ) ε (Ho et al., Denoising diffusion probabilistic models, 2020; DiffCSP, Eqs. 2-4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from nucleate.diffusion.langevin import StepSize, langevin
from nucleate.diffusion.noise import Noise
from nucleate.diffusion.schedule import CosineSchedule, SignalSchedule, Step, expand_to


@dataclass(frozen=True)
class VariancePreservingProcess:
    """Gaussian diffusion of a vector per crystal (B, F) or per site (B, N, F).

    Attributes:
        stream: Name of its random numbers.
        predicts: What a network gives: the noise ε as in the paper, or the velocity √ᾱ ε - √(1-ᾱ) x_0, which
            determines x_0 well at every t and so allows few steps (Salimans & Ho, 2022).
        schedule: ᾱ(t).
        entries: How often each entry counts in loss and norms, a dimensionless weight; None for once each. Six
            entries of a symmetric matrix stand for nine.
        bound: Moves an estimate of x_0 to what an x_0 can be; None for nothing. Where hardly any signal is left the
            estimate divides the network's error by it, and sampling in few steps never recovers from a wild one.
    """

    stream: str
    predicts: Literal["noise", "velocity"] = "noise"
    schedule: SignalSchedule = field(default_factory=CosineSchedule)
    entries: tuple[float, ...] | None = None
    bound: Callable[[Tensor], Tensor] | None = None

    def prior(self, noise: Noise, shape: tuple[int, ...]) -> Tensor:
        """Standard normal vectors of a shape (B, ..., F)."""
        return noise.normal(f"{self.stream}/prior", shape)

    def corrupt(self, clean: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy vectors and the target of the network, both shaped as ``clean``, at times t (B,)."""
        signal, spread = self._shares(t, clean)
        drawn = noise.normal(f"{self.stream}/noise", tuple(clean.shape))
        noisy = signal * clean + spread * drawn  # DiffCSP, Eq. 3
        return noisy, drawn if self.predicts == "noise" else signal * drawn - spread * clean

    def clean(self, noisy: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """The estimate of x_0 behind a network's prediction, shaped as ``noisy``, at times t (B,)."""
        signal, spread = self._shares(t, noisy)
        noise = self.predicts == "noise"
        found = (noisy - spread * prediction) / signal if noise else signal * noisy - spread * prediction
        return found if self.bound is None else self.bound(found)

    def prediction_for(self, clean: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """The prediction of an estimate of x_0, shaped as ``noisy`` (B, ...); undone by :meth:`clean`."""
        signal, spread = self._shares(t, noisy)
        drawn = (noisy - signal * clean) / spread
        return drawn if self.predicts == "noise" else signal * drawn - spread * clean

    def loss(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean squared error of each crystal, shape (B,); ``mask`` (B, N) where there is a vector per site."""
        square = (prediction - target).square()
        if self.entries is None:
            error = square.mean(-1)
        else:
            error = (square * square.new_tensor(self.entries)).sum(-1) / sum(self.entries)
        if mask is None:
            return error
        return (error * mask).sum(1) / mask.sum(1)

    def step(self, noisy: Tensor, prediction: Tensor, step: Step) -> Tensor:
        """Vectors (B, ...) at s < t: the posterior's mean and a share of its noise; at s = 0 x_0 itself.

        Song et al., Denoising diffusion implicit models, 2021, Eq. 12; the share is its η.
        """
        clean = self.clean(noisy, prediction, step.t)
        signal, spread = self._shares(step.t, noisy)
        drawn = (noisy - signal * clean) / spread
        later = expand_to(torch.where(step.s > 0, self.schedule.alpha_bar(step.s), torch.ones_like(step.s)), noisy)
        now = signal**2
        posterior = (1 - later) / (1 - now) * (1 - now / later)  # Eq. 16, η = 1
        kept = torch.sqrt((1 - later - step.churn**2 * posterior).clamp_min(0.0))
        fresh = step.noise.normal(f"{self.stream}/step", tuple(noisy.shape))
        return later.sqrt() * clean + kept * drawn + step.churn * posterior.clamp_min(0.0).sqrt() * fresh  # Eq. 12

    def correct(self, noisy: Tensor, prediction: Tensor, t: Tensor, noise: Noise, rule: StepSize) -> Tensor:
        """Vectors after a Langevin step at constant t (B,), of a size that ``rule`` chooses, shaped as ``noisy``."""
        signal, spread = self._shares(t, noisy)
        score = (signal * self.clean(noisy, prediction, t) - noisy) / spread**2
        drawn = noise.normal(f"{self.stream}/correct", tuple(noisy.shape))
        step = expand_to(rule(score, drawn, torch.ones_like(t)), noisy)
        return langevin(noisy, score, drawn, step)

    def _shares(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar = expand_to(self.schedule.alpha_bar(t), like)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
