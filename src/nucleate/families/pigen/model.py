"""Joint diffusion of species, fractional coordinates and cell on CSPNet: DiffCSP, and PIGEN on top of it.

Jiao et al., Crystal structure prediction by joint equivariant diffusion, NeurIPS 2023; Vasylenko et al.,
Physics-informed diffusion models for extrapolating crystal structures beyond known motifs, 2025. The papers'
choices and those that replace them by default stand side by side in :mod:`nucleate.families.pigen.config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from nucleate.conditions.labels import Labels
from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import compactness
from nucleate.diffusion.joint import Answer, Denoiser, JointProcess, State
from nucleate.diffusion.schedule import GeometricSchedule
from nucleate.diffusion.species import GaussianSpecies, MaskedSpecies, SpeciesProcess
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess
from nucleate.families.joint_model import N_SPECIES, JointModel
from nucleate.families.pigen.compactness import CompactnessGuidance, estimate_loss, upstream_loss
from nucleate.families.pigen.config import PigenConfig
from nucleate.guidance.adapters import Mix
from nucleate.networks.cspnet import CSPNet
from nucleate.representations.cells import CellVectors, LogShapeCells, MatrixCells
from nucleate.symmetry.site_features import WIDTH


class Pigen(JointModel):
    """The family's model: CSPNet, the published processes or those that replace them, the loss on compactness."""

    config: PigenConfig

    def __init__(self, config: PigenConfig, name: str = "pigen") -> None:
        species: SpeciesProcess = MaskedSpecies() if config.species == "masked" else GaussianSpecies(N_SPECIES)
        answer: Literal["noise", "velocity"] = "noise" if config.cell == "matrix" else "velocity"
        process = JointProcess(
            species,
            WrappedNormalProcess(GeometricSchedule(*config.sigma)),
            VariancePreservingProcess("cell", answer),
        )
        cells: CellVectors = MatrixCells() if config.cell == "matrix" else LogShapeCells()
        inputs = species.n_inputs + (WIDTH if config.site_features else 0)
        network = CSPNet(config.network(inputs, N_SPECIES, cells.width))
        super().__init__(config, name, process, cells, network, config.hidden, config.layers)

    def evaluate(
        self,
        state: State,
        lattice: Tensor,
        t: Tensor,
        sites: Tensor | None,
        context: Tensor | None,
        mix: Mix | None,
    ) -> Answer:
        species = self.process.species.features(state.species).to(state.frac.dtype)
        out = self.network(
            species if sites is None else torch.cat([species, sites], -1),
            state.frac,
            self.cells.features(state.cell, lattice),
            lattice,
            1000.0 * t,
            state.mask,
            context,
            mix,
        )
        # Reduced precision is for the network alone.
        coordinates, cell, logits = (part.to(state.frac.dtype) for part in out)
        return Answer(logits, coordinates, self.cells.answer(cell, lattice))

    def extra_fields(self, crystals: Crystals) -> dict[str, Tensor]:
        if self.config.compactness_loss == "none":
            return {}
        return {"label/compactness": compactness(crystals).float()}

    def further_losses(
        self, crystals: Crystals, state: State, answer: Answer, t: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        if self.config.compactness_loss == "none":
            return {}
        return {"compactness": (self.config.compactness_weight, self._compactness_loss(crystals, state, answer, t))}

    def _compactness_loss(self, crystals: Crystals, state: State, answer: Answer, t: Tensor) -> Tensor:
        target = crystals.crystal_fields["label/compactness"].to(state.frac.dtype)
        alpha_bar = self.process.cell.schedule.alpha_bar(t)
        if self.config.compactness_loss != "estimate":
            return upstream_loss(
                self.config.compactness_loss, state.species, answer.species, state.cell, answer.cell, alpha_bar,
                state.mask, target,
            )  # fmt: skip
        lattice = self.cells.decode(self.process.cell.clean(state.cell, answer.cell, t), crystals.n_atoms)
        probabilities = self.process.species.probabilities(state.species, answer.species, t)
        return estimate_loss(probabilities, lattice, state.mask, target, alpha_bar)

    def steered(
        self, denoiser: Denoiser, process: JointProcess, labels: Labels, strengths: Mapping[str, float]
    ) -> Denoiser:
        if strengths.get("compactness", 0.0) <= 1:
            return denoiser
        # γ = 1 is the conditional model as it is; what lies above goes more of the way.
        share = 1 - 1 / strengths["compactness"]
        target = labels.values["compactness"]
        return CompactnessGuidance(denoiser, process.species, process.cell, self.cells, target, share)
