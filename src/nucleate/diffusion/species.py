"""Diffusion of species: by masking, or by Gaussian noise on one-hot vectors, behind one interface.

Masking is the absorbing D3PM with a linear schedule, in continuous time. A site is masked with probability t,
independently of the others (Austin et al., 2021; MatterGen's species process in the limit of many steps, Eq. A17). The
posterior has a closed form: from t to s a masked site is revealed with probability (t - s)/t and then drawn from the
network's distribution over clean species. Gaussian noise on one-hot vectors is DiffCSP's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.diffusion.noise import Noise
from nucleate.diffusion.schedule import Step
from nucleate.diffusion.variance_preserving import VariancePreservingProcess

MASK = 0
"""The masked state; real species are their atomic numbers, so it shares its number with padding."""

AUXILIARY = 0.01
"""λ_CE, the weight of the cross-entropy of every site in MatterGen's loss (Eq. A43)."""
_SHARPNESS = 0.1
"""Temperature at which an estimated one-hot vector is read as probabilities."""
FORBIDDEN = -1e9
"""Logit of a species that must not be drawn."""


@dataclass(frozen=True)
class MaskedProcess:
    """Masking of atomic numbers 1 .. n_species.

    Networks predict logits over clean species, column z - 1 for atomic number z; further columns are states
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
        """Step k = 0 .. steps - 1 of a D3PM at times t (B,), shape (B,); MatterGen's grid is t = (k + 1)/steps."""
        last = (self.steps or 1) - 1
        return torch.floor(t * last)

    def share(self, t: Tensor) -> Tensor:
        """Probability that a site is masked at times t (B,), shape (B,); at index k it is after k + 1 steps."""
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
        weight = hidden / (self.index(t) + 1)[:, None] + AUXILIARY * mask  # Eq. A43
        return (entropy * weight).sum(1) / mask.sum(1)

    def step(self, noisy: Tensor, logits: Tensor, step: Step, mask: Tensor) -> Tensor:
        """Atomic numbers (B, N) at s < t, more of them revealed; at s = 0 all. Species: softmax(logits/temperature)."""
        u = step.noise.uniform("species/reveal", tuple(noisy.shape))
        reveal = mask & (noisy == MASK) & (u < ((step.t - step.s) / step.t)[:, None])  # MatterGen, Eq. A16
        # One number a site and the cumulative distribution: a number for each species would cost as much as a layer.
        cumulative = torch.softmax(logits[..., : self.n_species].double() / step.temperature, dim=-1).cumsum(-1)
        aim = step.noise.uniform("species/draw", tuple(noisy.shape)).double() * cumulative[..., -1]
        drawn = torch.searchsorted(cumulative, aim[..., None], right=True)[..., 0].clamp_max(self.n_species - 1) + 1
        return torch.where(reveal, drawn, noisy)


class SpeciesProcess(Protocol):
    """How species become noise and come back; the state, (B, N) or (B, N, n_species), is in the process's own form."""

    @property
    def n_inputs(self) -> int:
        """Width of :meth:`features`."""

    def prior(self, noise: Noise, shape: tuple[int, int]) -> Tensor:
        """State of pure noise for sites of shape (B, N)."""

    def known(self, numbers: Tensor) -> Tensor:
        """State of sites of atomic numbers (B, N)."""

    def corrupt(self, numbers: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy state and the target of the network at times t (B,)."""

    def features(self, state: Tensor) -> Tensor:
        """Input of the network, shape (B, N, n_inputs)."""

    def probabilities(self, state: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """Probabilities of the clean species at each site, shape (B, N, n_species), at times t (B,)."""

    def loss(self, prediction: Tensor, target: Tensor, state: Tensor, mask: Tensor, t: Tensor) -> Tensor:
        """Loss of each crystal at times t (B,), shape (B,)."""

    def step(self, state: Tensor, prediction: Tensor, step: Step, mask: Tensor, allowed: Tensor) -> Tensor:
        """State at s < t, shaped as ``state``; species outside ``allowed`` (B, n_species) are not drawn."""

    def decode(self, state: Tensor, mask: Tensor, allowed: Tensor) -> Tensor:
        """Atomic numbers (B, N), 0 at padding."""


class MaskedSpecies:
    """Masking (:class:`MaskedProcess`); the network predicts logits."""

    def __init__(self, process: MaskedProcess | None = None) -> None:
        self.process = process or MaskedProcess()

    @property
    def n_inputs(self) -> int:
        return self.process.n_species + 1

    def prior(self, noise: Noise, shape: tuple[int, int]) -> Tensor:
        return self.process.prior(noise, shape)

    def known(self, numbers: Tensor) -> Tensor:
        return numbers

    def corrupt(self, numbers: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        return self.process.corrupt(numbers, t, noise), numbers

    def features(self, state: Tensor) -> Tensor:
        return F.one_hot(state, self.n_inputs).float()

    def probabilities(self, state: Tensor, prediction: Tensor, t: Tensor) -> Tensor:  # noqa: ARG002
        n_species = self.process.n_species
        known = F.one_hot((state - 1).clamp_min(0), n_species).to(prediction.dtype)
        return torch.where((state == MASK)[..., None], torch.softmax(prediction[..., :n_species], -1), known)

    def loss(self, prediction: Tensor, target: Tensor, state: Tensor, mask: Tensor, t: Tensor) -> Tensor:
        return self.process.loss(prediction, target, state, mask, t)

    def step(self, state: Tensor, prediction: Tensor, step: Step, mask: Tensor, allowed: Tensor) -> Tensor:
        logits = prediction[..., : self.process.n_species].masked_fill(~allowed[:, None], FORBIDDEN)
        return self.process.step(state, logits, step, mask)

    def decode(self, state: Tensor, mask: Tensor, allowed: Tensor) -> Tensor:  # noqa: ARG002
        return torch.where(mask, state, torch.full_like(state, MASK))


class GaussianSpecies:
    """Gaussian noise on one-hot vectors, DiffCSP's published choice; argmax at the end."""

    def __init__(self, n_species: int = 100) -> None:
        self.n_species = n_species
        self.process = VariancePreservingProcess("species")

    @property
    def n_inputs(self) -> int:
        return self.n_species

    def prior(self, noise: Noise, shape: tuple[int, int]) -> Tensor:
        return self.process.prior(noise, (*shape, self.n_species))

    def known(self, numbers: Tensor) -> Tensor:
        return F.one_hot((numbers - 1).clamp_min(0), self.n_species).float()

    def corrupt(self, numbers: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        return self.process.corrupt(self.known(numbers), t, noise)

    def features(self, state: Tensor) -> Tensor:
        return state

    def probabilities(self, state: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        return torch.softmax(self.process.clean(state, prediction, t) / _SHARPNESS, -1)

    def loss(self, prediction: Tensor, target: Tensor, state: Tensor, mask: Tensor, t: Tensor) -> Tensor:  # noqa: ARG002
        return self.process.loss(prediction, target, mask)

    def step(
        self,
        state: Tensor,
        prediction: Tensor,
        step: Step,
        mask: Tensor,  # noqa: ARG002
        allowed: Tensor,  # noqa: ARG002
    ) -> Tensor:
        return self.process.step(state, prediction, step)

    def decode(self, state: Tensor, mask: Tensor, allowed: Tensor) -> Tensor:
        numbers = state.masked_fill(~allowed[:, None], FORBIDDEN).argmax(-1) + 1
        return torch.where(mask, numbers, torch.zeros_like(numbers))
