"""Species processes: one interface over masking and over Gaussian noise on one-hot vectors."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.diffusion.masked import MASK, MaskedProcess
from nucleate.diffusion.noise import Noise
from nucleate.diffusion.variance_preserving import VariancePreservingProcess

_SHARPNESS = 0.1
"""Temperature at which an estimated one-hot vector is read as probabilities."""
FORBIDDEN = -1e9
"""Logit of a species that must not be drawn."""


class SpeciesProcess(Protocol):
    """How species become noise and come back; the state's form is the process's own."""

    @property
    def n_inputs(self) -> int:
        """Width of :meth:`features`."""

    def prior(self, noise: Noise, shape: tuple[int, int]) -> Tensor:
        """Pure noise for (B, N) sites."""

    def known(self, numbers: Tensor) -> Tensor:
        """The state of sites whose species are given."""

    def corrupt(self, numbers: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy state and the target of the network at times t (B,)."""

    def features(self, state: Tensor) -> Tensor:
        """What the network sees, shape (B, N, n_inputs)."""

    def probabilities(self, state: Tensor, answer: Tensor, t: Tensor) -> Tensor:
        """Of the clean species at each site, as the answer has them, shape (B, N, n_species)."""

    def loss(self, answer: Tensor, target: Tensor, state: Tensor, mask: Tensor, t: Tensor) -> Tensor:
        """Loss of each crystal at times t (B,), shape (B,)."""

    def step(
        self,
        state: Tensor,
        answer: Tensor,
        t: Tensor,
        s: Tensor,
        mask: Tensor,
        noise: Noise,
        allowed: Tensor,
        temperature: float,
    ) -> Tensor:
        """From t to s < t; species outside ``allowed`` (B, n_species) are not drawn."""

    def decode(self, state: Tensor, mask: Tensor, allowed: Tensor) -> Tensor:
        """Atomic numbers (B, N), 0 at padding."""


class MaskedSpecies:
    """Masking (:class:`MaskedProcess`); the network answers with logits."""

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

    def probabilities(self, state: Tensor, answer: Tensor, t: Tensor) -> Tensor:  # noqa: ARG002
        n_species = self.process.n_species
        known = F.one_hot((state - 1).clamp_min(0), n_species).to(answer.dtype)
        return torch.where((state == MASK)[..., None], torch.softmax(answer[..., :n_species], -1), known)

    def loss(self, answer: Tensor, target: Tensor, state: Tensor, mask: Tensor, t: Tensor) -> Tensor:
        return self.process.loss(answer, target, state, mask, t)

    def step(
        self,
        state: Tensor,
        answer: Tensor,
        t: Tensor,
        s: Tensor,
        mask: Tensor,
        noise: Noise,
        allowed: Tensor,
        temperature: float,
    ) -> Tensor:
        logits = answer[..., : self.process.n_species].masked_fill(~allowed[:, None], FORBIDDEN)
        return self.process.step(state, logits, t, s, mask, noise, temperature)

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

    def probabilities(self, state: Tensor, answer: Tensor, t: Tensor) -> Tensor:
        return torch.softmax(self.process.clean(state, answer, t) / _SHARPNESS, -1)

    def loss(self, answer: Tensor, target: Tensor, state: Tensor, mask: Tensor, t: Tensor) -> Tensor:  # noqa: ARG002
        return self.process.loss(answer, target, mask)

    def step(
        self,
        state: Tensor,
        answer: Tensor,
        t: Tensor,
        s: Tensor,
        mask: Tensor,  # noqa: ARG002
        noise: Noise,
        allowed: Tensor,  # noqa: ARG002
        temperature: float,  # noqa: ARG002
    ) -> Tensor:
        return self.process.step(state, answer, t, s, noise)

    def decode(self, state: Tensor, mask: Tensor, allowed: Tensor) -> Tensor:
        numbers = state.masked_fill(~allowed[:, None], FORBIDDEN).argmax(-1) + 1
        return torch.where(mask, numbers, torch.zeros_like(numbers))
