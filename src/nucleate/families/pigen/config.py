"""Choices of the family; the presets give the published ones with their places in the papers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from nucleate.config import Settings
from nucleate.errors import UserError
from nucleate.families.pigen.compactness_loss import Variant
from nucleate.guidance.conditions import Condition, MultiHot, Scalar
from nucleate.networks.cspnet import CSPNetConfig


class SamplerConfig(Settings):
    """A walk back (see :class:`nucleate.diffusion.joint.Sampler`) and what follows it.

    Attributes:
        symmetry: "free" walks in all coordinates; "templates" draws for each crystal the symmetry, the orbits and
            the stoichiometry of a training crystal and keeps to them, where the model masks species and has a
            template that fits the request.
        symmetrize: Tolerance in Å within which a finished crystal is moved onto the symmetry it nearly has; 0
            leaves it as it came.
        draws: Most walks for a crystal. One that has atoms too close, or no symmetry within the tolerance, is
            drawn again; the best is kept. With 1, whatever comes is kept.
    """

    steps: int = Field(default=100, ge=1)
    corrector_steps: int = Field(default=1, ge=0)
    corrector_size: float = Field(default=5e-6, gt=0)
    corrector_below: float = Field(default=1.0, ge=0)
    churn: float = Field(default=1.0, ge=0, le=1)
    order: Literal[1, 2] = 1
    spacing: float = Field(default=1.0, gt=0, le=8)
    temperature: float = Field(default=1.0, gt=0)
    symmetry: Literal["free", "templates"] = "free"
    symmetrize: float = Field(default=0.0, ge=0)
    draws: int = Field(default=1, ge=1, le=100)


PAPER_SAMPLER = SamplerConfig(steps=1000)
"""DiffCSP, Algorithm 1 with T = 1000; γ = 5e-6 is the public code's for MP-20 without a given composition."""

FAST_SAMPLER = SamplerConfig(corrector_steps=0, symmetry="templates", draws=4)
"""A tenth of the steps, no corrector; symmetry and stoichiometry of known crystals."""


def sampler_from(text: str, default: SamplerConfig) -> SamplerConfig:
    """The sampler that a user names.

    Arguments:
        text: "default", "paper", or settings to change in the default, as "steps=50,temperature=1".
        default: What the model brings.

    Raises:
        UserError: It is none of these.
    """
    if text in ("default", "paper"):
        return PAPER_SAMPLER if text == "paper" else default
    values = default.model_dump()
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in values:
            expected = "default, paper, or NAME=VALUE,... with names " + ", ".join(values)
            raise UserError("--sampler", repr(part), expected)
        values[name] = value
    return SamplerConfig.checked(values, where="--sampler")


PIGEN_CONDITIONS: tuple[Condition, ...] = (
    Scalar(name="compactness"),
    Scalar(name="local_environment_diversity", unit="bits"),
    Scalar(name="complexity", unit="bits/atom"),
    Scalar(name="energy_above_hull", unit="eV/atom"),
    Scalar(name="formation_energy", unit="eV/atom"),
    Scalar(name="band_gap", unit="eV"),
    Scalar(name="magnetic_density", unit="µB/Å³"),
    MultiHot(name="chemical_system", size=100),
)
"""Their statistics come from the training data."""
COMPACTNESS_WEIGHT = 1.4
"""At which its gradient is 5 to 10 % of the other losses' at ᾱ = 0.9."""


class PigenConfig(Settings):
    """A model of the family: plain DiffCSP, or PIGEN with a loss on compactness and conditions.

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
        templates: Keep the templates of the training crystals with the weights.
        tied: Share of training crystals whose noise keeps their symmetry and whose species are masked class by
            class, as in a walk by templates; wants templates.
        site_features: Tell the network the classes and orbits of such a crystal.
        conditions: What the model can be asked for, beyond what its walk fixes by itself.
        drop_each: Chance of a condition to be missing in training, each on its own.
        drop_all: Chance that all are missing.
        guidance: γ of a condition where nothing else is said.
        compactness_loss: Which loss on the compactness of the estimated crystal, see
            :mod:`nucleate.families.pigen.compactness_loss`.
        compactness_weight: Its weight beside ``weights``.
        max_atoms: Largest crystal that the model is trained on.
        sampler: Default walk.
    """

    cell: Literal["log_shape", "matrix"] = "log_shape"
    species: Literal["masked", "gaussian"] = "masked"
    sigma: tuple[float, float] = (0.005, 0.5)
    hidden: int = Field(default=192, ge=1)
    layers: int = Field(default=6, ge=1)
    frequencies: int = Field(default=24, ge=1)
    time_features: int = Field(default=64, ge=2, multiple_of=2)
    distance_basis: int = Field(default=24, ge=0)
    weights: tuple[float, float, float] = (0.3, 1.0, 0.5)
    known_species: float = Field(default=0.15, ge=0, le=1)
    partly_known_species: float = Field(default=0.15, ge=0, le=1)
    augment: bool = True
    templates: bool = True
    tied: float = Field(default=0.7, ge=0, le=1)
    site_features: bool = True
    conditions: tuple[Condition, ...] = ()
    drop_each: float = Field(default=0.3, ge=0, le=1)
    drop_all: float = Field(default=0.15, ge=0, le=1)
    guidance: float = Field(default=2.0, ge=0)
    compactness_loss: Variant = "none"
    compactness_weight: float = Field(default=0.0, ge=0)
    max_atoms: int = Field(default=20, ge=1, le=200)
    sampler: SamplerConfig = FAST_SAMPLER

    @field_validator("conditions", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        """Conditions may be named: a property is a scalar, its statistics are those of the training data."""
        named = {condition.name: condition for condition in PIGEN_CONDITIONS}
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            return value
        return tuple(named.get(item, Scalar(name=item)) if isinstance(item, str) else item for item in items)

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

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """The conditions that are numbers."""
        return tuple(condition for condition in self.conditions if isinstance(condition, Scalar))

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
