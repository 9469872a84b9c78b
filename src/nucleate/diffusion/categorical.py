"""Diffusion of categories towards a prior: D3PM with a uniform, marginal or one-state limit, in closed form.

A step keeps a category with probability α and draws another from the prior m otherwise, Q = α I + (1 - α) 1 mᵀ
(Austin et al., Structured denoising diffusion models in discrete state-spaces, 2021). Products of such matrices are
of the same form, so no K x K table is needed: with ᾱ the product of α, and s < t,

    p(x_s | x_t) ∝ (α δ(x_s, x_t) + (1 - α) m(x_t)) (ᾱ_s r(x_s) + (1 - ᾱ_s) m(x_s) Σ r),   α = ᾱ_t / ᾱ_s,
    r(x_0) = p(x_0 | x_t) / (ᾱ_t δ(x_0, x_t) + (1 - ᾱ_t) m(x_t)).

A state that the prior never takes is one that noise cannot have made: x_t is x_0 then, and stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.diffusion.noise import Noise
from nucleate.diffusion.schedule import expand_to

Schedule = Literal["cos", "cosine", "linear"]

_OFFSET = 0.008


def _angle(t: Tensor) -> Tensor:
    return 0.5 * math.pi * (t + _OFFSET) / (1 + _OFFSET)


_START = 0.5 * math.pi * _OFFSET / (1 + _OFFSET)

ALPHA_BARS: dict[Schedule, Callable[[Tensor], Tensor]] = {
    "cos": lambda t: _angle(t).cos() / math.cos(_START),
    "cosine": lambda t: _angle(t).cos().square() / math.cos(_START) ** 2,
    "linear": lambda t: 1 - t,
}
"""Share of categories that noise has left alone at t in [0, 1]. "cosine" is that of Nichol & Dhariwal, 2021, Eq. 17;
"cos" its root, which WyckoffDiff's public code has."""


@dataclass(frozen=True)
class CategoricalProcess:
    """Noising of variables with K categories, each on its own.

    Attributes:
        prior: m, shape (K,), adding up to 1.
        schedule: Name of ᾱ.
        stream: Name of its random numbers.
    """

    prior: Tensor
    schedule: Schedule = "linear"
    stream: str = "category"

    def alpha_bar(self, t: Tensor) -> Tensor:
        """ᾱ at times t (B,) in [0, 1], from 1 to 0, shape (B,)."""
        return ALPHA_BARS[self.schedule](t).clamp(0.0, 1.0)

    def draw_prior(self, noise: Noise, shape: tuple[int, ...]) -> Tensor:
        """Categories of a shape (B, ...) at t = 1."""
        return self._from_prior(noise.uniform(f"{self.stream}/prior", shape))

    def corrupt(self, clean: Tensor, t: Tensor, noise: Noise) -> Tensor:
        """Categories (B, ...) at times t (B,)."""
        u = noise.uniform(f"{self.stream}/noise", tuple(clean.shape))
        keep = expand_to(self.alpha_bar(t), u)
        # What is left of a uniform number beyond the share that stays is uniform again.
        return torch.where(u < keep, clean, self._from_prior((u - keep) / (1 - keep).clamp_min(1e-12)))

    def open(self, noisy: Tensor) -> Tensor:
        """True, shaped as ``noisy`` (B, ...), where noise may have made the state: there is something to predict."""
        return self._m(torch.float32)[noisy] > 0

    def cross_entropy(self, logits: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        """-log p(x_0 | x_t) of each variable, zero where x_t gives x_0 away.

        Arguments:
            logits: Shape (..., K).
            clean: x_0, shape (...).
            noisy: x_t, shape (...).
        """
        entropy = F.cross_entropy(logits.flatten(0, -2), clean.flatten(), reduction="none").view(clean.shape)
        return entropy * self.open(noisy)

    def divergence(self, logits: Tensor, clean: Tensor, noisy: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """KL(q(x_s | x_t, x_0) | p(x_s | x_t)) of each variable, shape (...).

        At s = 0 it is the cross-entropy.
        """
        true = F.one_hot(clean, logits.shape[-1]).to(logits.dtype)
        q = self.posterior(true, noisy, t, s)
        p = self.posterior(torch.softmax(logits, -1), noisy, t, s)
        tiny = torch.finfo(logits.dtype).tiny
        return (q * (q.clamp_min(tiny).log() - p.clamp_min(tiny).log())).sum(-1)

    def posterior(self, probabilities: Tensor, noisy: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """p(x_s | x_t), shape (B, ..., K), adding up to 1.

        Arguments:
            probabilities: p(x_0 | x_t), shape (B, ..., K).
            noisy: x_t, shape (B, ...).
            t: Times, shape (B,).
            s: Earlier times, shape (B,).
        """
        m = self._m(probabilities.dtype)
        late, early = (expand_to(self.alpha_bar(time).to(m.dtype), probabilities) for time in (t, s))
        alpha = late / early.clamp_min(torch.finfo(m.dtype).tiny)
        here = F.one_hot(noisy, len(m)).to(m.dtype)
        m_here = m[noisy][..., None]
        reached = late * here + (1 - late) * m_here
        weight = torch.where(reached > 0, probabilities / reached.clamp_min(torch.finfo(m.dtype).tiny), 0.0)
        mass = (alpha * here + (1 - alpha) * m_here) * (early * weight + (1 - early) * m * weight.sum(-1, keepdim=True))
        total = mass.sum(-1, keepdim=True)
        # Where x_t is x_0, or no x_0 that the denoiser believes in leads to x_t, the state stays.
        sure = (m_here == 0) | (total <= 0)
        return torch.where(sure, here, mass / total.clamp_min(torch.finfo(m.dtype).tiny))

    def step(self, noisy: Tensor, probabilities: Tensor, t: Tensor, s: Tensor, noise: Noise) -> Tensor:
        """Categories at s < t drawn from :meth:`posterior`, shaped as ``noisy`` (B, ...)."""
        u = noise.uniform(f"{self.stream}/step", tuple(noisy.shape))
        return drawn(self.posterior(probabilities, noisy, t, s), u)

    def _from_prior(self, u: Tensor) -> Tensor:
        cumulative = self._m(torch.float64).cumsum(0).to(u.device)
        return torch.searchsorted(cumulative, (u.double() * cumulative[-1]).contiguous(), right=True).clamp_max(
            len(cumulative) - 1
        )

    def _m(self, dtype: torch.dtype) -> Tensor:
        return self.prior.to(dtype)


def drawn(probabilities: Tensor, u: Tensor) -> Tensor:
    """Categories (...) from probabilities (..., K), which need not add up to 1, by one uniform number (...) each."""
    cumulative = probabilities.cumsum(-1)
    aim = u.to(cumulative.dtype)[..., None] * cumulative[..., -1:]
    return (cumulative <= aim).sum(-1).clamp_max(probabilities.shape[-1] - 1)


def uniform_prior(size: int) -> Tensor:
    """Prior of K categories that are all alike, shape (K,)."""
    return torch.full((size,), 1 / size)


def single_prior(size: int) -> Tensor:
    """Prior of category 0 alone, shape (K,)."""
    return F.one_hot(torch.tensor(0), size).float()


def marginal_prior(counts: Tensor) -> Tensor:
    """Prior, shape (K,), from counts (K,) in the data, each share at least one in a million: none is impossible."""
    shares = (counts.double() / counts.sum()).clamp_min(1e-6)
    return (shares / shares.sum()).float()
