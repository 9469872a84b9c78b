"""What follows a walk: poor crystals are drawn again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.guidance.redraw import best_of

GOOD = 3


def drawn(draw: Callable[[Tensor, int], Crystals], n: int, draws: int, meets: Callable[[Crystals], Tensor]) -> Crystals:
    """Draw n crystals, and again those that are not good (:func:`merit`), keeping the best of each.

    Arguments:
        draw: Gives the crystals of rows (K,) in the draw of a number.
        n: How many crystals.
        draws: Most draws for a crystal.
        meets: Which crystals are what was asked for, bool.

    Returns:
        The crystals; the crystal field ``draws`` says how many walks each took.
    """
    crystals, walks = best_of(draw, n, draws, lambda c: merit(c, meets), GOOD)
    return replace(crystals, crystal_fields={"draws": walks})


def merit(crystals: Crystals, meets: Callable[[Crystals], Tensor]) -> Tensor:
    """0 for no crystal at all, 1 for one of a finite cell, 2 if it is also what was asked for, 3 if valid besides."""
    from nucleate.descriptors.validity import validity

    found = validity(crystals)
    finite = crystals.lattice.isfinite().flatten(1).all(1) & (crystals.n_atoms > 0)
    asked = finite & meets(crystals)
    return finite.long() + asked.long() + (asked & found.is_valid).long()
