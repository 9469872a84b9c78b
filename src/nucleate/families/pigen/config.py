"""Choices of the family; the presets give the published ones with their places in the papers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.conditions.kinds import Condition
from nucleate.conditions.quantities import quantity
from nucleate.families.joint_config import JointConfig, SamplerConfig
from nucleate.families.pigen.compactness import Variant
from nucleate.networks.cspnet import CSPNetConfig

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
