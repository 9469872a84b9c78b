"""Which known crystals could lend a chemical system their symmetry and stoichiometry.

A model that has not seen a system draws what it starts from without regard to chemistry: Heusler alloys for an oxide.
Crystals whose elements are like those asked for, put in their places, are better parents.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import log

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import reduced
from nucleate.descriptors.charge_balance import is_charge_balanced
from nucleate.search.similarity import is_known, likeness

SPAN = 64
"""Parents over which the weight falls to exp(-FALL)."""
FALL = 3.0
NARROWEST = 0.05
"""Least cost over which it does; a likeness of exp(-cost)."""
LOOKED_AT = 512
"""Nearest crystals that are looked at; others are no parents."""
UNBALANCED = 20.0
"""Cost where the charges of the child cannot balance."""
MOST_ELEMENTS = 6
"""Of a crystal; the elements of a system are put in their places in every way."""
UNKNOWN = 30.0
"""Cost of an element of which nothing is known."""


def parent_weights(elements: Tensor, counts: Tensor, where: Conditions, possible: Tensor) -> Tensor | None:
    """Weight of each known crystal as a parent of the requested system, shape (R,), zero for most of them.

    None where the request says nothing of elements or no crystal has as many of them: then all are as good.

    Arguments:
        elements: Atomic numbers of each crystal, 0 at padding, shape (R, K).
        counts: Their numbers of atoms, shape (R, K).
        where: The request.
        possible: Crystals that the rest of the request allows, shape (R,).
    """
    system = where.chemical_system
    if system is None or where.composition is not None or len(system) > MOST_ELEMENTS:
        return None
    held = (elements > 0).sum(1)
    fits = (held <= len(system)) & (held > 0) if where.allow_subsystems else held == len(system)
    rows = (fits & possible).nonzero().flatten().cpu().numpy()
    if not len(rows):
        return None
    members, numbers = elements.cpu().numpy()[rows], counts.cpu().numpy()[rows]
    cost = np.full(len(rows), np.inf)
    for size in np.unique((members > 0).sum(1)).tolist():
        own = (members > 0).sum(1) == size
        # Fewer elements cost no less than more.
        cost[own] = len(system) / size * _costs(members[own][:, :size], numbers[own][:, :size], system)
    nearest = np.sort(cost[np.isfinite(cost)])
    width = max((nearest[min(SPAN, len(nearest)) - 1] - nearest[0]) / FALL, NARROWEST)
    weights = torch.zeros(len(elements), dtype=torch.float64)
    weights[torch.from_numpy(rows)] = torch.from_numpy(np.exp(-(cost - nearest[0]) / width))
    return weights


def _costs(members: np.ndarray, numbers: np.ndarray, system: Sequence[int]) -> np.ndarray:
    """Least cost of each crystal over all ways of giving its places to elements, shape (R,); infinite if far."""
    size = members.shape[1]
    ways = list(permutations(range(len(system)), size))
    table = _unlikeness(members, system)
    found = np.stack([sum(table[members[:, i], way[i]] for i in range(size)) for way in ways], 1)
    costs = np.full(len(members), np.inf)
    for row in np.argsort(found.min(1), kind="stable")[:LOOKED_AT].tolist():
        places = numbers[row].tolist()
        costs[row] = found[row].min() + UNBALANCED
        for way in np.argsort(found[row], kind="stable").tolist():
            if found[row, way] >= costs[row]:
                break
            if _balanced([system[i] for i in ways[way]], places):
                costs[row] = found[row, way]
    return costs


def _unlikeness(members: np.ndarray, system: Sequence[int]) -> np.ndarray:
    """Cost of each element of the system in the place of another, at [Z, number in the system]."""
    table = np.full((len(SYMBOLS), len(system)), UNKNOWN)
    for old in np.unique(members).tolist():
        for i, new in enumerate(system):
            if old == new:
                table[old, i] = 0.0
            elif is_known(old) and is_known(new) and (weight := likeness(old, new)) > 0:
                table[old, i] = min(-log(weight), UNKNOWN)
    return table


def _balanced(elements: Sequence[int], counts: Sequence[int]) -> bool:
    return is_charge_balanced(reduced(dict(zip(elements, counts, strict=True))))
