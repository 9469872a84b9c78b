"""From labels to the vector that a network is told, with a learned one for what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nucleate.guidance.conditions import Condition
from nucleate.guidance.labels import Labels


class ConditionEmbedding(nn.Module):
    """Sum over the conditions of a small network of each label, or of a learned vector where there is none.

    The last layers and the learned vectors start at zero, so that a network that is given this vector on top of
    another input answers at first as if nothing had been added.

    Arguments:
        conditions: What may be asked.
        width: Of the vector.
    """

    def __init__(self, conditions: Sequence[Condition], width: int) -> None:
        super().__init__()
        self.conditions = tuple(conditions)
        self.known = nn.ModuleDict()
        self.missing = nn.ParameterDict()
        for condition in self.conditions:
            last = nn.Linear(width, width)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.known[condition.name] = nn.Sequential(nn.Linear(condition.width, width), nn.SiLU(), last)
            self.missing[condition.name] = nn.Parameter(torch.zeros(width))

    def forward(self, labels: Labels) -> Tensor:
        """Vectors (B, width); every condition of the model has a row in ``labels``."""
        parts = []
        for condition in self.conditions:
            name = condition.name
            there = labels.given[name]
            # A missing label may be NaN, which would spoil the gradient even where it is not chosen.
            label = labels.values[name]
            shown = there.reshape(-1, *([1] * (label.dim() - 1)))
            features = condition.features(torch.where(shown, label, torch.zeros_like(label)))
            told = self.known[name](features.to(self.missing[name].dtype))
            parts.append(torch.where(there[:, None], told, self.missing[name].to(told.dtype)))
        return torch.stack(parts).sum(0)
