"""Training crystals with their labels: what a model is fitted to, and what its losses are taken of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from nucleate.conditions.kinds import Condition
from nucleate.conditions.labels import Labels, labels_of
from nucleate.crystal.crystals import Crystals


@dataclass(frozen=True)
class TrainingBatch:
    """B crystals and their labels.

    A model whose losses need more derives a class with further fields, and extends :meth:`__getitem__` and :meth:`to`.

    Attributes:
        crystals: The crystals.
        labels: By the name of the quantity, each of shape (B,) in its own unit; NaN where a label is missing.
    """

    crystals: Crystals
    labels: Labels

    @classmethod
    def of(cls, crystals: Crystals, labels: Mapping[str, Tensor] | None = None) -> TrainingBatch:
        """Crystals with labels (B,) by the name of their quantity, NaN where missing."""
        return TrainingBatch(crystals, Labels.of(labels or {}))

    def __len__(self) -> int:
        return len(self.crystals)

    def __getitem__(self, rows: Tensor) -> Self:
        """The crystals of some rows (K,), or of a mask (B,), padded to the largest of them."""
        return replace(self, crystals=self.crystals[rows], labels=self.labels[rows])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move to a device and, for floating-point numbers, to a precision."""
        return replace(self, crystals=self.crystals.to(device, dtype), labels=self.labels.to(device, dtype))

    def labels_of(self, conditions: Sequence[Condition]) -> Labels:
        """Labels of conditions, those that follow from the crystals included; see :func:`labels_of`."""
        return labels_of(self.crystals, self.labels, conditions)
