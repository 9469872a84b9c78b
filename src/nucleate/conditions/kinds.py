"""Conditions that a model is trained on: their kind, and what their labels look like."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from nucleate.configuration import Settings

WAVES = 8
"""Sines and cosines of a scalar label."""
REACH = 4.0
"""Standard deviations from the mean that the slowest wave spans without repeating."""


class Scalar(Settings):
    """A number, such as a band gap.

    Attributes:
        name: Name of the quantity.
        unit: Unit of the labels, such as eV; empty for a dimensionless number.
        mean, std: Mean and standard deviation of the labels it was trained on, in the unit.
        low, high: Smallest and largest of them, in the unit; None before a training.
        log: Compare labels, which are positive, by their decimal logarithm; ``mean`` and ``std`` are then of it.
    """

    kind: Literal["scalar"] = "scalar"
    name: str
    unit: str = ""
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    low: float | None = None
    high: float | None = None
    log: bool = False

    def standardised(self, label: Tensor) -> Tensor:
        """Labels (B,) in standard deviations from their mean; NaN where one is out of the logarithm's reach."""
        return ((torch.where(label > 0, label, torch.nan).log10() if self.log else label) - self.mean) / self.std

    @property
    def width(self) -> int:
        """Length of the features of a label."""
        return 1 + 2 * WAVES

    def features(self, label: Tensor) -> Tensor:
        """Standardised labels and waves of them, shape (B, width), from labels (B,) in the unit."""
        z = self.standardised(label).nan_to_num().clamp(-2 * REACH, 2 * REACH)
        phase = z[:, None] * (math.pi / (2 * REACH)) * torch.arange(1, WAVES + 1, device=z.device, dtype=z.dtype)
        return torch.cat([z[:, None], phase.sin(), phase.cos()], -1)


class Categorical(Settings):
    """One of the numbers 1 .. size, such as a space group."""

    kind: Literal["categorical"] = "categorical"
    name: str
    size: int = Field(ge=1)

    @property
    def width(self) -> int:
        """Length of the features of a label."""
        return self.size

    def features(self, label: Tensor) -> Tensor:
        """One-hot vectors, shape (B, size), from labels (B,) that are whole numbers from 1."""
        place = label.long().clamp(1, self.size) - 1
        return torch.nn.functional.one_hot(place, self.size).to(torch.get_default_dtype())


class MultiHot(Settings):
    """A set of the numbers 1 .. size, such as the elements of a chemical system."""

    kind: Literal["multi_hot"] = "multi_hot"
    name: str
    size: int = Field(ge=1)

    @property
    def width(self) -> int:
        """Length of the features of a label."""
        return self.size

    def features(self, label: Tensor) -> Tensor:
        """The labels themselves, zeros and ones, shape (B, size)."""
        return label


Condition = Annotated[Scalar | Categorical | MultiHot, Field(discriminator="kind")]


def fitted(condition: Scalar, labels: Tensor) -> Scalar:
    """A scalar condition with the statistics of its labels (B,), of which NaN are left out."""
    known = labels[labels.isfinite()].double()
    if not len(known):
        return condition
    if condition.log:
        known = known[known > 0]
        if not len(known):
            return condition
    compared = known.log10() if condition.log else known
    std = float(compared.std()) if len(compared) > 1 else 0.0
    return condition.model_copy(
        update={
            "mean": float(compared.mean()),
            "std": std if std > 1e-6 else 1.0,
            "low": float(known.min()),
            "high": float(known.max()),
        }
    )
