"""Pairs of atoms within a distance of each other in one periodic crystal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Array = NDArray[np.float64]
COINCIDENT = 1e-6
"""Atoms closer than this, in Å, are one point; such pairs have no direction and are left out."""


def pairs_within(cart: Array, lattice: Array, cutoff: float) -> tuple[Indices, Indices, Array, Array]:
    """All ordered pairs up to ``cutoff`` (Å), images of an atom itself included.

    Arguments:
        cart: Positions in Å, shape (n, 3).
        lattice: Rows in Å, shape (3, 3).
        cutoff: In Å.

    Returns:
        First atoms (P,), second atoms (P,), vectors from first to second in Å (P, 3), lengths in Å (P,).
    """
    i, j, image, length = _search(cart, lattice, cutoff)
    apart = length > COINCIDENT
    i, j = i[apart], j[apart]
    return i, j, cart[j] + image[apart] @ lattice - cart[i], length[apart]


def bonds_within(cart: Array, lattice: Array, cutoff: float) -> tuple[Indices, Indices, Array]:
    """The same pairs, each once and coincident ones included: first atoms, second atoms and vectors."""
    i, j, image, _ = _search(cart, lattice, cutoff)
    whole = image.astype(np.int64)
    # Of a pair found from both ends, keep i < j; of an atom and its own images, the positive half space.
    leading = whole[:, 0] * 1_000_000 + whole[:, 1] * 1_000 + whole[:, 2]
    kept = (i < j) | ((i == j) & (leading > 0))
    i, j = i[kept], j[kept]
    return i, j, cart[j] + image[kept] @ lattice - cart[i]


def _search(cart: Array, lattice: Array, cutoff: float) -> tuple[Indices, Indices, Array, Array]:
    from pymatgen.optimization.neighbors import find_points_in_spheres

    cart, lattice = np.ascontiguousarray(cart), np.ascontiguousarray(lattice)
    found: tuple[Indices, Indices, Array, Array] = find_points_in_spheres(
        cart, cart, cutoff, np.ones(3, dtype=np.int64), lattice, 1e-8
    )
    return found
