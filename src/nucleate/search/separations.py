"""Smallest distances between atoms that a searcher leaves."""

from __future__ import annotations

import numpy as np

from nucleate.crystal.elements import COVALENT_RADII
from nucleate.descriptors.charge_balance import charge_states
from nucleate.search.atomic_volumes import ATOMIC_VOLUMES
from nucleate.search.compositions import Counts

BONDED_FRACTION = 0.8
"""Of the sum of covalent radii, for any two atoms."""

LIKE_CHARGE_PACKING = 0.4
"""Ions of like charge are spheres that fill this share of their atomic volumes, if that is farther apart."""


def separations(counts: Counts) -> dict[tuple[int, int], float]:
    """Smallest distance in Å for each pair of elements (first ≤ second in Z)."""
    states = charge_states(counts) or {}
    elements = sorted(counts)
    result = {}
    for i, a in enumerate(elements):
        for b in elements[i:]:
            distance = BONDED_FRACTION * (COVALENT_RADII[a] + COVALENT_RADII[b])
            if states.get(a, 0) * states.get(b, 0) > 0:
                distance = max(distance, _sphere(a) + _sphere(b))
            result[a, b] = distance
    return result


def separation_matrix(numbers: np.ndarray, counts: Counts) -> np.ndarray:
    """Smallest distance for each pair of sites, shape (n, n)."""
    table = separations(counts)
    return np.array([[table[min(a, b), max(a, b)] for b in numbers.tolist()] for a in numbers.tolist()])


def _sphere(z: int) -> float:
    return (LIKE_CHARGE_PACKING * ATOMIC_VOLUMES[z] * 3 / (4 * np.pi)) ** (1 / 3)
