"""PIGEN's physics: the loss on compactness, and guidance by it in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.conditions.labels import Labels
from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import compactness, expected_compactness, sphere_volumes
from nucleate.diffusion.joint import Denoiser, JointProcess, Prediction, State
from nucleate.diffusion.species import SpeciesProcess
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.representations.cells import CellVectors
from nucleate.training.batch import TrainingBatch

Variant = Literal["none", "estimate", "noise", "draft", "types", "full"]
UPSTREAM: tuple[Variant, ...] = tuple(name for name in get_args(Variant) if name not in ("none", "estimate"))
SHARPNESS = 0.1
"""Temperature of the species in the variants ``types`` and ``full``."""


def estimate_loss(probabilities: Tensor, lattice: Tensor, mask: Tensor, target: Tensor, gate: Tensor) -> Tensor:
    """gate · (log C - log C_0)², shape (B,); free of scale, zero where C_0 is not known.

    Arguments:
        probabilities: Of the species at each site of the estimated clean crystal, shape (B, N, S).
        lattice: Its cells in Å, shape (B, 3, 3).
        mask: True on real sites, shape (B, N).
        target: Compactness C_0 of the clean crystals, NaN where undefined, shape (B,).
        gate: Share of the signal in the noisy cell, ᾱ(t), shape (B,).
    """
    found = expected_compactness(probabilities, lattice, mask)
    known = target.isfinite() & found.isfinite() & (target > 0)
    # What is not known must not spoil the gradient of the rest.
    ratio = torch.where(known, found, torch.ones_like(found)) / torch.where(known, target, torch.ones_like(target))
    return gate * ratio.log().square()


def upstream_loss(variant: Variant, state: State, prediction: Prediction, alpha_bar: Tensor, target: Tensor) -> Tensor:
    """One of the published variants, shape (B,); see the module.

    Arguments:
        variant: Which.
        state: Noisy one-hot vectors of species (B, N, S) and noisy cells, nine numbers in Å each (B, 9).
        prediction: The noise of both.
        alpha_bar: ᾱ(t), shape (B,).
        target: Compactness of the clean crystals, NaN where undefined, shape (B,).
    """
    species, cell, mask = state.species, state.cell, state.mask
    noise, cell_noise = prediction.species, prediction.cell
    volumes = torch.nan_to_num(sphere_volumes(species.shape[-1]).to(species))
    signal, spread = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    if variant in ("noise", "draft"):
        number = noise.argmax(-1)
        filled = volumes[number if variant == "noise" else (number + 1).clamp_max(len(volumes) - 1)]
        volume = torch.linalg.det(cell_noise.unflatten(-1, (3, 3))).abs() / signal**3 * mask.sum(1) ** 3
        found = (filled * mask).sum(1) / volume.clamp_min(1e-6)
        if variant == "noise":
            return _log_cosh(found - target)
        error = (found.detach() - target).square().clamp(1e-6, 1e5)
        return torch.where(error > 1, error.log(), error)
    clean = (species - spread[:, None, None] * noise) / signal.clamp_min(0.1)[:, None, None]
    lattice = ((cell - spread[:, None] * cell_noise) / signal.clamp_min(0.1)[:, None]).unflatten(-1, (3, 3))
    if variant == "types":
        lattice = lattice.detach()
    filled = (torch.softmax(clean / SHARPNESS, -1) @ volumes * mask).sum(1)
    found = filled / torch.linalg.det(lattice).abs().clamp_min(1.0)
    return alpha_bar * _log_cosh(found - target)


def _log_cosh(x: Tensor) -> Tensor:
    """log cosh x without overflow; zero and without gradient where x is not known."""
    x = torch.where(x.isfinite(), x, torch.zeros_like(x))
    return x.abs() + F.softplus(-2 * x.abs()) - torch.log(torch.tensor(2.0, dtype=x.dtype, device=x.device))


@dataclass(frozen=True)
class CompactnessGuidance:
    """A denoiser whose cells come nearer to a compactness.

    Attributes:
        denoiser: Answers for the batch.
        species: Process of the species.
        cell: Process of the cells.
        cells: Between cells and vectors.
        target: Requested compactness of each crystal, a share of the volume, shape (B,).
        share: Of the way to the target that is gone where the signal is whole, 0 to 1.
    """

    denoiser: Denoiser
    species: SpeciesProcess
    cell: VariancePreservingProcess
    cells: CellVectors
    target: Tensor
    share: float

    def __call__(self, state: State, t: Tensor) -> Prediction:
        """The denoiser's prediction with another cell."""
        prediction = self.denoiser(state, t)
        n_atoms = state.mask.sum(1)
        clean = self.cell.clean(state.cell, prediction.cell, t)
        lattice = self.cells.decode(clean, n_atoms)
        probabilities = self.species.probabilities(state.species, prediction.species, t)
        found = expected_compactness(probabilities, lattice, state.mask)
        known = found.isfinite() & (found > 0)
        off = (torch.where(known, found, self.target) / self.target).log()
        stretch = (self.share * self.cell.schedule.alpha_bar(t) * off / 3).exp()
        moved = self.cells.encode(lattice * stretch[:, None, None], n_atoms)
        return prediction._replace(cell=self.cell.prediction_for(moved, state.cell, t))


@dataclass(frozen=True)
class CompactnessTerm:
    """The family's addition to joint diffusion: a loss on compactness, and guidance towards one.

    Attributes:
        variant: Which loss; "none" for none.
        weight: Dimensionless, of the loss beside those of species, coordinates and cell.
        process: Of species, coordinates and cells.
        cells: Between cells and vectors.
    """

    variant: Variant
    weight: float
    process: JointProcess
    cells: CellVectors

    def labels(self, crystals: Crystals) -> dict[str, Tensor]:
        """The compactness (B,) of clean crystals, a share of the volume, for the loss."""
        return {} if self.variant == "none" else {"compactness": compactness(crystals).float()}

    def losses(
        self, batch: TrainingBatch, state: State, prediction: Prediction, t: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        """The dimensionless loss (B,) with its weight."""
        if self.variant == "none":
            return {}
        target = batch.labels.values["compactness"].to(state.frac.dtype)
        alpha_bar = self.process.cell.schedule.alpha_bar(t)
        if self.variant == "estimate":
            lattice = self.cells.decode(self.process.cell.clean(state.cell, prediction.cell, t), batch.crystals.n_atoms)
            probabilities = self.process.species.probabilities(state.species, prediction.species, t)
            loss = estimate_loss(probabilities, lattice, state.mask, target, alpha_bar)
        else:
            loss = upstream_loss(self.variant, state, prediction, alpha_bar, target)
        return {"compactness": (self.weight, loss)}

    def guided(
        self, denoiser: Denoiser, process: JointProcess, labels: Labels, strengths: Mapping[str, float]
    ) -> Denoiser:
        """The denoiser, its cells nearer to a compactness that is asked for, by dimensionless strengths γ."""
        if strengths.get("compactness", 0.0) <= 1:
            return denoiser
        # γ = 1 is the conditional model as it is; what lies above goes more of the way.
        share = 1 - 1 / strengths["compactness"]
        target = labels.values["compactness"]
        return CompactnessGuidance(denoiser, process.species, process.cell, self.cells, target, share)
