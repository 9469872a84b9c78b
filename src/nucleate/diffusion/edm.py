"""Diffusion by added noise with a preconditioned denoiser (EDM), and its stochastic Heun sampler.

Karras, Aittala, Aila & Laine, Elucidating the design space of diffusion-based generative models, NeurIPS 2022
(Table 1). The defaults are the constants of DiffCrysGen's public code; its paper gives none.

The sampler is Algorithm 2, whose lines are noted beside the code: noise is added on the way, and each step is corrected
by the slope at its end. With the denoiser D, noise levels σ_i and ε ~ N(0, S_noise²):

    x̂ = x + √(σ̂² - σ_i²) ε,   σ̂ = (1 + γ) σ_i
    d = (x̂ - D(x̂; σ̂)) / σ̂,   x' = x̂ + (σ_{i+1} - σ̂) d
    d' = (x' - D(x'; σ_{i+1})) / σ_{i+1},   x_{i+1} = x̂ + (σ_{i+1} - σ̂) (d + d') / 2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.diffusion.schedule import expand_to

TensorDenoiser = Callable[[Tensor, Tensor], Tensor]
"""From noisy values (B, ...) and their noise levels σ (B,) to an estimate of the clean values."""


@dataclass(frozen=True)
class EdmProcess:
    """x_σ = x + σ ε, and what a network has to predict so that its input and target have unit variance.

    Attributes:
        sigma_data: Standard deviation of the data, dimensionless as all noise levels σ are.
        log_mean, log_std: Of ln σ in training.
    """

    sigma_data: float = 0.5
    log_mean: float = -1.2
    log_std: float = 1.2

    def corrupt(self, x: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy values, shaped as ``x`` (B, ...), and their noise levels σ (B,)."""
        sigma = (self.log_mean + self.log_std * noise.normal("sigma", (len(x),))).exp().to(x.dtype)
        return x + expand_to(sigma, x) * noise.normal("noise", tuple(x.shape)).to(x.dtype), sigma

    def denoised(self, network: TensorDenoiser, x: Tensor, sigma: Tensor) -> Tensor:
        """Estimate of the clean values, shaped as ``x``: c_skip x + c_out F(c_in x; ln(σ)/4).

        Arguments:
            network: F; its second argument is the scalar ln(σ)/4.
            x: Noisy values, shape (B, ...).
            sigma: Noise levels, shape (B,).
        """
        total = (sigma**2 + self.sigma_data**2).sqrt()
        output = network(x / expand_to(total, x), sigma.log() / 4).to(x.dtype)
        skip, out = (self.sigma_data / total) ** 2, sigma * self.sigma_data / total
        return expand_to(skip, x) * x + expand_to(out, x) * output  # Eq. 7

    def weight(self, sigma: Tensor) -> Tensor:
        """Weight λ(σ) = 1/c_out² of the squared error, shape (B,): the network's own error counts alike at every σ."""
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2

    def errors(self, denoised: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        """Weighted squared error of each entry, shaped as ``clean`` (B, ...); the loss is their mean."""
        return expand_to(self.weight(sigma), clean) * (denoised - clean) ** 2


@dataclass(frozen=True)
class HeunSampler:
    """Sampler from pure noise to data (Algorithm 2).

    Attributes:
        steps: Number of noise levels; the denoiser is called 2 steps - 1 times.
        sigma: Smallest and largest noise, dimensionless.
        rho: Spacing of the levels: higher puts more of them at low noise.
        churn: Noise added on the way; a step adds churn / steps of its own level, at most √2 - 1.
        churn_between: Levels between which noise is added.
        churn_scale: Standard deviation of that noise.
    """

    steps: int = 100
    sigma: tuple[float, float] = (0.002, 80.0)
    rho: float = 7.0
    churn: float = 1.0
    churn_between: tuple[float, float] = (0.0, float("inf"))
    churn_scale: float = 1.0

    def levels(self) -> Tensor:
        """Noise levels σ from the largest to 0, shape (steps + 1,), float64."""
        low, high = (level ** (1 / self.rho) for level in self.sigma)
        share = torch.linspace(0, 1, self.steps, dtype=torch.float64)
        # Eq. 5
        return torch.cat([(high + share * (low - high)) ** self.rho, torch.zeros(1, dtype=torch.float64)])

    def sample(
        self,
        denoiser: TensorDenoiser,
        shape: tuple[int, ...],
        noise: KeyedNoise,
        keep: Callable[[Tensor, float], Tensor] | None = None,
    ) -> Tensor:
        """Values of shape (B, *shape), each of which depends on the noise of its own row alone.

        Arguments:
            denoiser: Estimates clean values.
            shape: Of one sample.
            noise: Random numbers of these rows; its precision is that of the values.
            keep: Called with values and their level after each step; puts back what is known of the result.
        """
        size, kept = len(noise.indices), keep or (lambda x, _: x)
        levels = self.levels().tolist()
        x = levels[0] * noise.normal("start", (size, *shape))
        for i, (level, lower) in enumerate(pairwise(levels)):
            low, high = self.churn_between
            gamma = min(self.churn / self.steps, 2**0.5 - 1) if low <= level <= high else 0.0
            raised = level * (1 + gamma)  # line 5
            if gamma > 0:
                more = self.churn_scale * (raised**2 - level**2) ** 0.5
                x = x + more * noise.at(i).normal("churn", (size, *shape))  # line 6
            slope = (x - denoiser(x, x.new_full((size,), raised))) / raised  # line 7
            following = x + (lower - raised) * slope  # line 8
            if lower > 0:
                correction = (following - denoiser(following, x.new_full((size,), lower))) / lower  # line 10
                following = x + (lower - raised) * (slope + correction) / 2  # line 11
            x = kept(following, lower)
        return x
