"""Diffusion of species by masking: the absorbing D3PM with a linear schedule, in continuous time.

A site is masked with probability t, independently of the others (Austin et al., 2021; MatterGen's species
process in the limit of many steps). The posterior has a closed form: from t to s a masked site is revealed
with probability (t - s)/t and then drawn from the network's distribution over clean species.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.diffusion.noise import Noise

MASK = 0
"""The masked state; real species are their atomic numbers, so it shares its number with padding."""

AUXILIARY = 0.01
"""Weight of the cross-entropy of every site in MatterGen's loss (its Eq. A7 after Austin et al., 2021)."""


@dataclass(frozen=True)
class MaskedProcess:
    """Masking of atomic numbers 1 .. n_species.

    Networks answer with logits over clean species, column z - 1 for atomic number z; further columns are states
    that no crystal has.

    Attributes:
        n_species: Number of species.
        steps: Of a D3PM in discrete time, whose index at time t is that of :meth:`index`; None for continuous time.
        weighting: Loss of the masked sites alone, each alike; or the "bound" of MatterGen's D3PM.
    """

    n_species: int = 100
    steps: int | None = None
    weighting: Literal["masked", "bound"] = "masked"

    def index(self, t: Tensor) -> Tensor:
        """Step k = 0 .. steps - 1 of a D3PM at times t; MatterGen's grid t = m/steps meets k = m - 1."""
        last = (self.steps or 1) - 1
        return torch.floor(t * last)

    def share(self, t: Tensor) -> Tensor:
        """Probability that a site is masked at times t; at index k it is after k + 1 steps."""
        return t if self.steps is None else (self.index(t) + 1) / self.steps

    def prior(self, noise: Noise, shape: tuple[int, int]) -> Tensor:
        """All sites masked, shape (B, N); nothing is drawn."""
        return torch.full(shape, MASK, dtype=torch.int64, device=noise.device)

    def corrupt(self, clean: Tensor, t: Tensor, noise: Noise, together: Tensor | None = None) -> Tensor:
        """Atomic numbers (B, N) with each site masked with probability :meth:`share` of t (B,).

        Sites with the same number 0 .. N - 1 in ``together`` (B, N) are masked or kept together.
        """
        u = noise.uniform("species/noise", tuple(clean.shape))
        masked = (u if together is None else u.gather(1, together)) < self.share(t)[:, None]
        return torch.where(masked, torch.full_like(clean, MASK), clean)

    def loss(self, logits: Tensor, clean: Tensor, noisy: Tensor, mask: Tensor, t: Tensor) -> Tensor:
        """Cross-entropy over the number of all sites, shape (B,), at times t (B,).

        The evidence bound weights masked sites by 1/t, which lets the few masked sites at small t dominate; "masked"
        leaves it out. In closed form MatterGen's bound, the divergence of the posteriors of a D3PM with
        linear masking, is the cross-entropy of a masked site over k + 1 and zero elsewhere, plus 0.01 of the
        cross-entropy of every site.
        """
        hidden = mask & (noisy == MASK)
        entropy = F.cross_entropy(logits.mT, (clean - 1).clamp_min(0), reduction="none")
        if self.weighting == "masked":
            return (entropy * hidden).sum(1) / mask.sum(1)
        weight = hidden / (self.index(t) + 1)[:, None] + AUXILIARY * mask
        return (entropy * weight).sum(1) / mask.sum(1)

    def step(
        self, noisy: Tensor, logits: Tensor, t: Tensor, s: Tensor, mask: Tensor, noise: Noise, temperature: float = 1.0
    ) -> Tensor:
        """From t to s < t: reveal masked sites; at s = 0 all of them. Species come from softmax(logits/temperature)."""
        u = noise.uniform("species/reveal", tuple(noisy.shape))
        reveal = mask & (noisy == MASK) & (u < ((t - s) / t)[:, None])
        # One number a site and the cumulative distribution: a number for each species would cost as much as a layer.
        cumulative = torch.softmax(logits[..., : self.n_species].double() / temperature, dim=-1).cumsum(-1)
        aim = noise.uniform("species/draw", tuple(noisy.shape)).double() * cumulative[..., -1]
        drawn = torch.searchsorted(cumulative, aim[..., None], right=True)[..., 0].clamp_max(self.n_species - 1) + 1
        return torch.where(reveal, drawn, noisy)
