"""Joint diffusion of species, fractional coordinates and cell on CSPNet: DiffCSP, and PIGEN on top of it.

Jiao et al., Crystal structure prediction by joint equivariant diffusion, NeurIPS 2023; Vasylenko et al.,
Physics-informed diffusion models for extrapolating crystal structures beyond known motifs, 2025. The presets give the
published choices with their places in the papers; those that replace them by default are the fields' own.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nucleate.conditions.kinds import Condition
from nucleate.conditions.quantities import quantity
from nucleate.diffusion.joint import JointProcess, Prediction, State
from nucleate.diffusion.schedule import GeometricSchedule
from nucleate.diffusion.species import GaussianSpecies, MaskedSpecies, SpeciesProcess
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess
from nucleate.families.joint_config import JointConfig, SamplerConfig
from nucleate.families.joint_model import N_SPECIES, JointModel
from nucleate.families.pigen.compactness import CompactnessTerm, Variant
from nucleate.guidance.adapters import Mix
from nucleate.networks.cspnet import CSPNet, CSPNetConfig
from nucleate.representations.cells import CellVectors, LogShapeCells, MatrixCells
from nucleate.symmetry.orbits import WIDTH

PAPER_SAMPLER = SamplerConfig(steps=1000)
"""DiffCSP, Algorithm 1 with T = 1000; γ = 5e-6 is the public code's for MP-20 without a given composition."""

PIGEN_CONDITIONS: tuple[Condition, ...] = tuple(
    quantity(name).condition
    for name in (
        "compactness",
        "local_environment_diversity",
        "complexity",
        "energy_above_hull",
        "formation_energy",
        "band_gap",
        "magnetic_density",
        "chemical_system",
    )
)
"""Their statistics come from the training data."""
COMPACTNESS_WEIGHT = 1.4
"""At which its gradient is 5 to 10 % of the other losses' at ᾱ = 0.9."""


class PigenConfig(JointConfig):
    """A model of the family: plain DiffCSP, or PIGEN with a loss on compactness and conditions.

    Attributes:
        cell: How a cell becomes a vector: "matrix" is the paper's nine raw entries, "log_shape" six numbers that
            are free of rotation, scaled by the number of atoms and always a valid cell.
        species: "gaussian" noise on one-hot vectors (the paper) or "masked".
        sigma: Smallest and largest noise of the fractional coordinates.
        hidden, layers, frequencies, time_features, distance_basis: Shape of CSPNet.
        compactness_loss: Which loss on the compactness of the estimated crystal, see
            :mod:`nucleate.families.pigen.compactness`.
        compactness_weight: Its weight beside ``weights``.

    The rest is :class:`nucleate.families.joint_config.JointConfig`'s.
    """

    cell: Literal["log_shape", "matrix"] = "log_shape"
    species: Literal["masked", "gaussian"] = "masked"
    sigma: tuple[float, float] = (0.005, 0.5)
    hidden: int = Field(default=192, ge=1)
    layers: int = Field(default=6, ge=1)
    frequencies: int = Field(default=24, ge=1)
    time_features: int = Field(default=64, ge=2, multiple_of=2)
    distance_basis: int = Field(default=24, ge=0)
    compactness_loss: Variant = "none"
    compactness_weight: float = Field(default=0.0, ge=0)

    @classmethod
    def diffcsp_paper(cls) -> PigenConfig:
        """DiffCSP as published for MP-20: Table 5 of its appendix; species weight of the generation task."""
        return cls(
            cell="matrix",
            species="gaussian",
            hidden=512,
            layers=6,
            frequencies=128,
            time_features=256,
            distance_basis=0,
            weights=(20.0, 1.0, 1.0),
            known_species=0.0,
            partly_known_species=0.0,
            augment=False,
            templates=False,
            tied=0.0,
            site_features=False,
            sampler=PAPER_SAMPLER,
        )

    @classmethod
    def pigen(cls) -> PigenConfig:
        """The small configuration with the conditions of PIGEN and the loss on compactness."""
        return cls(conditions=PIGEN_CONDITIONS, compactness_loss="estimate", compactness_weight=COMPACTNESS_WEIGHT)

    @classmethod
    def pigen_paper(cls) -> PigenConfig:
        """PIGEN's choices in its public code on DiffCSP's: noise up to σ = 1, two conditions, its later loss."""
        plain = cls.diffcsp_paper().model_dump()
        asked = tuple(c for c in PIGEN_CONDITIONS if c.name in ("compactness", "local_environment_diversity"))
        changed = {
            "sigma": (0.01, 1.0),
            "conditions": asked,
            "drop_each": 0.0,
            "drop_all": 0.6,
            "guidance": 3.0,
            "compactness_loss": "types",
            "compactness_weight": 1.0,
        }
        return cls(**{**plain, **changed})

    def network(self, n_inputs: int, n_outputs: int, cell_features: int) -> CSPNetConfig:
        """Shape of the network for species and cell processes of the given widths."""
        return CSPNetConfig(
            hidden=self.hidden,
            layers=self.layers,
            frequencies=self.frequencies,
            time_features=self.time_features,
            species_inputs=n_inputs,
            species_outputs=n_outputs,
            cell_features=cell_features,
            distance_basis=self.distance_basis,
        )


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
