"""Choices of the family; :meth:`DiffCSPConfig.paper` gives the published ones with their places in the paper."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.config import Settings
from nucleate.errors import UserError
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


class DiffCSPConfig(Settings):
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
        templates: Keep the templates of the training crystals with the weights.
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
    max_atoms: int = Field(default=20, ge=1, le=200)
    sampler: SamplerConfig = FAST_SAMPLER

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
            templates=False,
            sampler=PAPER_SAMPLER,
        )

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
