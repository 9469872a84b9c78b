"""WyckoffGNN: what sits on the Wyckoff positions of a space group, all positions in view of each other.

F. E. Kelvinius et al., WyckoffDiff, arXiv:2502.06485, section 4; sizes as in T. Ishii et al., Symmetry-aware
conditional generation (2025), section 2.1. The published layer scores pairs of positions with a network of their
own; "dot" replaces it by normalised dot-product attention, which costs a small share of it, and the head of counts
by one that multiplies features of a position with features of an element.

Positions are worked on as one list over the batch, so that groups of few positions cost nothing for the padding that
groups of many would bring; only the attention is padded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.networks.cspnet import SinusoidalEmbedding

_N_GROUPS, _N_PLACES, _N_FREE, _N_MULTIPLICITIES = 231, 27, 4, 193
_WAVES = 32
_RARE = 5.0
"""Minus the logarithm of the odds that an element is on a position, about."""


@dataclass(frozen=True)
class WyckoffGNNConfig:
    """Shape of the network.

    Attributes:
        hidden: Width of a position's vector.
        layers: Rounds of attention.
        side: Width of the features of a position itself and of the time.
        head: Width of the output networks.
        n_elements: Elements E.
        max_count: Most orbits of an element on a position.
        attention: "pair" as published, or "dot".
        heads: Of "dot".
        factored: Features that the head of counts multiplies; 0 for the published head.
        time_steps: Rows of a table of times, as published; 0 for sines and cosines.
    """

    hidden: int = 256
    layers: int = 3
    side: int = 16
    head: int = 512
    n_elements: int = 100
    max_count: int = 54
    attention: Literal["pair", "dot"] = "pair"
    heads: int = 8
    factored: int = 0
    time_steps: int = 1000


class Positions(NamedTuple):
    """Where the M real positions of a batch stand.

    Attributes:
        row: Their crystals, shape (M,).
        place: Their places, shape (M,).
        free: True where coordinates are free, shape (M,).
        mask: True at real positions, shape (B, P).
    """

    row: Tensor
    place: Tensor
    free: Tensor
    mask: Tensor

    @classmethod
    def of(cls, n_free: Tensor) -> Positions:
        """From free coordinates (B, P), -1 where there is no position."""
        mask = n_free >= 0
        row, place = mask.nonzero(as_tuple=True)
        return cls(row, place, n_free[row, place] > 0, mask)

    def padded(self, listed: Tensor) -> Tensor:
        """Vectors (M, F) as (B, P, F), zero where there is no position."""
        return listed.new_zeros(*self.mask.shape, listed.shape[-1]).index_put((self.row, self.place), listed)


class Logits(NamedTuple):
    """Logits of a batch: of empty or Z on each position (B, P, E + 1), and of each count (B, P, E, K)."""

    fixed: Tensor
    counts: Tensor


class WyckoffGNN(nn.Module):
    """The network; it knows tensors, and has no loss."""

    def __init__(self, config: WyckoffGNNConfig) -> None:
        super().__init__()
        self.config = config
        hidden, side, elements = config.hidden, config.side, config.n_elements
        self.embed_fixed = nn.Embedding(elements + 1, hidden)
        self.embed_count = nn.Embedding(config.max_count + 1, 1)
        self.mix_counts = nn.Linear(elements, hidden)
        self.embed_free = nn.Embedding(_N_FREE, side)
        self.embed_place = nn.Embedding(_N_PLACES, side)
        self.embed_group = nn.Embedding(_N_GROUPS, side)
        self.embed_multiplicity = nn.Embedding(_N_MULTIPLICITIES, side)
        self.embed_time = _Time(config.time_steps, side)
        layer = _PairLayer if config.attention == "pair" else _DotLayer
        self.layers = nn.ModuleList(layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(hidden) if config.attention == "dot" else nn.Identity()
        self.head_fixed = _mlp(hidden, config.head, elements + 1)
        if config.factored:
            self.head_counts = _mlp(hidden, config.head, (config.max_count + 1) * config.factored)
            self.element_features = nn.Parameter(torch.randn(elements, config.factored) / math.sqrt(config.factored))
            self.count_bias = nn.Parameter(_mostly_empty(elements, config.max_count))
        else:
            self.head_counts = _mlp(hidden, config.head, elements * (config.max_count + 1))
            nn.utils.vector_to_parameters(
                _mostly_empty(elements, config.max_count).flatten(), [self.head_counts.get_parameter("6.bias")]
            )

    def forward(
        self,
        fixed: Tensor,
        counts: Tensor,
        group: Tensor,
        multiplicity: Tensor,
        n_free: Tensor,
        t: Tensor,
        context: Tensor | None = None,
        mix: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Logits:
        """Logits of a padded batch: fixed (B, P, E + 1), counts (B, P, E, K); zero where they do not apply.

        Arguments:
            fixed: Element on each position, 0 for none, shape (B, P).
            counts: Orbits of each element on each position, shape (B, P, E).
            group: Space groups, shape (B,).
            multiplicity: Points of each position, shape (B, P).
            n_free: Free coordinates of each position, -1 where there is none, shape (B, P).
            t: Times in [0, 1], shape (B,).
            context: Added to every position's vector before the first layer, shape (B, hidden).
            mix: From the number of a layer and the vectors (B, P, hidden) before it to what is added to them.
        """
        positions = Positions.of(n_free)
        flat = self.listed(positions, fixed, counts, group, multiplicity, n_free, t, context, mix)
        b, p = fixed.shape
        free, tied = positions.free, ~positions.free
        dense_fixed = flat.fixed.new_zeros(b, p, flat.fixed.shape[-1])
        dense_fixed[positions.row[tied], positions.place[tied]] = flat.fixed
        dense_counts = flat.counts.new_zeros(b, p, *flat.counts.shape[1:])
        dense_counts[positions.row[free], positions.place[free]] = flat.counts
        return Logits(dense_fixed, dense_counts)

    def listed(
        self,
        positions: Positions,
        fixed: Tensor,
        counts: Tensor,
        group: Tensor,
        multiplicity: Tensor,
        n_free: Tensor,
        t: Tensor,
        context: Tensor | None = None,
        mix: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Logits:
        """The same without padding: of the positions without free coordinates (M0, E + 1), with some (M1, E, K)."""
        row, place, free, _ = positions
        counted = self.embed_count(counts[row[free], place[free]])[..., 0]
        h = counted.new_zeros(len(row), self.config.hidden)
        h = h.index_put((free.nonzero()[:, 0],), self.mix_counts(counted).to(h.dtype))
        h = h.index_put(((~free).nonzero()[:, 0],), self.embed_fixed(fixed[row[~free], place[~free]]))
        side = self.embed_free(n_free[row, place]) + self.embed_place(place)
        side = side + self.embed_multiplicity(multiplicity[row, place])
        side = side + (self.embed_group(group) + self.embed_time(t))[row]
        if context is not None:
            h = h + context.to(h.dtype)[row]
        for number, layer in enumerate(self.layers):
            if mix is not None:
                h = h + mix(number, positions.padded(h)).to(h.dtype)[row, place]
            h = layer(h, side, positions)
        h = self.norm(h)
        of_free = self.head_counts(h[free])
        if self.config.factored:
            features = of_free.unflatten(-1, (self.config.max_count + 1, self.config.factored))
            of_free = self.element_features @ features.mT + self.count_bias
        else:
            of_free = of_free.unflatten(-1, (self.config.n_elements, self.config.max_count + 1))
        return Logits(self.head_fixed(h[~free]), of_free)


class _Time(nn.Module):
    """A vector for each time: of a table, as published, or from sines and cosines."""

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.steps = steps
        self.waves = SinusoidalEmbedding(_WAVES)
        self.table = nn.Embedding(steps, width) if steps else nn.Linear(_WAVES, width)

    def forward(self, t: Tensor) -> Tensor:
        if self.steps:
            vectors: Tensor = self.table((t * self.steps).long().clamp(0, self.steps - 1))
            return vectors
        mixed: Tensor = self.table(self.waves(1000.0 * t))
        return mixed


class _PairLayer(nn.Module):
    """The published layer: a softmax over a network's scores of all pairs, a position with itself included."""

    def __init__(self, config: WyckoffGNNConfig) -> None:
        super().__init__()
        width = config.hidden + config.side
        self.receiver = nn.Linear(width, 2 * width)
        self.sender = nn.Linear(width, 2 * width, bias=False)
        bound = (2 * width) ** -0.5  # as one layer over both would be drawn
        for part in (self.receiver, self.sender):
            nn.init.uniform_(part.weight, -bound, bound)
        nn.init.uniform_(self.receiver.bias, -bound, bound)
        self.score = nn.Sequential(
            nn.SiLU(), nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 2 * width), nn.SiLU(),
            nn.Linear(2 * width, 1),
        )  # fmt: skip
        self.message = _mlp(width, 2 * width, config.hidden)

    def forward(self, h: Tensor, side: Tensor, positions: Positions) -> Tensor:
        row, place, _, mask = positions
        z = torch.cat([h, side], -1)
        number = mask.flatten().cumsum(0).view(mask.shape) - 1
        crystal, i, j = (mask[:, :, None] & mask[:, None, :]).nonzero(as_tuple=True)
        # The first layer of the scores splits into one of each end, which costs N instead of N².
        score = self.score(self.receiver(z)[number[crystal, i]] + self.sender(z)[number[crystal, j]])[:, 0]
        dense = score.new_full((*mask.shape, mask.shape[1]), -torch.inf).index_put((crystal, i, j), score)
        share = torch.softmax(dense.masked_fill(~mask[:, :, None], 0.0), -1)
        sent = self.message(z)
        return F.silu(h + (share.to(sent.dtype) @ positions.padded(sent))[row, place])


class _DotLayer(nn.Module):
    """Normalised attention by dot products, then a network of each position; both add to what was there."""

    def __init__(self, config: WyckoffGNNConfig) -> None:
        super().__init__()
        self.heads = config.heads
        width = config.hidden
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width + config.side, 3 * width)
        self.out = nn.Linear(width, width)
        self.update = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tensor, side: Tensor, positions: Positions) -> Tensor:
        row, place, _, mask = positions
        b, p = mask.shape
        padded = positions.padded(self.project(torch.cat([self.norm(h), side], -1)))
        query, key, value = padded.view(b, p, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Every crystal has a position, so no softmax is empty.
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        h = h + self.out(mixed.transpose(1, 2).flatten(2)[row, place])
        updated: Tensor = h + self.update(h)
        return updated


def _mostly_empty(elements: int, max_count: int) -> Tensor:
    """Logits (E, K) of counts to start from: without them the first epochs go into learning that most are zero."""
    counts = -_RARE - torch.arange(1, max_count + 1)
    return torch.cat([torch.zeros(1), counts]).expand(elements, -1).clone()


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """The published network: four linear maps with SiLU between them."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden),
        nn.SiLU(), nn.Linear(hidden, outputs),
    )  # fmt: skip
