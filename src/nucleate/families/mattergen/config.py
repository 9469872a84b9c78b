"""Choices of the family; the presets give the published ones with their places in the paper and its public code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.conditions.quantities import quantity
from nucleate.families.joint_config import DEFAULT_SAMPLER, JointConfig, SamplerConfig
from nucleate.networks.cspnet import CSPNetConfig
from nucleate.networks.gemnet import GemNetConfig

PAPER_SAMPLER = SamplerConfig(steps=1000, corrector="snr", corrector_steps=1, snr=(0.4, 0.2))
"""D.1.3: 1,000 steps, before each a Langevin step at a signal-to-noise ratio of 0.4 for coordinates, 0.2 for cells."""


class MatterGenConfig(JointConfig):
    """A model of the family.

    Attributes:
        network: "gemnet" (the paper's GemNet-dT) or "cspnet", which is smaller and faster.
        gemnet, cspnet: Their shapes; widths of inputs and outputs follow from the rest. Edges come in whole shells:
            20 neighbours hold the first two of the dense packings.
        cell: "matrix" noises the symmetric matrix towards a cube (the paper), "log_shape" its logarithm.
        species_steps: Steps of the D3PM (the paper: 1,000); None masks in continuous time.
        species_loss: "bound", the paper's, or the cross-entropy of the "masked" sites alone.
        sigma: Smallest and largest noise of the fractional coordinates of one atom; n atoms have n^(-1/3) of it.
        centre: Take the mean over a crystal's sites out of answer, target and noise of coordinates.
        time_scale: The network gets t times this as its time.
        published_labels: Adapters read labels as the public code does, which its weights need.

    The rest is :class:`nucleate.families.joint_config.JointConfig`'s.
    """

    network: Literal["gemnet", "cspnet"] = "gemnet"
    gemnet: GemNetConfig = GemNetConfig.small(hidden=256, neighbours=20)
    cspnet: CSPNetConfig = CSPNetConfig(hidden=192, layers=6, frequencies=24, time_features=64, distance_basis=24)
    cell: Literal["matrix", "log_shape"] = "matrix"
    species_steps: int | None = Field(default=None, ge=2)
    species_loss: Literal["masked", "bound"] = "masked"
    sigma: tuple[float, float] = (0.01, 1.4)
    centre: bool = True
    bounded_above: float | None = Field(default=5.0, gt=0)
    time_scale: float = Field(default=1000.0, gt=0)
    published_labels: bool = False
    # At a temperature of 0.7 no more crystals of this family are stable (docs/walks.md).
    sampler: SamplerConfig = DEFAULT_SAMPLER.model_copy(update={"temperature": 0.5})

    @classmethod
    def paper(cls) -> MatterGenConfig:
        """As published; places are those of the paper's supplement, and of the public code where it says more.

        Network: A.8 with the sizes of the public code. Noise: A.5 (1,000 steps), A.6 with σ 0.01 .. 5, A.7. Losses and
        their weights: the public code's, sums over sites. Conditions: B.1, dropped one by one with probability 0.2.
        """
        return cls(
            gemnet=GemNetConfig(),
            species_steps=1000,
            species_loss="bound",
            sigma=(0.01, 5.0),
            centre=False,
            bounded_above=None,
            time_scale=1.0,
            weights=(1.0, 0.1, 1.0),
            sum_over_sites=True,
            earliest=1e-5,
            known_species=0.0,
            partly_known_species=0.0,
            augment=False,
            templates=False,
            tied=0.0,
            site_features=False,
            drop_each=0.2,
            drop_all=0.0,
            sampler=PAPER_SAMPLER,
        )

    @classmethod
    def conditioned(cls) -> MatterGenConfig:
        """The small configuration, conditioned on those of the paper's base models from the start."""
        return cls(conditions=tuple(quantity(name).condition for name in ("chemical_system", "energy_above_hull")))
