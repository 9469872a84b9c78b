"""Adapters: conditions mixed into the sites before every block of a trained network.

As in MatterGen (Zeni et al., 2025, B.3 and Eq. B44), an adapter of a condition is a small network followed by a
linear layer that starts at zero, so that at first the answer is that of the network alone, bit for bit. As in its
public code, the small network sees the sites as well as the embedding of the condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nucleate.networks.gemnet import Mix


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

    def forward(self, embeddings: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Mix:
        """Function that a network calls before each block.

        Arguments:
            embeddings: Of each condition, shape (B, width); not read where it is not given.
            given: Which crystals have the condition, bool, shape (B,).
        """

        def mix(block: int, h: Tensor) -> Tensor:
            total = torch.zeros_like(h)
            for name, adapters in self.adapters.items():
                there = given[name][:, None, None]
                told = adapters.get_submodule(str(block))(h, embeddings[name])
                total = total + torch.where(there, told, torch.zeros_like(told))
            return total

        return mix


class _Adapter(nn.Module):
    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.adapt = nn.Sequential(nn.Linear(hidden + width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.mix_in = nn.Linear(hidden, hidden, bias=False)
        nn.init.zeros_(self.mix_in.weight)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        told = embedding.to(h.dtype)[:, None].expand(-1, h.shape[1], -1)
        out: Tensor = self.mix_in(self.adapt(torch.cat([h, told], -1)))
        return out
