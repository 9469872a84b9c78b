"""Choices of the family; the published ones stand beside those that replace them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from nucleate.configuration import Settings
from nucleate.diffusion.categorical import Schedule
from nucleate.families.base import ConditionalConfig
from nucleate.networks.wyckoff_gnn import WyckoffGNNConfig

N_ELEMENTS = 100


class SamplerConfig(Settings):
    """Reverse diffusion or autoregression over occupations, and how its protostructure becomes a crystal.

    Attributes:
        order: Kind of a step: "orbits", the next orbit of each crystal, so that sizes, elements and
            compositions come out as drawn or asked for; or "time", as published, where any number of orbits may come
            and go. Noise with another prior than "empty" knows the second alone. By the first, a crystal of more atoms
            than ``max_count`` may come out too small, and is drawn again.
        steps: Number of steps of reverse diffusion.
        temperature: Of the distributions that are drawn from.
        draws: Most samples of a crystal; one that is empty, too large, lacks a requested element, has more symmetry
            than its space group, or whose charges cannot balance, is drawn again, and the best is kept.
        balanced: Whether charges that cannot balance count; never where a composition is asked for.
        fill_draws, fill_steps: Crystals of a protostructure that are drawn and improved together, and steps of each.
    """

    order: Literal["orbits", "time"] = "orbits"
    steps: int = Field(default=50, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    draws: int = Field(default=8, ge=1, le=100)
    balanced: bool = True
    fill_draws: int = Field(default=16, ge=1, le=1000)
    fill_steps: int = Field(default=30, ge=1, le=1000)


PAPER_SAMPLER = SamplerConfig(order="time", steps=1000, draws=1, balanced=False)
"""T = 1000 (T. Ishii et al., section 2.1)."""

DEFAULT_SAMPLER = SamplerConfig(temperature=0.5)
"""By orbits, and likelier occupations than the network's own distribution (``docs/walks.md``)."""


CONDITIONS = ("n_atoms", "chemical_system", "energy_above_hull", "formation_energy", "band_gap", "magnetic_density")


class WyckoffDiffConfig(ConditionalConfig):
    """A model of the family.

    Attributes:
        prior: What occupations become under noise: "empty", "marginal" (shares in the data), or "uniform".
        schedule: Of the noise, see :data:`nucleate.diffusion.categorical.ALPHA_BARS`.
        loss: "cross_entropy" of the clean occupations, or "kl" of single steps.
        weighting: What the loss of a crystal is divided by: its occupied "orbits", so that the thousands of empty
            counts of a group with many positions do not drown them; those that noise has "hidden", so that every stage
            of sampling counts alike (as the bound on the likelihood has it); or all its "variables", as published.
        hidden, layers, side, head, max_count, attention, heads, factored, time_steps: Shape of the network, see
            :class:`nucleate.networks.wyckoff_gnn.WyckoffGNNConfig`.
        stoichiometry: Draw the numbers of atoms of a crystal's elements together with its space group, from those of
            training crystals, and tell the network; else its size alone.
        augment: Train on every equivalent setting of a protostructure.
        replaced: Share of the training crystals in which an element is replaced by one much like it, each time anew.
        symprec: Distance in Å within which sites of training crystals count as equivalent.
        sampler: How it samples by default.

    The rest is :class:`nucleate.families.base.ConditionalConfig`'s. Where ``n_atoms`` is among the conditions, the
    network gets the number of atoms that the primitive cell of each crystal should have.
    """

    prior: Literal["empty", "marginal", "uniform"] = "empty"
    schedule: Schedule = "linear"
    loss: Literal["cross_entropy", "kl"] = "cross_entropy"
    weighting: Literal["orbits", "hidden", "variables"] = "orbits"
    hidden: int = Field(default=128, ge=8)
    layers: int = Field(default=4, ge=1)
    side: int = Field(default=32, ge=1)
    head: int = Field(default=192, ge=8)
    max_count: int = Field(default=20, ge=1, le=200)
    attention: Literal["pair", "dot"] = "dot"
    heads: int = Field(default=8, ge=1, validate_default=True)
    factored: int = Field(default=32, ge=0)
    time_steps: int = Field(default=0, ge=0)
    stoichiometry: bool = False
    augment: bool = True
    replaced: float = Field(default=0.0, ge=0, le=1)
    symprec: float = Field(default=0.1, gt=0)
    sampler: SamplerConfig = DEFAULT_SAMPLER

    @classmethod
    def small(cls) -> WyckoffDiffConfig:
        """The small configuration with the usual conditions, and what made compositions better."""
        return cls(conditions=CONDITIONS, weighting="hidden", stoichiometry=True, replaced=0.5)  # type: ignore[arg-type]

    @classmethod
    def paper(cls) -> WyckoffDiffConfig:
        """WyckoffDiff-Adaptor as published: sizes of its section 2.1; noise and loss of WyckoffDiff's public code."""
        return cls(
            prior="uniform",
            schedule="cos",
            weighting="variables",
            hidden=256,
            layers=3,
            side=16,
            head=512,
            max_count=54,
            attention="pair",
            factored=0,
            time_steps=1000,
            conditions=("chemical_system", "energy_above_hull"),  # type: ignore[arg-type]
            sampler=PAPER_SAMPLER,
        )

    @field_validator("heads")
    @classmethod
    def _divides_the_width(cls, heads: int, info: ValidationInfo) -> int:
        hidden = info.data.get("hidden", 0)
        if info.data.get("attention") == "dot" and hidden % heads:
            raise PydanticCustomError("heads", "a divisor of hidden={hidden}", {"hidden": hidden})
        return heads

    @property
    def network(self) -> WyckoffGNNConfig:
        """Shape of the network."""
        return WyckoffGNNConfig(
            hidden=self.hidden,
            layers=self.layers,
            side=self.side,
            head=self.head,
            n_elements=N_ELEMENTS,
            max_count=self.max_count,
            attention=self.attention,
            heads=self.heads,
            factored=self.factored,
            time_steps=self.time_steps,
        )
