"""Training crystals: the orbits of their protostructures, and the same ones in other compositions.

An element may be replaced by one much like it: nine thousand crystals are few to learn from which elements go together;
that rubidium goes where potassium goes need not be learned from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from nucleate.descriptors.element_similarity import is_known, likeness
from nucleate.diffusion.noise import Noise
from nucleate.representations.ircr import GROUP
from nucleate.representations.wyckoff import Orbits
from nucleate.training.batch import TrainingBatch


@dataclass(frozen=True)
class OrbitBatch(TrainingBatch):
    """Training crystals with the occupied orbits of their protostructures.

    Attributes:
        orbits: Of the crystals.
    """

    orbits: Orbits

    @override
    def __getitem__(self, rows: Tensor) -> Self:
        return replace(super().__getitem__(rows), orbits=self.orbits[rows])

    @override
    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        return replace(super().to(device, dtype), orbits=self.orbits.to(device))


LEAST = exp(-2.0)
"""Likeness below which an element does not replace another of its group; one of another group never does."""


@lru_cache(maxsize=1)
def replacements(n_elements: int) -> Tensor:
    """Weight of element b in place of a at [a, b], zero for a itself and for unlike ones, shape (E + 1, E + 1)."""
    known = [z for z in range(1, min(n_elements + 1, len(GROUP))) if is_known(z)]
    table = torch.zeros(n_elements + 1, n_elements + 1, dtype=torch.float64)
    for a in known:
        for b in known:
            weight = likeness(a, b) if a != b and GROUP[a] == GROUP[b] else 0.0
            table[a, b] = weight if weight >= LEAST else 0.0
    return table


def replaced(numbers: Tensor, sites: Tensor, seen: Tensor, share: float, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
    """Atomic numbers with one element of a share of the crystals replaced by another that the crystal does not hold.

    Arguments:
        numbers: Of orbits, 0 at padding, shape (B, S).
        sites: Of sites, 0 at padding, shape (B, N).
        seen: 1 for elements that may come in at index z - 1, shape (E,).
        share: Of the crystals.
        noise: Of the batch.

    Returns:
        Both replaced in the same way, and which crystals are no longer what they were, shape (B,).
    """
    size, n = len(numbers), len(seen)
    holds = torch.zeros(size, n + 1, dtype=torch.bool, device=numbers.device).scatter(1, numbers, True)
    holds[:, 0] = False
    u = noise.uniform("replace", (size, 3)).double()
    old = torch.where(holds, noise.uniform("replace/which", (size, n + 1)).double(), -1.0).argmax(1)
    may = torch.cat([seen.new_zeros(1), seen]).double() * ~holds
    weights = replacements(n).to(numbers.device)[old] * may
    cumulative = weights.cumsum(1)
    new = torch.searchsorted(cumulative, u[:, :1] * cumulative[:, -1:], right=True)[:, 0].clamp_max(n)
    changed = (u[:, 1] < share) & (cumulative[:, -1] > 0)
    take = [(one == old[:, None]) & changed[:, None] for one in (numbers, sites)]
    return torch.where(take[0], new[:, None], numbers), torch.where(take[1], new[:, None], sites), changed
