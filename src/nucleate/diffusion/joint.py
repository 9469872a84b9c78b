"""Joint diffusion of species, coordinates and cell under one clock (MatterGen, Appendix A.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from nucleate.diffusion.noise import Noise
from nucleate.diffusion.species import SpeciesProcess
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess


class State(NamedTuple):
    """A noisy batch of B crystals of at most N sites.

    Attributes:
        species: In the form of its process, shape (B, N) or (B, N, S).
        frac: Fractional coordinates, shape (B, N, 3).
        cell: The cell as a vector, shape (B, F).
        mask: True on real sites, shape (B, N).
    """

    species: Tensor
    frac: Tensor
    cell: Tensor
    mask: Tensor


class Prediction(NamedTuple):
    """A denoiser's prediction for a state, each field in the form that its process defines.

    Attributes:
        species: Logits of clean species, or noise of one-hot vectors, shape (B, N, S).
        frac: Score of the coordinates in units of its process, shape (B, N, 3).
        cell: Noise or velocity of the cell vectors, shape (B, F).
    """

    species: Tensor
    frac: Tensor
    cell: Tensor


class Denoiser(Protocol):
    """Anything that predicts all fields at once; guidance wraps one and is one."""

    def __call__(self, state: State, t: Tensor) -> Prediction:
        """Prediction for a batch at times t (B,) in [0, 1]."""


@dataclass(frozen=True)
class JointProcess:
    """One process for each field; given the clean crystal the fields are independent."""

    species: SpeciesProcess
    frac: WrappedNormalProcess
    cell: VariancePreservingProcess

    def corrupt(
        self, numbers: Tensor, frac: Tensor, cell: Tensor, mask: Tensor, t: Tensor, t_species: Tensor, noise: Noise
    ) -> tuple[State, Prediction]:
        """Noisy state, and the targets of a denoiser.

        Arguments:
            numbers: Atomic numbers, 0 at padding, shape (B, N).
            frac: Fractional coordinates, shape (B, N, 3).
            cell: Cell vectors, shape (B, F).
            mask: True on real sites, shape (B, N).
            t: Times of coordinates and cell, shape (B,).
            t_species: Times of the species, which may have a clock of their own, shape (B,).
            noise: Random numbers of the batch.
        """
        species, species_target = self.species.corrupt(numbers, t_species, noise)
        noisy_frac, frac_target = self.frac.corrupt(frac, t, mask, noise)
        noisy_cell, cell_target = self.cell.corrupt(cell, t, noise)
        return State(species, noisy_frac, noisy_cell, mask), Prediction(species_target, frac_target, cell_target)

    def losses(self, prediction: Prediction, target: Prediction, state: State, t_species: Tensor) -> Prediction:
        """Loss of each field for each crystal, each of shape (B,)."""
        return Prediction(
            self.species.loss(prediction.species, target.species, state.species, state.mask, t_species),
            self.frac.loss(prediction.frac, target.frac, state.mask),
            self.cell.loss(prediction.cell, target.cell),
        )
