"""The contract of a family of generative models, and what those that are asked for conditions learn of their data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from nucleate.conditions.kinds import Condition, Scalar
from nucleate.conditions.labels import Labels, fitted_conditions, refitted, standardised_labels
from nucleate.conditions.quantities import NamedConditions
from nucleate.conditions.request import Conditions
from nucleate.configuration import Settings
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import Noise
from nucleate.errors import UserError
from nucleate.guidance.adapters import Adapters, ConditionEmbedding
from nucleate.sampling.request_plan import Request
from nucleate.sampling.source_structures import KnownCrystals, parent_weights
from nucleate.symmetry.templates import OrbitTemplates
from nucleate.training.batch import TrainingBatch
from nucleate.training.model import AnyBatch, LabelledConfig, ModelSpec, TrainableModel

Strengths = Mapping[str, float] | float
"""γ of each condition by name, or of every condition."""


class FamilyConfig(LabelledConfig):
    """Settings of a generative model.

    Attributes:
        sampler: How it samples where nothing else is asked for.
    """

    sampler: Settings = Settings()


AnySampler = TypeVar("AnySampler", bound=Settings)


class GenerativeModel(TrainableModel[AnyBatch], Generic[AnySampler, AnyBatch]):
    """A model that answers a request with crystals, and learns from crystals."""

    config: FamilyConfig

    @abstractmethod
    def sample(
        self,
        n: int,
        where: Conditions | None = None,
        seed: int = 0,
        start: int = 0,
        progress: Callable[[int], None] | None = None,
        sampler: AnySampler | None = None,
        guidance: Strengths | None = None,
    ) -> Crystals:
        """Crystals start .. start + n - 1 of the request (seed, where).

        Arguments:
            n: How many.
            where: Conditions; None for any crystal.
            seed: Of the request.
            start: Number of the first crystal; each depends on seed and number alone.
            progress: Called with the number of crystals done.
            sampler: How to sample; the model's default if None.
            guidance: γ of every condition, dimensionless, or by name; the model's default where nothing is said.

        Raises:
            UserError: A condition that the model cannot meet, or that it does not know; γ below 0.
        """

    def set_guidance(self, strengths: Strengths | None) -> None:
        """Take γ (dimensionless) for every call of :meth:`sample` that says nothing of it.

        Raises:
            UserError: The model has no guidance.
        """
        if strengths is not None:
            raise UserError("--guidance", str(strengths), f"no --guidance, since {self.name} is not guided")


class ConditionalConfig(FamilyConfig):
    """Settings of a generative model whose network is conditioned on what a crystal should be.

    Attributes:
        conditions: What the model can be asked for beyond what its sampler meets by construction.
        adapters: Further conditions, which it was fine-tuned for.
        drop_each: Probability of a condition to be missing in training, each on its own.
        drop_all: Probability that all are missing.
        guidance: γ of a condition where nothing else is said.
    """

    adapters: NamedConditions = ()
    drop_each: float = Field(default=0.3, ge=0, le=1)
    drop_all: float = Field(default=0.15, ge=0, le=1)
    guidance: float = Field(default=2.0, ge=0)

    @property
    def conditioning(self) -> tuple[Condition, ...]:
        """Every condition of the network, those of adapters last."""
        return self.conditions + self.adapters

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """The conditions that are numbers."""
        return tuple(condition for condition in self.conditioning if isinstance(condition, Scalar))


class ConditionalModel(GenerativeModel[AnySampler, AnyBatch]):
    """A generative model with classifier-free guidance and adapters; a family sets ``embed`` and ``adapters``.

    Arguments:
        config: Its settings.
        name: Of the model.
        n_elements: Largest atomic number that it can make.

    Attributes:
        element_seen: 1 where the training data hold the atomic number z at index z - 1, shape (n_elements,).
        embed: From labels to a vector for the network.
        adapters: From labels of fine-tuned conditions to what is added inside the network.
        strengths: γ where a call says nothing; None for the configuration's.
    """

    config: ConditionalConfig
    element_seen: Tensor
    embed: ConditionEmbedding
    adapters: Adapters

    def __init__(self, config: ConditionalConfig, name: str, n_elements: int) -> None:
        super().__init__(config, name)
        self.strengths: Strengths | None = None
        self.register_buffer("element_seen", torch.zeros(n_elements))

    @abstractmethod
    def tune(self, batch: TrainingBatch, names: Collection[str]) -> AnyBatch:
        """Take statistics of the adapters ``names`` from tuning crystals, and return those ready for a call.

        Raises:
            UserError: The model can hold none of them.
        """

    def set_guidance(self, strengths: Strengths | None) -> None:
        """Take γ (dimensionless) for every call of :meth:`sample` that says nothing of it."""
        self.strengths = strengths

    def fit_elements(self, numbers: Tensor) -> None:
        """Note which atomic numbers occur; zeros are padding."""
        seen = torch.bincount(numbers.flatten(), minlength=len(self.element_seen) + 1)[1:]
        self.element_seen.copy_((seen > 0).float())

    def fit_conditions(self, batch: TrainingBatch) -> None:
        """Take the statistics of the labels of the conditions."""
        conditions = fitted_conditions(self.config.conditions, batch.labels_of(self.config.conditions))
        self.config = self.config.model_copy(update={"conditions": conditions})
        self.embed.conditions = conditions

    def fit_adapters(self, batch: TrainingBatch, names: Collection[str]) -> None:
        """Take the statistics of the labels of the adapters ``names``; others keep theirs."""
        adapters = refitted(self.config.adapters, names, batch.labels_of(self.config.adapters))
        self.config = self.config.model_copy(update={"adapters": adapters})
        self.adapters.conditions = adapters

    def training_labels(self, batch: TrainingBatch, noise: Noise) -> Labels:
        """Labels of training crystals, some of them dropped at random."""
        labels = batch.labels_of(self.config.conditioning)
        return labels.dropped(noise, self.config.drop_each, self.config.drop_all)

    def scalar_labels(self, batch: TrainingBatch) -> Tensor:
        """Labels of the fitted conditions that are numbers, in standard deviations, shape (B, C); NaN where missing."""
        scalars = self.config.scalars
        return standardised_labels(batch.labels_of(scalars), scalars, len(batch))


class TemplateModel(ConditionalModel[AnySampler, AnyBatch]):
    """A conditional model that may keep to the symmetry and stoichiometry of training crystals.

    Arguments:
        config: Its settings.
        name: Of the model.
        n_elements: Largest atomic number that it can make.
        templates: None yet, with the order of sites that the family wants.

    Attributes:
        size_weights: Share of training crystals with n atoms at index n, shape (max_atoms + 1,).
        templates: Symmetries of the training crystals; empty where the configuration keeps none.
        known: Which template and which labels go together; empty likewise.
    """

    size_weights: Tensor

    def __init__(self, config: ConditionalConfig, name: str, n_elements: int, templates: OrbitTemplates) -> None:
        super().__init__(config, name, n_elements)
        self.register_buffer("size_weights", torch.zeros(config.max_atoms + 1))
        self.templates = templates
        self.known = KnownCrystals()

    def fit_sizes(self, n_atoms: Tensor) -> None:
        """Take the shares of the numbers of sites (B,)."""
        sizes = torch.bincount(n_atoms, minlength=len(self.size_weights)).float()
        self.size_weights.copy_(sizes / sizes.sum())

    def request(self, where: Conditions, by_template: bool, guidance: Strengths | None) -> Request:
        """The request, checked against what the model has learned.

        Arguments:
            where: Conditions.
            by_template: Whether crystals keep to templates, where there are any.
            guidance: γ, dimensionless; see :meth:`sample`.

        Raises:
            UserError: The model cannot meet it.
        """
        any_template = len(self.templates) > 0
        return Request.of(
            where,
            self.size_weights.cpu(),
            self.element_seen.cpu(),
            self.config,
            self.templates if by_template and any_template else None,
            self.known if any_template else None,
            self.strengths if guidance is None else guidance,
            parent_weights,
        )


AnyFamilyConfig = TypeVar("AnyFamilyConfig", bound=FamilyConfig)
AnyGenerative = TypeVar("AnyGenerative", bound=GenerativeModel)


@dataclass(frozen=True, kw_only=True)
class FamilySpec(ModelSpec[AnyFamilyConfig, AnyGenerative]):
    """One family: see :class:`nucleate.training.model.ModelSpec`.

    Attributes:
        paper_sampler: The published sampler, asked for by ``--sampler paper``; None where there is none.
        exact: Which of chemical system, composition and number of sites every sampled crystal meets exactly; others are
            aimed at, or refused.
    """

    paper_sampler: Settings | None = None
    exact: tuple[str, ...] = ("chemical_system", "composition", "n_atoms")

    @property
    def takes_adapters(self) -> bool:
        """Whether its models can be fine-tuned for further conditions."""
        return issubclass(self.config, ConditionalConfig)

    def load(self, folder: Path, sampler: str = "default", guidance: Strengths | None = None) -> AnyGenerative:
        """The model of a folder, ready to sample.

        Arguments:
            folder: With weights and configuration.
            sampler: See :func:`sampler_from`.
            guidance: γ, dimensionless, where a call says nothing; None for the model's own.

        Raises:
            UserError: Settings or weights are missing or damaged, or do not fit each other; no such sampler; the
                family has no guidance.
        """
        config, name = self.stored(folder)
        how = sampler_from(sampler, config.sampler, self.paper_sampler)
        model = self.filled(folder, config.model_copy(update={"sampler": how}), name)
        model.set_guidance(guidance)
        return model


def sampler_from(text: str, default: Settings, paper: Settings | None = None) -> Settings:
    """The sampler that a user names.

    Arguments:
        text: "default", "paper", or settings to change in the default, as "steps=50,draws=1"; a setting of several
            numbers as "snr=0.4:0.2".
        default: What the model brings.
        paper: What its family published, if anything.

    Raises:
        UserError: It is none of these.
    """
    if text == "default":
        return default
    if text == "paper" and paper is not None:
        return paper
    values = default.model_dump()
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in values:
            published = "default, paper" if paper is not None else "default"
            raise UserError("--sampler", repr(part), f"{published}, or NAME=VALUE,... with names {', '.join(values)}")
        values[name] = value.split(":") if isinstance(getattr(default, name), tuple) else value
    return default.checked(values, where="--sampler")
