"""How alike two elements are as members of the same structure."""

from __future__ import annotations

from functools import lru_cache
from math import exp, isfinite, log

import numpy as np

from nucleate.crystal.formula import ELECTRONEGATIVITIES
from nucleate.descriptors.composition import is_metal, is_nonmetal, oxidation_states
from nucleate.descriptors.element_tables import ATOMIC_VOLUMES

# Differences that cost one unit. Chosen so that pairs known to replace each other (K and Rb, Cl and Br, Fe and Co,
# La and Nd, Zr and Hf) stay under about two, and pairs of unlike charge or size go beyond five.
ELECTRONEGATIVITY_UNIT = 0.4
RADIUS_UNIT = 0.12
"""Spread of the logarithm of the radius; a radius is the cube root of the element's volume in crystals."""

NO_COMMON_STATE = 3.0
"""Cost where the two elements share no oxidation state."""

OTHER_CLASS = 3.0
"""Cost of a nonmetal for a metal; half of it where one of the two is a metalloid."""

OTHER_GROUP = 0.7
"""Cost where the two elements stand in different groups of the periodic table; lanthanides belong to group 3."""


def is_known(z: int) -> bool:
    """Whether enough is known of an element to say what it is like: its volume in crystals and electronegativity."""
    return z < len(ATOMIC_VOLUMES) and ATOMIC_VOLUMES[z] > 0 and isfinite(ELECTRONEGATIVITIES[z])


@lru_cache(maxsize=16384)
def likeness(a: int, b: int) -> float:
    """Weight in (0, 1] for putting element b where element a was; 1 for a itself, symmetric in a and b, both known.

    A Gaussian in electronegativity and size, and fixed costs for elements of another kind: the rules of Goldschmidt
    (Naturwissenschaften 14, 477 (1926)) with soft edges.
    """
    if a == b:
        return 1.0
    bonding = (ELECTRONEGATIVITIES[a] - ELECTRONEGATIVITIES[b]) / ELECTRONEGATIVITY_UNIT
    size = log(ATOMIC_VOLUMES[a] / ATOMIC_VOLUMES[b]) / 3 / RADIUS_UNIT
    shared = set(oxidation_states(a)) & set(oxidation_states(b))
    cost = 0.0 if shared else NO_COMMON_STATE
    cost += OTHER_CLASS / 2 * abs(_metallicity(a) - _metallicity(b))
    cost += 0.0 if _group(a) == _group(b) else OTHER_GROUP
    return exp(-0.5 * (bonding**2 + size**2) - cost)


def likeness_matrix(rows: tuple[int, ...], columns: tuple[int, ...]) -> np.ndarray:
    """Weights for every pair, shape (rows, columns)."""
    return np.array([[likeness(a, b) for b in columns] for a in rows]).reshape(len(rows), len(columns))


def _metallicity(z: int) -> int:
    return 2 if is_metal(z) else 0 if is_nonmetal(z) else 1


@lru_cache(maxsize=128)
def _group(z: int) -> int:
    from pymatgen.core import Element

    return int(Element.from_Z(z).group)
