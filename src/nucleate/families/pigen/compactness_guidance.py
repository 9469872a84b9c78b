"""Steering by a descriptor that is known in closed form: the cell's volume follows the compactness asked for.

The loss of :mod:`nucleate.families.pigen.compactness_loss` at sampling time: its gradient in the cell's volume is
known, and its zero with the species as estimated is a volume. The estimate of the clean cell is moved towards it by
the share of the signal that the noisy cell carries, so that early steps, which know neither, are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.descriptors.compactness import expected_compactness
from nucleate.diffusion.joint import Answer, Denoiser, State
from nucleate.diffusion.species import SpeciesProcess
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.representations.cells import CellVectors


@dataclass(frozen=True)
class CompactnessGuidance:
    """A denoiser whose cells come nearer to a compactness.

    Attributes:
        denoiser: Answers for the batch.
        species: Process of the species.
        cell: Process of the cells.
        cells: Between cells and vectors.
        target: Compactness asked of each crystal, shape (B,).
        share: Of the way to the target that is gone where the signal is whole, 0 to 1.
    """

    denoiser: Denoiser
    species: SpeciesProcess
    cell: VariancePreservingProcess
    cells: CellVectors
    target: Tensor
    share: float

    def __call__(self, state: State, t: Tensor) -> Answer:
        """The denoiser's answer with another cell."""
        answer = self.denoiser(state, t)
        n_atoms = state.mask.sum(1)
        clean = self.cell.clean(state.cell, answer.cell, t)
        lattice = self.cells.decode(clean, n_atoms)
        probabilities = self.species.probabilities(state.species, answer.species, t)
        found = expected_compactness(probabilities, lattice, state.mask)
        known = found.isfinite() & (found > 0)
        off = (torch.where(known, found, self.target) / self.target).log()
        stretch = (self.share * self.cell.schedule.alpha_bar(t) * off / 3).exp()
        moved = self.cells.encode(lattice * stretch[:, None, None], n_atoms)
        return answer._replace(cell=self.cell.answer_for(moved, state.cell, t))
