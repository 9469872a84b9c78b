"""Diffusion of fractional coordinates: normal noise wrapped into the unit cell (variance exploding).

The marginal of x_t given x_0 is the wrapped normal of standard deviation σ(t), a sum over all integer images
along each axis independently (DiffCSP, Eq. 5). Its score is computed from the images for small σ and from the
Fourier series for large σ, each to the precision of the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from nucleate.diffusion.langevin import StepSize, langevin
from nucleate.diffusion.noise import Noise
from nucleate.diffusion.schedule import GeometricSchedule, Step, expand_to

# Where both forms need few terms: the images decay as exp(-k²/2σ²), the series as exp(-2π²σ²k²).
_CROSSOVER = 0.4
_IMAGES = 4
_WAVES = 5
_QUADRATURE = 400
# Beyond σ = 1.9 nothing is left of the score; a scale of zero could not be divided by.
_LEAST_LOG_RMS = math.log(1e-30)


def wrapped_score(displacement: Tensor, sigma: Tensor) -> Tensor:
    """Score d log p(x)/dx of the wrapped normal, elementwise.

    Arguments:
        displacement: x_t - x_0, any integer added, shape (...).
        sigma: Standard deviation, broadcastable to the same shape.
    """
    x = displacement - torch.round(displacement)
    sigma = sigma.expand_as(x)
    narrow = sigma.clamp_max(_CROSSOVER)
    images = torch.arange(-_IMAGES, _IMAGES + 1, device=x.device, dtype=x.dtype)
    moved = x[..., None] + images
    weight = torch.softmax(-0.5 * (moved / narrow[..., None]) ** 2, dim=-1)
    by_images = -(weight * moved).sum(-1) / narrow**2
    wide = sigma.clamp_min(_CROSSOVER)
    k = torch.arange(1, _WAVES + 1, device=x.device, dtype=x.dtype)
    factor = torch.exp(-2 * (math.pi * k * wide[..., None]) ** 2)
    phase = 2 * math.pi * k * x[..., None]
    density = 1 + 2 * (factor * torch.cos(phase)).sum(-1)
    by_waves = -4 * math.pi * (k * factor * torch.sin(phase)).sum(-1) / density
    return torch.where(sigma < _CROSSOVER, by_images, by_waves)


@lru_cache(maxsize=8)
def _rms_table(low: float, high: float, points: int = 256) -> tuple[Tensor, Tensor]:
    """Table of log σ and the logarithm of the root mean squared score there, by quadrature over one period."""
    log_sigma = torch.linspace(math.log(low), math.log(high), points, dtype=torch.float64)
    sigma = log_sigma.exp()[:, None]
    # The integrand lives within a few σ of the centre, so the grid is in units of it. For a smooth function that
    # is periodic or vanishes at both ends this rule converges faster than any power of the number of points.
    width = torch.minimum(8 * sigma, torch.full_like(sigma, 0.5))
    u = (torch.arange(_QUADRATURE, dtype=torch.float64) + 0.5) / _QUADRATURE
    x = (2 * u - 1) * width
    images = torch.arange(-8, 9, dtype=torch.float64)
    density = torch.exp(-0.5 * ((x[..., None] + images) / sigma[..., None]) ** 2).sum(-1)
    score = wrapped_score(x, sigma)
    return log_sigma, (0.5 * torch.log((density * score**2).sum(1) / density.sum(1))).clamp_min(_LEAST_LOG_RMS)


def rms_score(sigma: Tensor) -> Tensor:
    """Root mean square of one component of the score at standard deviations σ (B, ...), of their shape.

    The mean is over the marginal at σ; it is the scale of the training target.

    DiffCSP draws this by Monte Carlo at construction; here it is a quadrature, interpolated in log σ to half a
    percent up to σ = 0.5 and the same every time. As a scale it cancels between target and prediction.
    """
    grid, values = (part.to(sigma.device) for part in _rms_table(1e-4, 10.0))
    position = (sigma.to(torch.float64).log() - grid[0]) / (grid[1] - grid[0])
    lower = position.floor().clamp(0, len(grid) - 2).to(torch.int64)
    share = position - lower
    return torch.exp(values[lower] * (1 - share) + values[lower + 1] * share).to(sigma.dtype)


@dataclass(frozen=True)
class WrappedNormalProcess:
    """Wrapped normal noise on fractional coordinates.

    Networks predict the score over :meth:`score_unit`, a number of order one. Where ``centre``, the mean over
    the sites of a crystal is taken out of target and prediction: data have no origin, so the sum of the score
    over a crystal's sites is zero in expectation and what is drawn of it is noise.

    Attributes:
        schedule: Standard deviation σ(t).
        shrink: σ is multiplied by n to the power of minus this for n sites, so that with 1/3 the noise in Å does not
            grow with the cell (MatterGen, Eq. A22).
        unit: Unit of the predictions, "rms" for :func:`rms_score`, "sigma" for 1/σ as in MatterGen.
        centre: Take means out.
    """

    schedule: GeometricSchedule = field(default_factory=GeometricSchedule)
    shrink: float = 0.0
    unit: Literal["rms", "sigma"] = "rms"
    centre: bool = True

    def sigma(self, t: Tensor, mask: Tensor, like: Tensor) -> Tensor:
        """Standard deviation of each crystal at times t (B,), with axes of one to meet ``like``."""
        sigma = expand_to(self.schedule.sigma(t), like)
        if self.shrink == 0:
            return sigma
        return sigma * expand_to(mask.sum(1).to(sigma.dtype), like) ** -self.shrink

    def score_unit(self, sigma: Tensor) -> Tensor:
        """Unit in which the score is predicted at standard deviations σ, of the same shape."""
        return rms_score(sigma) if self.unit == "rms" else 1 / sigma

    def prior(self, noise: Noise, shape: tuple[int, ...]) -> Tensor:
        """Uniform coordinates, shape (B, N, 3)."""
        return noise.uniform("coordinates/prior", shape)

    def corrupt(self, clean: Tensor, t: Tensor, mask: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy coordinates in [0, 1) and the normalised score, both (B, N, 3), at times t (B,)."""
        sigma = self.sigma(t, mask, clean)
        drawn = sigma * noise.normal("coordinates/noise", tuple(clean.shape))
        score = wrapped_score(drawn, sigma) / self.score_unit(sigma)
        return torch.remainder(clean + drawn, 1.0), self.centred(score, mask)

    def loss(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error over the sites and axes of each crystal, shape (B,)."""
        error = (self.centred(prediction, mask) - target).square().mean(-1)
        return (error * mask).sum(1) / mask.sum(1)

    def score(self, prediction: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        """The score ∇log p(x_t) from a network's prediction, shape (B, N, 3)."""
        return self.centred(prediction, mask) * self.score_unit(self.sigma(t, mask, prediction))

    def drawn(self, stream: str, noisy: Tensor, mask: Tensor, noise: Noise) -> Tensor:
        """Fresh noise of a step of reverse diffusion, shaped as ``noisy`` (B, N, 3), of unit variance."""
        return self.centred(noise.normal(stream, tuple(noisy.shape)), mask)

    def step(self, noisy: Tensor, prediction: Tensor, step: Step, mask: Tensor) -> Tensor:
        """Coordinates at s < t in [0, 1), shape (B, N, 3): ancestral sampling with a share of its noise.

        DiffCSP, Algorithm 1. With churn 1 the step draws from the posterior, with 0 it follows the probability flow.
        At s = 0 the noise is left out and the coordinates move to their expected clean value.
        """
        high = self.sigma(step.t, mask, noisy) ** 2
        later = expand_to(step.s > 0, noisy)
        low = torch.where(later, self.sigma(step.s, mask, noisy), torch.zeros_like(high)) ** 2
        fresh = step.churn**2 * low * (high - low) / high
        # With x_0 = x + σ² score and ε = -σ score, keep of ε what the fresh noise leaves room for.
        drift = high - (high * (low - fresh)).sqrt()
        moved = noisy + drift * self.score(prediction, step.t, mask)
        drawn = self.drawn("coordinates/step", noisy, mask, step.noise)
        return torch.remainder(moved + fresh.sqrt() * drawn, 1.0)

    def correct(
        self, noisy: Tensor, prediction: Tensor, t: Tensor, mask: Tensor, noise: Noise, rule: StepSize
    ) -> Tensor:
        """Coordinates in [0, 1) after a Langevin step at constant t (B,), of a size that ``rule`` chooses."""
        score = self.score(prediction, t, mask)
        drawn = self.drawn("coordinates/correct", noisy, mask, noise)
        step = expand_to(rule(score, drawn, self.schedule.sigma(t) / self.schedule.low), noisy)
        return torch.remainder(langevin(noisy, score, drawn, step), 1.0)

    def centred(self, value: Tensor, mask: Tensor) -> Tensor:
        """Vectors (B, N, 3) of real sites, without their mean over each crystal where it is left out."""
        return centred(value, mask) if self.centre else value * mask[..., None]


def centred(value: Tensor, mask: Tensor) -> Tensor:
    """Without its mean over each crystal's real sites, zero at padding, shape (B, N, 3)."""
    weight = mask[..., None].to(value.dtype)
    mean = (value * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    return (value - mean) * weight
