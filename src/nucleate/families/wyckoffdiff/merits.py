"""How well protostructures meet a request, so that the best of several draws is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.formula import reduced
from nucleate.descriptors.charge_balance import is_charge_balanced
from nucleate.representations.wyckoff import Occupations
from nucleate.search.generic_symmetry import is_generic
from nucleate.symmetry.protostructure import Protostructure

BEST = 8
"""Nothing is left to wish for."""


def merits_of(
    state: Occupations, found: list[Protostructure], where: Conditions, n_atoms: Tensor | None, balanced: bool
) -> Tensor:
    """0 for crystals outside the request; else 1, and more the better they are.

    4 for no more symmetry than asked for, 2 for charges that can balance, 1 for the size.
    """
    composition = state.composition
    meets = torch.tensor([where.allows_size(n) for n in composition.sum(1).tolist()])
    if where.chemical_system and not where.allow_subsystems:
        meets &= (composition[:, torch.tensor(where.chemical_system) - 1] > 0).all(1)
    if where.composition is not None:
        units = composition.sum(1) // sum(where.composition.values())
        for z, count in where.composition.items():
            meets &= composition[:, z - 1] == count * units
    right = torch.ones_like(meets) if n_atoms is None else composition.sum(1) == n_atoms
    generic = torch.tensor([is_generic(one) for one in found])
    asked = not balanced or where.composition is not None
    neutral = torch.tensor([asked or is_charge_balanced(reduced(one.counts)) for one in found])
    return meets.long() * (1 + 4 * generic.long() + 2 * neutral.long() + right.long())
