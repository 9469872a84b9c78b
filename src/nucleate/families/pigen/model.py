"""Joint diffusion of species, fractional coordinates and cell on CSPNet: DiffCSP, and PIGEN on top of it.

Jiao et al., Crystal structure prediction by joint equivariant diffusion, NeurIPS 2023; Vasylenko et al.,
Physics-informed diffusion models for extrapolating crystal structures beyond known motifs, 2025. The papers'
choices and those that replace them by default stand side by side in :mod:`nucleate.families.pigen.config`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nucleate.diffusion.joint import JointProcess, Prediction, State
from nucleate.diffusion.schedule import GeometricSchedule
from nucleate.diffusion.species import GaussianSpecies, MaskedSpecies, SpeciesProcess
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess
from nucleate.families.joint_model import N_SPECIES, JointModel
from nucleate.families.pigen.compactness import CompactnessTerm
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
        predicts: Literal["noise", "velocity"] = "noise" if config.cell == "matrix" else "velocity"
        process = JointProcess(
            species,
            WrappedNormalProcess(GeometricSchedule(*config.sigma)),
            VariancePreservingProcess("cell", predicts),
        )
        cells: CellVectors = MatrixCells() if config.cell == "matrix" else LogShapeCells()
        inputs = species.n_inputs + (WIDTH if config.site_features else 0)
        network = CSPNet(config.network(inputs, N_SPECIES, cells.width))
        super().__init__(config, name, process, cells, network, config.hidden, config.layers)
        self.term = CompactnessTerm(config.compactness_loss, config.compactness_weight, process, cells)

    def evaluate(
        self,
        state: State,
        lattice: Tensor,
        t: Tensor,
        sites: Tensor | None,
        context: Tensor | None,
        mix: Mix | None,
    ) -> Prediction:
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
        return Prediction(logits, coordinates, self.cells.prediction(cell, lattice))
