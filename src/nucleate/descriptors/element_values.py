"""Tables by atomic number laid over the sites of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals


def site_values(crystals: Crystals, table: Sequence[float]) -> Tensor:
    """The value of each site's element, shape (B, N), float64; 0 at padding, NaN beyond the end of the table.

    Arguments:
        crystals: B crystals.
        table: Value at index Z; that at index 0 is not used.
    """
    values = torch.tensor([0.0, *table[1:], torch.nan], dtype=torch.float64, device=crystals.numbers.device)
    numbers = torch.where(crystals.numbers < 0, len(table), crystals.numbers).clamp(max=len(table))
    return values[torch.where(crystals.mask, numbers, 0)]


def lacking(crystals: Crystals, table: Sequence[float]) -> Tensor:
    """True on real sites whose element has no value, shape (B, N)."""
    return site_values(crystals, table).isnan()
