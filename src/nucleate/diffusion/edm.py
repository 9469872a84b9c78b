"""Diffusion by added noise with a preconditioned denoiser (EDM).

Karras, Aittala, Aila & Laine, Elucidating the design space of diffusion-based generative models, NeurIPS 2022
(Table 1). The defaults are the constants of DiffCrysGen's public code; its paper gives none. The sampler is
:mod:`nucleate.diffusion.heun`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nucleate.diffusion.noise import Noise
from nucleate.diffusion.schedule import expand_to

TensorDenoiser = Callable[[Tensor, Tensor], Tensor]
"""From noisy values (B, ...) and their noise levels σ (B,) to an estimate of the clean values."""


@dataclass(frozen=True)
class EdmProcess:
    """x_σ = x + σ ε, and what a network has to predict so that its input and target have unit variance.

    Attributes:
        sigma_data: Standard deviation of the data.
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
