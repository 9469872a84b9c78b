"""Rejection and symmetrization after sampling: poor crystals are drawn again, good ones moved onto their symmetry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions, reduced
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.descriptors.geometry import validity
from nucleate.symmetry.space_group import space_groups, symmetrized


def redrawn(
    draw: Callable[[Tensor, int], Crystals],
    n: int,
    draws: int,
    tolerance: float,
    balanced: bool = False,
    as_meant: Callable[[Crystals], Tensor] | None = None,
) -> Crystals:
    """Draw n crystals, and again those that are not sound or not as they should be, keeping the best of each.

    Arguments:
        draw: Gives the crystals of rows (K,) in the draw of a number.
        n: How many crystals.
        draws: Most draws for a crystal.
        tolerance: Distance in Å within which symmetry counts and is made exact; 0 to do neither.
        balanced: Whether charges that cannot balance count.
        as_meant: Which crystals (K,) came out as the family meant them to, bool; None for all.
    """

    def score(crystals: Crystals) -> Tensor:
        found = _score(crystals, tolerance, balanced)
        return found + (found > 0) * (1 if as_meant is None else as_meant(crystals).long())

    crystals, _ = best_of(draw, n, draws, score, _GOOD)
    if tolerance == 0:
        return crystals
    return symmetrized(crystals, tolerance)


def best_of(
    draw: Callable[[Tensor, int], Crystals], n: int, draws: int, score: Callable[[Crystals], Tensor], good: int
) -> tuple[Crystals, Tensor]:
    """Draw n crystals, and again those that are not good, keeping the best of each.

    Whether a crystal is drawn again depends on itself alone, so that it does not depend on its batch mates.

    Arguments:
        draw: Gives the crystals of rows (K,) in the draw of a number.
        n: How many crystals.
        draws: Most draws for a crystal; with 1, whatever comes is kept.
        score: Score of crystals (K,), whole numbers.
        good: The score at which a crystal is kept.

    Returns:
        The crystals, and how many draws each took.
    """
    crystals = draw(torch.arange(n), 0)
    taken = torch.ones(n, dtype=torch.int64)
    best = score(crystals) if draws > 1 else torch.full((n,), good)
    for number in range(1, draws):
        rows = (best < good).nonzero().flatten()
        if not len(rows):
            break
        again = draw(rows, number)
        taken[rows] += 1
        found = score(again)
        better = found > best[rows]
        source = torch.arange(n)
        source[rows[better]] = n + better.nonzero().flatten()
        crystals = Crystals.concatenate([crystals, again])[source]
        best[rows[better]] = found[better]
    return crystals, taken


_GOOD = 4


def _score(crystals: Crystals, tolerance: float, balanced: bool) -> Tensor:
    """Score of each crystal, shape (B,): 1 where it is valid, and 1 more for each of symmetry and charge balance.

    Where atoms are too close or the density is impossible it is 0; what does not count is always there.
    """
    score = torch.ones(len(crystals), dtype=torch.int64)
    if tolerance == 0:
        score += 1
    else:
        score += (space_groups(crystals, tolerance) > 1).to(torch.int64)
    if balanced:
        score += torch.tensor([is_charge_balanced(reduced(counts)) for counts in compositions(crystals)])
    else:
        score += 1
    return score * validity(crystals).is_valid


def symmetrize(crystals: Crystals, tolerance: float) -> Crystals:
    """Crystals moved onto the symmetry that they have within a tolerance in Å.

    Only where the structure matcher calls the moved crystal the one that was drawn, and it is as valid; the crystal
    field ``symmetrized`` marks these.
    """
    # Matching alone needs pymatgen; sampling without symmetrization does without it.
    from pymatgen.analysis.structure_matcher import StructureMatcher

    from nucleate.io.interop import to_pymatgen

    accepted = torch.zeros(len(crystals), dtype=torch.bool)
    rows = validity(crystals).is_valid.nonzero().flatten()
    rows = rows[space_groups(crystals[rows], tolerance) > 1]
    moved = symmetrized(crystals[rows], tolerance)
    matcher = StructureMatcher()
    pairs = zip(to_pymatgen(crystals[rows]), to_pymatgen(moved), strict=True)
    same = torch.tensor([matcher.fit(before, after) for before, after in pairs], dtype=torch.bool)
    same &= validity(moved).is_valid
    source = torch.arange(len(crystals))
    source[rows[same]] = len(crystals) + same.nonzero().flatten()
    accepted[rows[same]] = True
    fields = {**crystals.crystal_fields, "symmetrized": accepted}
    return replace(Crystals.concatenate([crystals, moved])[source], crystal_fields=fields)
