"""Models that are trained on crystals: base class, training configuration, the specification that loads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import Field, JsonValue
from torch import Tensor, nn

from nucleate.conditions.quantities import NamedConditions
from nucleate.configuration import Settings, from_preset
from nucleate.diffusion.noise import Noise
from nucleate.errors import UserError
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import CONFIG, StoredModel, load_weights


class TrainConfig(Settings):
    """One training run.

    Attributes:
        epochs: Passes over the data; the learning rate falls to its end over them.
        learning_rate: Of Adam, at its highest.
        warmup: Steps over which the learning rate rises.
        ema: Decay of the averaged weights that are exported.
        clip: Largest norm of the gradient.
        pairs: Pairs of sites in a batch.
        batch: Fewest and most crystals in a batch.
        mixed_sizes: Batches hold crystals of any size, for models that see all of them at one width.
        precision: Lightning Fabric's name of the arithmetic.
        validate_every: Epochs between validations.
        checkpoint_seconds: Seconds between checkpoints.
        seed: Of everything that is drawn.
    """

    epochs: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: int = Field(default=200, ge=0)
    ema: float = Field(default=0.9995, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    pairs: int = Field(default=6400, ge=1)
    batch: tuple[int, int] = (16, 128)
    mixed_sizes: bool = False
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    validate_every: int = Field(default=5, ge=1)
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**63)


class ModelConfig(Settings):
    """Settings of a model.

    Attributes:
        max_atoms: Sites of the largest crystal that it is trained on.
    """

    max_atoms: int = Field(default=20, ge=1, le=200)


class LabelledConfig(ModelConfig):
    """Settings of a model that learns from labels.

    Attributes:
        conditions: Quantities whose labels it learns from; their statistics come from the training data.
    """

    conditions: NamedConditions = ()


AnyBatch = TypeVar("AnyBatch", bound=TrainingBatch)
"""Training crystals as the losses of a model take them."""


class TrainableModel(nn.Module, ABC, Generic[AnyBatch]):
    """A model whose call gives losses of crystals.

    Arguments:
        config: Its settings; :meth:`fit` adds the statistics of labels to them.
        name: Of the model.
    """

    config: ModelConfig

    def __init__(self, config: ModelConfig, name: str) -> None:
        super().__init__()
        self.config, self.name = config, name

    @abstractmethod
    def fit(self, batch: TrainingBatch) -> AnyBatch:
        """Take statistics from training crystals, and return those that the model can hold, ready for a call.

        Arguments:
            batch: Crystals in reduced cells with their labels.

        Raises:
            UserError: The model can hold none of them.
        """

    @abstractmethod
    def prepared(self, batch: TrainingBatch) -> AnyBatch:
        """Crystals ready for a call, without those that the model cannot hold; changes no statistics."""

    @abstractmethod
    def forward(self, batch: AnyBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses by name, "total" among them, each of shape (B,), of crystals from :meth:`fit` or :meth:`prepared`."""

    def finished(self, train: AnyBatch) -> None:
        """Keep what only final weights can tell of the crystals from :meth:`fit`; called once, after the training."""


Overrides = Mapping[str, JsonValue]
"""Values for settings by name, as a command line or a file gives them."""
AnyConfig = TypeVar("AnyConfig", bound=ModelConfig)
AnyModel = TypeVar("AnyModel", bound=TrainableModel)


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Generic[AnyConfig, AnyModel]):
    """One kind of model: how it is set up, trained, stored and cited.

    Attributes:
        name: Of the kind; the ``config.json`` of a model folder holds it.
        config: Class of the settings.
        model: Makes a model with fresh weights from settings and a name.
        presets: Complete settings by the name that a training asks for; the first is the default.
        training: Settings of a training where nothing else is said.
        citations: Keys of ``citations.CITATIONS``.
        fewest_labels: A quantity of which fewer training crystals have a label is not learned.
    """

    name: str
    config: type[AnyConfig]
    model: Callable[[AnyConfig, str], AnyModel]
    presets: Mapping[str, Callable[[], AnyConfig]]
    training: TrainConfig = field(default_factory=TrainConfig)
    citations: tuple[str, ...] = ()
    fewest_labels: int = 1

    @property
    def settings(self) -> tuple[str, ...]:
        """Names that :meth:`configured` takes; ``outer.inner`` reaches inside a setting."""
        return ("preset", *self.config.model_fields)

    def configured(self, overrides: Overrides | None = None) -> AnyConfig:
        """Settings of a preset with some changed.

        Raises:
            UserError: A setting is unknown or its value does not fit.
        """
        return from_preset(self.config, self.presets, next(iter(self.presets)), overrides)

    def build(self, overrides: Overrides | None = None, name: str | None = None) -> AnyModel:
        """A model with fresh weights; see :meth:`configured`."""
        return self.model(self.configured(overrides), name or self.name)

    def load(self, folder: Path) -> AnyModel:
        """The model of a folder, ready to be asked.

        Raises:
            UserError: Settings or weights are missing or damaged, or do not fit each other.
        """
        return self.filled(folder, *self.stored(folder))

    def stored(self, folder: Path) -> tuple[AnyConfig, str]:
        """Settings and name of the model of a folder.

        Raises:
            UserError: They are missing or damaged, or those of another kind of model.
        """
        stored = StoredModel.read(folder)
        if stored.family != self.name:
            raise UserError(str(folder / CONFIG), f"family {stored.family!r}", repr(self.name))
        return self.config.checked(stored.config, where=str(folder / CONFIG)), stored.name or folder.name

    def filled(self, folder: Path, config: AnyConfig, name: str) -> AnyModel:
        """A model of some settings with the weights of a folder.

        Raises:
            UserError: The weights are missing or damaged, or do not fit the settings.
        """
        model = self.model(config, name)
        load_weights(model, folder)
        return model.eval()
