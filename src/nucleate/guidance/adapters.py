"""Adapters: conditions that are added to a trained network, which at first answers as if nothing had been added.

MatterGen (Zeni et al., A generative model for inorganic materials design, 2025), Eq. B44: before each round of
messages a small network of the label is mixed into the site vectors by a linear layer that starts at zero, and only
where there is a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nucleate.guidance.conditions import Categorical, Condition, Scalar
from nucleate.guidance.labels import Labels
from nucleate.networks.gemnet import TimeWaves
from nucleate.networks.gemnet_adapter import MixIns

Mix = Callable[[int, Tensor], Tensor]
"""From the number of a round of messages and the site vectors (B, N, width) before it to what is added to them."""


class Adapters(nn.Module):
    """Adapters of several conditions; their contributions add up.

    Arguments:
        conditions: What may be asked.
        width: Of the site vectors of the network.
        blocks: Its rounds of messages.
        published: Read labels as MatterGen's public code does (:class:`PublishedReading`), which its weights need.
    """

    def __init__(self, conditions: Sequence[Condition], width: int, blocks: int, published: bool = False) -> None:
        super().__init__()
        self.conditions = tuple(conditions)
        # By number: a column of a user's table may have a name that a module cannot have.
        self.read = nn.ModuleList(
            PublishedReading(condition, width)
            if published
            else nn.Sequential(nn.Linear(condition.width, width), nn.SiLU(), nn.Linear(width, width))
            for condition in self.conditions
        )
        self.mix_ins = MixIns([str(i) for i in range(len(self.conditions))], width, width, blocks)

    def forward(self, labels: Labels) -> Mix:
        """What to add before each round of messages; every condition has a row in ``labels``."""
        told, given = {}, {}
        for i, (condition, read) in enumerate(zip(self.conditions, self.read, strict=True)):
            there = labels.given[condition.name]
            label = labels.values[condition.name]
            # A missing label may be NaN, which would spoil the gradient even where it is not chosen.
            shown = there.reshape(-1, *([1] * (label.dim() - 1)))
            label = torch.where(shown, label, torch.zeros_like(label))
            if isinstance(read, PublishedReading):
                told[str(i)] = read(condition, label)
            else:
                told[str(i)] = read(condition.features(label).to(next(read.parameters()).dtype))
            given[str(i)] = there
        mix: Mix = self.mix_ins(told, given)
        return mix


class PublishedReading(nn.Module):
    """A label as MatterGen's public code reads it: waves of a standardised number, or one linear map of the rest.

    Arguments:
        condition: Whose labels.
        width: Of the vector.
    """

    def __init__(self, condition: Condition, width: int) -> None:
        super().__init__()
        self.waves = TimeWaves(width) if isinstance(condition, Scalar) else None
        if self.waves is None:
            self.table = nn.Linear(condition.width, width, bias=not isinstance(condition, Categorical))

    def forward(self, condition: Condition, label: Tensor) -> Tensor:
        """Vectors (B, width) of labels without NaN; the condition brings their statistics."""
        if self.waves is not None and isinstance(condition, Scalar):
            waves: Tensor = self.waves(condition.standardised(label).nan_to_num())
            return waves
        table: Tensor = self.table(condition.features(label).to(self.table.weight.dtype))
        return table
