"""Symmetry-constrained processes: the same steps, with what would break the symmetry averaged out.

The processes of a crystal whose sites form orbits (:class:`nucleate.symmetry.orbits.SiteOrbits`): coordinates move as
orbits, the metric stays invariant under the point group, and sites of one class carry one species, different from
that of any other class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.diffusion.langevin import StepSize
from nucleate.diffusion.noise import Noise
from nucleate.diffusion.schedule import Step
from nucleate.diffusion.species import FORBIDDEN, MASK, MaskedProcess, MaskedSpecies
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess, wrapped_score
from nucleate.symmetry.orbits import SiteOrbits


@dataclass(frozen=True)
class OrbitCoordinates(WrappedNormalProcess):
    """Wrapped normal noise on the free coordinates of orbits; the origin is that of the operations."""

    orbits: SiteOrbits = field(kw_only=True)

    @classmethod
    def like(cls, free: WrappedNormalProcess, orbits: SiteOrbits) -> OrbitCoordinates:
        """The process of orbits beside that of free sites."""
        return cls(free.schedule, free.shrink, free.unit, free.centre, orbits=orbits)

    def prior(self, noise: Noise, shape: tuple[int, ...]) -> Tensor:
        return torch.remainder(self.orbits.positions(super().prior(noise, shape)), 1.0)

    def corrupt(self, clean: Tensor, t: Tensor, mask: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy coordinates and score, both (B, N, 3), with noise that keeps the orbits; ``clean`` keeps them too.

        The score in the free numbers is exact where the columns of the basis are orthogonal (they nearly always
        are); elsewhere their correlation is left out.
        """
        sigma = self.sigma(t, mask, clean)
        drawn = sigma * noise.normal("coordinates/noise", tuple(clean.shape))
        width = torch.linalg.vector_norm(self.orbits.dual, dim=-1)
        fixed = width == 0
        slope = wrapped_score(self.orbits.free(drawn), torch.where(fixed, 1.0, sigma * width)).masked_fill(fixed, 0.0)
        score = self.orbits.gradients(slope) / self.score_unit(sigma)
        moved = self.orbits.vectors(drawn) * mask[..., None]
        return torch.remainder(clean + moved, 1.0), self.centred(score, mask)

    def loss(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return super().loss(self.orbits.averaged(self.centred(prediction, mask)), target, mask)

    def score(self, prediction: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        return self.orbits.averaged(super().score(prediction, t, mask)) * mask[..., None]

    def drawn(self, stream: str, noisy: Tensor, mask: Tensor, noise: Noise) -> Tensor:
        # Not centred: where the group fixes the origin, a shift of all sites is no symmetry of the process.
        return self.orbits.vectors(noise.normal(stream, tuple(noisy.shape))) * mask[..., None]


@dataclass(frozen=True)
class SymmetricCells(VariancePreservingProcess):
    """Cells as vectors, moved after every step onto the nearest invariant ones.

    Attributes:
        project: Cell vectors (B, F) to those of invariant cells.
    """

    project: Callable[[Tensor], Tensor] = field(kw_only=True)

    @classmethod
    def like(cls, free: VariancePreservingProcess, project: Callable[[Tensor], Tensor]) -> SymmetricCells:
        """The process of cells that are kept in place beside that of free ones."""
        return cls(free.stream, free.predicts, free.schedule, free.entries, free.bound, project=project)

    def prior(self, noise: Noise, shape: tuple[int, ...]) -> Tensor:
        return self.project(super().prior(noise, shape))

    def corrupt(self, clean: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy invariant cells and the target of the network, both (B, F); the noise is what of it is invariant."""
        invariant = self.project(clean)
        noisy = self.project(super().corrupt(invariant, t, noise)[0])
        return noisy, self.prediction_for(invariant, noisy, t)

    def step(self, noisy: Tensor, prediction: Tensor, step: Step) -> Tensor:
        return self.project(super().step(noisy, prediction, step))

    def correct(self, noisy: Tensor, prediction: Tensor, t: Tensor, noise: Noise, rule: StepSize) -> Tensor:
        return self.project(super().correct(noisy, prediction, t, noise, rule))


class ClassSpecies(MaskedSpecies):
    """Masking of whole classes of sites.

    Arguments:
        classes: Class 0 .. K - 1 of each site, -1 at padding, shape (B, N).
        process: Of single sites.
    """

    def __init__(self, classes: Tensor, process: MaskedProcess | None = None) -> None:
        super().__init__(process)
        n_classes = int(classes.max()) + 1
        # Padding counts as a class of its own behind the others, and is cut off again.
        self._member = F.one_hot(torch.where(classes < 0, n_classes, classes), n_classes + 1)[..., :-1]
        self._size = self._member.sum(1)
        self._site = classes.clamp_min(0)

    def corrupt(self, numbers: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy and clean atomic numbers, both (B, N), with the sites of a class masked together."""
        return self.process.corrupt(numbers, t, noise, self._site), numbers

    def step(self, state: Tensor, prediction: Tensor, step: Step, mask: Tensor, allowed: Tensor) -> Tensor:
        there = self._size > 0
        now = (self._member * state[..., None]).amax(1)
        log_p = torch.log_softmax(prediction[..., : self.process.n_species], -1)
        logits = (self._member.mT.to(log_p.dtype) @ log_p) / self._size.clamp_min(1)[..., None]
        chosen = now
        for _ in range(now.shape[1]):  # each pass decides at least one class
            free = allowed[:, None] & ~_taken(chosen, allowed.shape[1])[:, None]
            drawn = self.process.step(chosen, logits.masked_fill(~free, FORBIDDEN), step, there)
            twin = (drawn[:, :, None] == drawn[:, None, :]) & (drawn != MASK)[:, :, None]
            clash = (chosen == MASK) & (twin & _earlier(twin, chosen)).any(-1)
            chosen = torch.where(clash, chosen, drawn)
            if not clash.any():
                break
        return torch.where(mask, chosen.gather(1, self._site), state)


def _taken(chosen: Tensor, n_species: int) -> Tensor:
    """Species that some class carries, shape (B, n_species)."""
    return F.one_hot(chosen, n_species + 1).any(1)[:, 1:]


def _earlier(twin: Tensor, chosen: Tensor) -> Tensor:
    """True where the second of two classes had its species before, or comes first of two drawn together."""
    order = torch.ones_like(twin).tril(-1)
    return order | (chosen != MASK)[:, None, :]
