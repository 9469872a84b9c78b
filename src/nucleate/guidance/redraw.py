"""What follows a walk: drawing poor crystals again, and moving good ones onto their symmetry."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals


def redrawn(draw: Callable[[Tensor, int], Crystals], n: int, draws: int, tolerance: float) -> Crystals:
    """Draw n crystals, and again those that are not sound or have no symmetry, keeping the best of each.

    Arguments:
        draw: Gives the crystals of rows (K,) in the draw of a number.
        n: How many crystals.
        draws: Most draws for a crystal.
        tolerance: Distance in Å within which symmetry counts and is made exact; 0 to do neither.
    """
    crystals, _ = best_of(draw, n, draws, lambda c: _merit(c, tolerance), _GOOD)
    if tolerance == 0:
        return crystals
    # Symmetry is the one thing here that needs more than tensors; sampling without it does without the library.
    from nucleate.symmetry.space_group import symmetrized

    return symmetrized(crystals, tolerance)


def best_of(
    draw: Callable[[Tensor, int], Crystals], n: int, draws: int, merit: Callable[[Crystals], Tensor], good: int
) -> tuple[Crystals, Tensor]:
    """Draw n crystals, and again those that are not good, keeping the best of each.

    Whether a crystal is drawn again depends on itself alone, so that it does not depend on its batch mates.

    Arguments:
        draw: Gives the crystals of rows (K,) in the draw of a number.
        n: How many crystals.
        draws: Most draws for a crystal; with 1, whatever comes is kept.
        merit: Of crystals (K,), whole numbers.
        good: The merit at which a crystal is kept.

    Returns:
        The crystals, and how many draws each took.
    """
    crystals = draw(torch.arange(n), 0)
    taken = torch.ones(n, dtype=torch.int64)
    best = merit(crystals) if draws > 1 else torch.full((n,), good)
    for number in range(1, draws):
        rows = (best < good).nonzero().flatten()
        if not len(rows):
            break
        again = draw(rows, number)
        taken[rows] += 1
        found = merit(again)
        better = found > best[rows]
        source = torch.arange(n)
        source[rows[better]] = n + better.nonzero().flatten()
        crystals = Crystals.concatenate([crystals, again])[source]
        best[rows[better]] = found[better]
    return crystals, taken


_GOOD = 2


def _merit(crystals: Crystals, tolerance: float) -> Tensor:
    """0 where atoms are too close or the density is impossible, 1 where not, 2 where there is symmetry besides."""
    from nucleate.descriptors.validity import validity

    merit = validity(crystals).is_valid.to(torch.int64)
    if tolerance == 0:
        return 2 * merit
    from nucleate.symmetry.space_group import space_groups

    return merit * (1 + (space_groups(crystals, tolerance) > 1).to(torch.int64))
