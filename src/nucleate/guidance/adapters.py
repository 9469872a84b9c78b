"""Condition embeddings, and adapters that mix conditions into the sites before every block of a trained network.

As in MatterGen (Zeni et al., 2025, B.3 and Eq. B44), an adapter of a condition is a small network followed by a
linear layer that starts at zero, so that at first the prediction is that of the network alone, bit for bit. As in its
public code, the small network sees the sites as well as the embedding of the condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nucleate.conditions.kinds import Categorical, Condition, Scalar
from nucleate.conditions.labels import Labels
from nucleate.networks.gemnet import Mix, TimeWaves


class MixIns(nn.Module):
    """Adapters of several conditions for every block.

    Arguments:
        names: Of the conditions.
        hidden: Width of the sites.
        width: Width of the embeddings of the conditions.
        blocks: Number of blocks.
    """

    def __init__(self, names: Sequence[str], hidden: int, width: int, blocks: int) -> None:
        super().__init__()
        self.adapters = nn.ModuleDict(
            {name: nn.ModuleList(_Adapter(hidden, width) for _ in range(blocks)) for name in names}
        )

    def forward(self, embeddings: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> Mix:
        """Function that a network calls before each block.

        Arguments:
            embeddings: Of each condition, shape (B, width); not read where it is not known.
            known: Which crystals have the condition, bool, shape (B,).
        """

        def mix(block: int, h: Tensor) -> Tensor:
            total = torch.zeros_like(h)
            for name, adapters in self.adapters.items():
                there = known[name][:, None, None]
                addition = adapters.get_submodule(str(block))(h, embeddings[name])
                total = total + torch.where(there, addition, torch.zeros_like(addition))
            return total

        return mix


class _Adapter(nn.Module):
    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.adapt = nn.Sequential(nn.Linear(hidden + width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.mix_in = nn.Linear(hidden, hidden, bias=False)
        nn.init.zeros_(self.mix_in.weight)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        repeated = embedding.to(h.dtype)[:, None].expand(-1, h.shape[1], -1)
        out: Tensor = self.mix_in(self.adapt(torch.cat([h, repeated], -1)))
        return out


class ConditionEmbedding(nn.Module):
    """Sum over the conditions of a small network of each label, or of a learned vector where there is none.

    The last layers and the learned vectors start at zero, so that a network that gets this vector on top of
    another input predicts at first as if nothing had been added.

    Arguments:
        conditions: Conditions of the network.
        width: Length of the vector.
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
            there = labels.mask[name]
            # A missing label may be NaN, which would spoil the gradient even where it is not chosen.
            label = labels.values[name]
            shown = there.reshape(-1, *([1] * (label.dim() - 1)))
            features = condition.features(torch.where(shown, label, torch.zeros_like(label)))
            vector = self.known[name](features.to(self.missing[name].dtype))
            parts.append(torch.where(there[:, None], vector, self.missing[name].to(vector.dtype)))
        return torch.stack(parts).sum(0)


class Adapters(nn.Module):
    """Adapters of several conditions; their contributions add up.

    Arguments:
        conditions: Conditions of the network.
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
        """Additions to the site vectors (B, N, width); every condition has a row in ``labels``."""
        vectors, mask = {}, {}
        for i, (condition, read) in enumerate(zip(self.conditions, self.read, strict=True)):
            there = labels.mask[condition.name]
            label = labels.values[condition.name]
            # A missing label may be NaN, which would spoil the gradient even where it is not chosen.
            shown = there.reshape(-1, *([1] * (label.dim() - 1)))
            label = torch.where(shown, label, torch.zeros_like(label))
            if isinstance(read, PublishedReading):
                vectors[str(i)] = read(condition, label)
            else:
                vectors[str(i)] = read(condition.features(label).to(next(read.parameters()).dtype))
            mask[str(i)] = there
        mix: Mix = self.mix_ins(vectors, mask)
        return mix


class PublishedReading(nn.Module):
    """A label as MatterGen's public code reads it: waves of a standardised number, or one linear map of the rest.

    Arguments:
        condition: Whose labels.
        width: Length of the vector.
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
