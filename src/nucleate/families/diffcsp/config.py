"""Choices of the family; :meth:`DiffCSPConfig.paper` gives the published ones with their places in the paper."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from nucleate.networks.cspnet import CSPNetConfig


class SamplerConfig(BaseModel):
    """A walk back; see :class:`nucleate.diffusion.joint.Sampler`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = 100
    corrector_steps: int = 1
    corrector_size: float = 5e-6
    corrector_below: float = 1.0
    churn: float = 1.0
    temperature: float = 1.0


PAPER_SAMPLER = SamplerConfig(steps=1000)
"""DiffCSP, Algorithm 1 with T = 1000; γ = 5e-6 is the public code's for MP-20 without a given composition."""


class DiffCSPConfig(BaseModel):
    """A DiffCSP model.

    Attributes:
        cell: How a cell becomes a vector: "matrix" is the paper's nine raw entries, "log_shape" six numbers that
            are free of rotation, scaled by the number of atoms and always a valid cell.
        species: "gaussian" noise on one-hot vectors (the paper) or "masked".
        sigma: Smallest and largest noise of the fractional coordinates.
        hidden, layers, frequencies, time_features, distance_basis: Shape of CSPNet.
        weights: Of the losses of species, coordinates and cell.
        known_species: Share of training crystals whose species are given, so that one model also serves
            fixed compositions.
        partly_known_species: Share of those whose species run on a clock of their own.
        augment: Train on every setting of the reduced cell that its metric allows.
        max_atoms: Largest crystal that the model is trained on.
        sampler: Default walk.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell: Literal["log_shape", "matrix"] = "log_shape"
    species: Literal["masked", "gaussian"] = "masked"
    sigma: tuple[float, float] = (0.005, 0.5)
    hidden: int = 192
    layers: int = 6
    frequencies: int = 24
    time_features: int = 64
    distance_basis: int = 24
    weights: tuple[float, float, float] = (0.3, 1.0, 0.5)
    known_species: float = 0.15
    partly_known_species: float = 0.15
    augment: bool = True
    max_atoms: int = 20
    sampler: SamplerConfig = SamplerConfig()

    @classmethod
    def paper(cls) -> DiffCSPConfig:
        """The published model for MP-20: Table 5 of the appendix; species weight of the generation task."""
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
            sampler=PAPER_SAMPLER,
        )

    def network(self, n_inputs: int, n_outputs: int) -> CSPNetConfig:
        """Shape of the network for a species process of the given widths."""
        return CSPNetConfig(
            hidden=self.hidden,
            layers=self.layers,
            frequencies=self.frequencies,
            time_features=self.time_features,
            species_inputs=n_inputs,
            species_outputs=n_outputs,
            cell_features=9 if self.cell == "matrix" else 6,
            distance_basis=self.distance_basis,
        )
