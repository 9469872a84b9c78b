"""The contract of a model of properties, and the registry of all kinds of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from pydantic import Field
from torch import Tensor

from nucleate.configuration import Settings
from nucleate.crystal.crystals import Crystals
from nucleate.plugins import Registry, modules_in
from nucleate.training.batch import TrainingBatch
from nucleate.training.model import AnyConfig, ModelConfig, ModelSpec, TrainableModel


class Predictor(TrainableModel[TrainingBatch]):
    """A model that answers property columns of crystals."""

    @property
    @abstractmethod
    def columns(self) -> Mapping[str, str]:
        """Units of the columns that it answers, by name; empty where a unit is not known."""

    @property
    @abstractmethod
    def limit(self) -> str:
        """Crystals that it can take, in words: "a crystal of up to 20 sites"."""

    @abstractmethod
    def predict(self, crystals: Crystals, column: str) -> Tensor:
        """The column, shape (B,), float64; NaN where the crystal is beyond the model.

        Raises:
            UserError: The model does not know the column.
        """


class Target(Settings):
    """A column that a model answers.

    Attributes:
        name: Of the column.
        log10: Whether the logarithm is learned; labels must then be positive.
        mean, std: Of what is learned, over the training labels.
        low, high: Smallest and largest training label, in the column's unit (eV, GPa, none); None before a training.
    """

    name: str = Field(min_length=1)
    log10: bool = False
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    low: float | None = None
    high: float | None = None


class ColumnConfig(ModelConfig):
    """Settings of a predictor that learns any columns of a table, as ``nucleate train predictor`` asks for.

    Attributes:
        targets: Columns that it answers.
    """

    targets: tuple[Target, ...] = ()


PredictorSpec = ModelSpec[AnyConfig, Predictor]
"""One kind of predictor."""
PREDICTORS: Registry[PredictorSpec] = Registry(
    "predictor", "nucleate.predictors", modules_in("nucleate.predictors", "SPEC", besides=("base",))
)
"""Every kind of predictor by name."""
