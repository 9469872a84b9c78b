"""Crystals moved onto the symmetry that they nearly have, where they stay the same crystals."""

from __future__ import annotations

from dataclasses import replace

import torch

from nucleate.crystal.crystals import Crystals


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
