"""Choices that every joint family has: what it is trained on, what it can be asked for, and how it walks back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator

from nucleate.config import Settings
from nucleate.errors import UserError
from nucleate.guidance.conditions import Condition, Scalar
from nucleate.guidance.named_conditions import by_name


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
    symmetrize: float = Field(default=0.0, ge=0)
    draws: int = Field(default=1, ge=1, le=100)


FAST_SAMPLER = SamplerConfig(corrector_steps=0, symmetry="templates", draws=4)
"""A tenth of the published steps, no corrector; symmetry and stoichiometry of known crystals."""


def sampler_from(text: str, default: SamplerConfig, paper: SamplerConfig) -> SamplerConfig:
    """The sampler that a user names.

    Arguments:
        text: "default", "paper", or settings to change in the default, as "steps=50,temperature=1".
        default: What the model brings.
        paper: What its family published.

    Raises:
        UserError: It is none of these.
    """
    if text in ("default", "paper"):
        return paper if text == "paper" else default
    values = default.model_dump()
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in values:
            expected = "default, paper, or NAME=VALUE,... with names " + ", ".join(values)
            raise UserError("--sampler", repr(part), expected)
        values[name] = value.split(":") if name == "snr" else value
    return SamplerConfig.checked(values, where="--sampler")


class JointConfig(Settings):
    """What the models of all joint families are told.

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
            class, as in a walk by templates; wants templates.
        site_features: Tell the network the classes and orbits of such a crystal.
        conditions: What the model can be asked for, beyond what its walk fixes by itself.
        adapters: Further conditions, which it was fine-tuned for.
        drop_each: Chance of a condition to be missing in training, each on its own.
        drop_all: Chance that all are missing.
        guidance: γ of a condition where nothing else is said.
        max_atoms: Largest crystal that the model is trained on.
        sampler: Default walk.
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
    conditions: tuple[Condition, ...] = ()
    adapters: tuple[Condition, ...] = ()
    drop_each: float = Field(default=0.3, ge=0, le=1)
    drop_all: float = Field(default=0.15, ge=0, le=1)
    guidance: float = Field(default=2.0, ge=0)
    max_atoms: int = Field(default=20, ge=1, le=200)
    sampler: SamplerConfig = FAST_SAMPLER

    @field_validator("conditions", "adapters", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        """Conditions may be named: a property is a scalar, its statistics are those of the training data."""
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            return value
        return tuple(by_name(item) if isinstance(item, str) else item for item in items)

    @property
    def asked(self) -> tuple[Condition, ...]:
        """Everything that a network is told of what a crystal should be."""
        return self.conditions + self.adapters

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """The conditions that are numbers."""
        return tuple(condition for condition in self.asked if isinstance(condition, Scalar))


AnyConfig = TypeVar("AnyConfig", bound=JointConfig)
AnySettings = TypeVar("AnySettings", bound=Settings)


def configured(
    config: type[AnySettings],
    presets: Mapping[str, Callable[[], AnySettings]],
    default: str,
    overrides: Mapping[str, object] | None,
) -> AnySettings:
    """A configuration from settings.

    Arguments:
        config: The family's class.
        presets: Complete configurations by name.
        default: Name of the one that is changed where ``overrides`` has no ``preset``.
        overrides: Values for fields of ``config``; ``sampler.steps`` and the like reach inside a setting.

    Raises:
        UserError: A setting is unknown or its value does not fit.
    """
    values = dict(overrides or {})
    preset = str(values.pop("preset", default))
    if preset not in presets:
        raise UserError("--set preset", repr(preset), "one of " + ", ".join(presets))
    settings: dict[str, Any] = presets[preset]().model_dump()
    for key, value in values.items():
        outer, _, inner = key.partition(".")
        if outer not in settings or (
            inner and inner not in (settings[outer] if isinstance(settings[outer], dict) else ())
        ):
            raise UserError("--set", repr(key), "one of " + ", ".join(("preset", *config.model_fields)))
        if inner:
            settings[outer][inner] = value
        else:
            settings[outer] = value
    return config.checked(settings, where="--set")
