"""Labels of a batch, any of which may be missing, and those that training crystals carry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.conditions.kinds import Condition, Scalar, fitted
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import Noise


@dataclass(frozen=True)
class Labels:
    """Labels of B crystals by condition, for training or as conditioning, each with a mask.

    Attributes:
        values: Labels by the name of their condition, each of shape (B,) or (B, size).
        mask: For the same names, True where a label counts, shape (B,).
    """

    values: Mapping[str, Tensor]
    mask: Mapping[str, Tensor]

    def to(self, device: torch.device) -> Labels:
        """The labels on a device."""
        values, mask = ({name: value.to(device) for name, value in part.items()} for part in (self.values, self.mask))
        return Labels(values, mask)

    def only(self, names: Iterable[str]) -> Labels:
        """The labels with every condition but ``names`` masked."""
        kept = set(names)
        mask = {name: there if name in kept else torch.zeros_like(there) for name, there in self.mask.items()}
        return Labels(self.values, mask)

    def dropped(self, noise: Noise, each: float, everything: float) -> Labels:
        """Labels of which some are masked by chance, crystal by crystal, so that a model learns to do without.

        Arguments:
            noise: Random numbers of the batch.
            each: Probability, 0 to 1, that a condition goes, independently of the others.
            everything: Probability, 0 to 1, that all go together.
        """
        if not self.mask:
            return self
        size = len(next(iter(self.mask.values())))
        left = noise.uniform("labels/everything", (size,)) >= everything
        mask = {
            name: there & left & (noise.uniform(f"labels/{name}", (size,)) >= each) for name, there in self.mask.items()
        }
        return Labels(self.values, mask)

    def __getitem__(self, rows: Tensor) -> Labels:
        """The labels of some crystals, in the order of ``rows``."""
        return Labels(
            {name: value[rows] for name, value in self.values.items()},
            {name: there[rows] for name, there in self.mask.items()},
        )

    def __add__(self, other: Labels) -> Labels:
        """The crystals of both, one after the other."""
        return Labels(
            {name: torch.cat([value, other.values[name]]) for name, value in self.values.items()},
            {name: torch.cat([there, other.mask[name]]) for name, there in self.mask.items()},
        )


LABEL = "label/"
"""Beginning of the names of crystal fields that hold labels."""


def labels_of(crystals: Crystals, conditions: Sequence[Condition]) -> Labels:
    """Labels of training crystals, from their crystal fields ``label/NAME`` and from the crystals themselves.

    A label that is missing is NaN (0 for a category); a field that is missing leaves every label missing.
    """
    values, mask = {}, {}
    size, device = len(crystals), crystals.frac.device
    for condition in conditions:
        if condition.name == "chemical_system":
            value = _elements(crystals.numbers, condition.width).to(crystals.frac.dtype)
            there = torch.ones(size, dtype=torch.bool, device=device)
        else:
            field = crystals.crystal_fields.get(LABEL + condition.name)
            value = torch.full((size,), torch.nan, device=device) if field is None else field
            value = value.to(crystals.frac.dtype)
            there = value.isfinite() & ((value > 0) | isinstance(condition, Scalar))
        values[condition.name], mask[condition.name] = value, there
    return Labels(values, mask)


def fitted_conditions(conditions: Sequence[Condition], crystals: Crystals) -> tuple[Condition, ...]:
    """The conditions with the statistics of the labels of crystals."""
    labels = labels_of(crystals, conditions).values
    return tuple(fitted(c, labels[c.name]) if isinstance(c, Scalar) else c for c in conditions)


def refitted(conditions: Sequence[Condition], names: Collection[str], crystals: Crystals) -> tuple[Condition, ...]:
    """The conditions, those of ``names`` with the statistics of the labels of crystals."""
    new = fitted_conditions([condition for condition in conditions if condition.name in names], crystals)
    by_name = {condition.name: condition for condition in new}
    return tuple(by_name.get(condition.name, condition) for condition in conditions)


def standardised_labels(crystals: Crystals, scalars: Sequence[Scalar]) -> Tensor:
    """Labels of fitted conditions that are numbers, in standard deviations, shape (B, C); NaN where missing."""
    labels = labels_of(crystals, scalars).values
    columns = [condition.standardised(labels[condition.name]).float() for condition in scalars]
    return torch.stack(columns, 1) if columns else torch.zeros(len(crystals), 0)


def _elements(numbers: Tensor, size: int) -> Tensor:
    """Elements of each crystal as zeros and ones, shape (B, size)."""
    return F.one_hot(numbers, size + 1).amax(1)[:, 1:]
