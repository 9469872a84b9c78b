"""What follows a walk: drawing poor crystals again, and moving good ones onto their symmetry."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals


def redrawn(draw: Callable[[Tensor, int], Crystals], n: int, draws: int, tolerance: float) -> Crystals:
    """Draw n crystals, and again those that are not good, keeping the best of each.

    Whether a crystal is drawn again depends on itself alone, so that it does not depend on its batch mates.

    Arguments:
        draw: Gives the crystals of rows (K,) in the draw of a number.
        n: How many crystals.
        draws: Most draws for a crystal.
        tolerance: Distance in Å within which symmetry counts and is made exact; 0 to do neither.
    """
    crystals = draw(torch.arange(n), 0)
    best = _merit(crystals, tolerance) if draws > 1 else torch.zeros(n)
    for number in range(1, draws):
        rows = (best < _GOOD).nonzero().flatten()
        if not len(rows):
            break
        again = draw(rows, number)
        merit = _merit(again, tolerance)
        better = merit > best[rows]
        source = torch.arange(n)
        source[rows[better]] = n + better.nonzero().flatten()
        crystals = Crystals.concatenate([crystals, again])[source]
        best[rows[better]] = merit[better]
    if tolerance == 0:
        return crystals
    # Symmetry is the one thing here that needs more than tensors; sampling without it does without the library.
    from nucleate.symmetry.space_group import symmetrized

    return symmetrized(crystals, tolerance)


_GOOD = 2


def _merit(crystals: Crystals, tolerance: float) -> Tensor:
    """0 where atoms are too close or the density is impossible, 1 where not, 2 where there is symmetry besides."""
    from nucleate.descriptors.validity import validity

    merit = validity(crystals).is_valid.to(torch.int64)
    if tolerance == 0:
        return 2 * merit
    from nucleate.symmetry.space_group import space_groups

    return merit * (1 + (space_groups(crystals, tolerance) > 1).to(torch.int64))
