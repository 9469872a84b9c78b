"""What follows a walk: poor crystals are drawn again, good ones may be moved onto their symmetry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
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


def onto_symmetry(crystals: Crystals, tolerance: float) -> Crystals:
    """Crystals moved onto the symmetry that they have within a tolerance in Å.

    Only where the structure matcher calls the moved crystal the one that was drawn, and it is as valid; the crystal
    field ``symmetrized`` marks these.
    """
    # Symmetry and matching alone need more than tensors; a walk without does without the libraries.
    from pymatgen.analysis.structure_matcher import StructureMatcher

    from nucleate.crystal.convert import to_pymatgen
    from nucleate.descriptors.validity import validity
    from nucleate.symmetry.space_group import space_groups, symmetrized

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
