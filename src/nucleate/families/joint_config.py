"""Settings of every joint family: losses, conditions and templates in training, and the sampler."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.configuration import Settings
from nucleate.families.base import ConditionalConfig
from nucleate.symmetry.space_group import MAX_SYMPREC


class SamplerConfig(Settings):
    """Settings of :class:`nucleate.diffusion.predictor_corrector.PredictorCorrector`, and what follows sampling.

    Attributes:
        symmetry: "free" samples all coordinates; "templates" draws for each crystal the symmetry, the orbits and
            the stoichiometry of a training crystal and keeps to them, where the model masks species and has a
            template that fits the request.
        symmetrize: Tolerance in Å within which a finished crystal is moved onto the symmetry it nearly has; 0
            leaves it as it came.
        draws: Most samples of a crystal. One that has atoms too close, or no symmetry within the tolerance, is
            drawn again; the best is kept. With 1, whatever comes is kept.
    """

    steps: int = Field(default=100, ge=1)
    corrector: Literal["fixed", "snr"] = "fixed"
    corrector_steps: int = Field(default=1, ge=0)
    corrector_size: float = Field(default=5e-6, gt=0)
    corrector_below: float = Field(default=1.0, ge=0)
    snr: tuple[float, float] = (0.4, 0.2)
    batch_means: bool = False
    churn: float = Field(default=1.0, ge=0, le=1)
    order: int = Field(default=1, ge=1, le=2)
    spacing: float = Field(default=1.0, gt=0, le=8)
    temperature: float = Field(default=1.0, gt=0)
    symmetry: Literal["free", "templates"] = "free"
    symmetrize: float = Field(default=0.0, ge=0, le=MAX_SYMPREC)
    draws: int = Field(default=1, ge=1, le=100)


DEFAULT_SAMPLER = SamplerConfig(steps=25, corrector_steps=0, temperature=0.7, symmetry="templates", draws=4)
"""A fortieth of the published steps, no corrector; symmetry and stoichiometry of known crystals. As good as 50 or 100
steps (``docs/pigen.md``); without noise, or below 10 steps, crystals get worse. Likelier elements than the network's
own distribution make more crystals stable (``docs/walks.md``)."""


class JointConfig(ConditionalConfig):
    """Settings of the models of every joint family.

    Attributes:
        weights: Of the losses of species, coordinates and cell.
        sum_over_sites: Losses of species and coordinates are sums over the sites of a crystal, not means, so that
            larger cells weigh more.
        earliest: Smallest training time.
        bounded_above: A crystal's loss above this counts by its logarithm, so that one for which the network answers
            nonsense does not drown the rest of its batch; None counts all as they are.
        known_species: Share of training crystals whose species are given, so that one model also serves
            fixed compositions.
        partly_known_species: Share of those whose species run on a clock of their own.
        augment: Train on every setting of the reduced cell that its metric allows.
        templates: Keep the templates of the training crystals with the weights.
        tied: Share of training crystals whose noise keeps their symmetry and whose species are masked class by
            class, as in sampling by templates; wants templates.
        site_features: Tell the network the classes and orbits of such a crystal.
        sampler: How it samples by default.

    The rest is :class:`nucleate.families.base.ConditionalConfig`'s.
    """

    weights: tuple[float, float, float] = (0.3, 1.0, 0.5)
    sum_over_sites: bool = False
    earliest: float = Field(default=1e-3, gt=0, lt=1)
    bounded_above: float | None = Field(default=None, gt=0)
    known_species: float = Field(default=0.15, ge=0, le=1)
    partly_known_species: float = Field(default=0.15, ge=0, le=1)
    augment: bool = True
    templates: bool = True
    tied: float = Field(default=0.7, ge=0, le=1)
    site_features: bool = True
    sampler: SamplerConfig = DEFAULT_SAMPLER
