"""Orders of the sites of a crystal, which a representation by rows depends on and the crystal does not.

Both orders here keep the sites of an element together, so that the columns of the matrix
(:class:`nucleate.representations.ircr.IRCR`) stand one after the other in its occupancy rows.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import Noise
from nucleate.representations.element_properties import ELECTRONEGATIVITY
from nucleate.symmetry.templates import TICKS


def canonical(crystals: Crystals) -> Crystals:
    """Sites by electronegativity, then atomic number, then x, y and z; the same for any order they came in."""
    ticks = (crystals.frac * TICKS).round().long() % TICKS
    keys = [ticks[..., axis] for axis in (2, 1, 0)]
    return reordered(crystals, _sorted_by([*keys, crystals.numbers, _rank(crystals.numbers)], crystals.mask))


def shuffled(crystals: Crystals, noise: Noise) -> Crystals:
    """Elements in random order, and at random the sites of each."""
    size, width = crystals.numbers.shape
    element = noise.uniform("order/element", (size, len(ELECTRONEGATIVITY))).gather(1, crystals.numbers)
    site = noise.uniform("order/site", (size, width))
    return reordered(crystals, _sorted_by([site, element], crystals.mask))


def reordered(crystals: Crystals, order: Tensor) -> Crystals:
    """The sites in an order (B, N), a permutation of each row that leaves padding behind."""

    def moved(value: Tensor) -> Tensor:
        index = order.reshape(*order.shape, *([1] * (value.dim() - 2))).expand_as(value)
        return value.gather(1, index)

    fields = {name: moved(value) for name, value in crystals.site_fields.items()}
    return replace(crystals, numbers=moved(crystals.numbers), frac=moved(crystals.frac), site_fields=fields)


def element_order(numbers: list[int]) -> list[int]:
    """Elements in the order in which :func:`canonical` has them."""
    return sorted(numbers, key=lambda z: (ELECTRONEGATIVITY[z], z))


def _rank(numbers: Tensor) -> Tensor:
    """Place of each element among all by electronegativity."""
    table = torch.tensor(ELECTRONEGATIVITY, dtype=torch.float64, device=numbers.device)
    return table[numbers]


def _sorted_by(keys: list[Tensor], mask: Tensor) -> Tensor:
    """Order by keys (B, N), the last first; padding comes last."""
    order = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    for key in [*keys, (~mask).to(torch.int8)]:
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return order
