"""Adapters: conditions that are added to a trained network, which at first answers as if nothing had been added.

MatterGen (Zeni et al., A generative model for inorganic materials design, 2025), Eq. B44: before each round of
messages a small network of the label is mixed into the site vectors by a linear layer that starts at zero, and only
where there is a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nucleate.guidance.conditions import Condition
from nucleate.guidance.labels import Labels
from nucleate.networks.gemnet_adapter import MixIns

Mix = Callable[[int, Tensor], Tensor]
"""From the number of a round of messages and the site vectors (B, N, width) before it to what is added to them."""


class Adapters(nn.Module):
    """Adapters of several conditions; their contributions add up.

    Arguments:
        conditions: What may be asked.
        width: Of the site vectors of the network.
        blocks: Its rounds of messages.
    """

    def __init__(self, conditions: Sequence[Condition], width: int, blocks: int) -> None:
        super().__init__()
        self.conditions = tuple(conditions)
        # By number: a column of a user's table may have a name that a module cannot have.
        self.read = nn.ModuleList(
            nn.Sequential(nn.Linear(condition.width, width), nn.SiLU(), nn.Linear(width, width))
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
            features = condition.features(torch.where(shown, label, torch.zeros_like(label)))
            told[str(i)] = read(features.to(next(read.parameters()).dtype))
            given[str(i)] = there
        mix: Mix = self.mix_ins(told, given)
        return mix
