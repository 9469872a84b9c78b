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

    @classmethod
    def of(cls, values: Mapping[str, Tensor]) -> Labels:
        """Labels (B,) by the name of their quantity, NaN where missing."""
        return cls(values, {name: value.isfinite() for name, value in values.items()})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Labels:
        """The labels on a device and in a precision."""
        values = {
            name: value.to(device, dtype if value.is_floating_point() else None) for name, value in self.values.items()
        }
        return Labels(values, {name: there.to(device) for name, there in self.mask.items()})

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


def labels_of(crystals: Crystals, known: Labels, conditions: Sequence[Condition]) -> Labels:
    """Labels of conditions of training crystals, from those that are known and from the crystals themselves.

    A quantity that is not among the known ones is missing everywhere.

    Arguments:
        crystals: B crystals.
        known: Their labels by the name of the quantity; NaN where missing (0 for a category), shape (B,).
        conditions: Those whose labels are returned.
    """
    values, mask = {}, {}
    size, device = len(crystals), crystals.frac.device
    for condition in conditions:
        if condition.name == "chemical_system":
            value = _elements(crystals.numbers, condition.width).to(crystals.frac.dtype)
            there = torch.ones(size, dtype=torch.bool, device=device)
        else:
            label = known.values.get(condition.name)
            value = torch.full((size,), torch.nan, device=device) if label is None else label
            value = value.to(crystals.frac.dtype)
            there = value.isfinite() & ((value > 0) | isinstance(condition, Scalar))
        values[condition.name], mask[condition.name] = value, there
    return Labels(values, mask)


def fitted_conditions(conditions: Sequence[Condition], labels: Labels) -> tuple[Condition, ...]:
    """The conditions with the statistics of their labels, which :func:`labels_of` returns."""
    return tuple(fitted(c, labels.values[c.name]) if isinstance(c, Scalar) else c for c in conditions)


def refitted(conditions: Sequence[Condition], names: Collection[str], labels: Labels) -> tuple[Condition, ...]:
    """The conditions, those of ``names`` with the statistics of their labels."""
    new = fitted_conditions([condition for condition in conditions if condition.name in names], labels)
    by_name = {condition.name: condition for condition in new}
    return tuple(by_name.get(condition.name, condition) for condition in conditions)


def standardised_labels(labels: Labels, scalars: Sequence[Scalar], size: int) -> Tensor:
    """Labels of fitted conditions that are numbers, in standard deviations, shape (B, C); NaN where missing.

    Arguments:
        labels: Of the conditions, see :func:`labels_of`.
        scalars: The conditions.
        size: Number of crystals B.
    """
    columns = [condition.standardised(labels.values[condition.name]).float() for condition in scalars]
    return torch.stack(columns, 1) if columns else torch.zeros(size, 0)


def _elements(numbers: Tensor, size: int) -> Tensor:
    """Elements of each crystal as zeros and ones, shape (B, size)."""
    return F.one_hot(numbers, size + 1).amax(1)[:, 1:]
