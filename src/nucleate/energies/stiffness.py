"""A first guess of a crystal's second derivatives: springs between neighbours.

With it the first steps of a minimisation already know stiff from soft directions, and how atoms and
cell move together. The form, springs that weaken exponentially with distance, is that of D. Packwood
et al., J. Chem. Phys. 144, 164109 (2016); the constants were chosen for the fewest steps of CHGNet
on displaced and strained crystals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nucleate.crystal.elements import COVALENT_RADII
from nucleate.energies.frechet import SYMMETRIC_BASIS, Array, FrechetCoordinates
from nucleate.energies.neighbours import pairs_within

SPRING = 5.0
"""Stiffness in eV/Å² of a spring as long as the sum of the covalent radii."""
DECAY = 3.0
"""How fast springs weaken with their length over that sum."""
LARGEST_SPRING = 10.0
FLOOR = 5.0
"""Stiffness in eV/Å² of everything, so that no direction is free."""
REACH = 6.0
"""Springs are at most this long, in Å."""


def spring_hessian(coordinates: FrechetCoordinates, numbers: NDArray[np.int64]) -> Array:
    """Second derivatives in eV/Å² in the unknowns of ``coordinates`` at their start, shape (3n + 6, 3n + 6)."""
    n = coordinates.n
    i, j, vectors, lengths = pairs_within(coordinates.start, coordinates.lattice, REACH)
    radii = np.array(COVALENT_RADII)[np.minimum(numbers, len(COVALENT_RADII) - 1)]
    springs = np.minimum(SPRING * np.exp(-DECAY * (lengths / (radii[i] + radii[j]) - 1)), LARGEST_SPRING)
    units = vectors / lengths[:, None]
    stretch = np.zeros((len(lengths), n + 2, 3))  # how each unknown changes each length
    rows = np.arange(len(lengths))
    np.add.at(stretch, (rows, i), -units)
    np.add.at(stretch, (rows, j), units)
    by_cell = np.einsum("pa,kab,pb->pk", vectors, SYMMETRIC_BASIS, units) / coordinates.length
    stretch[:, n:] = by_cell.reshape(-1, 2, 3)
    flat = stretch.reshape(len(lengths), 3 * n + 6)
    hessian = 0.5 * (flat * springs[:, None]).T @ flat  # each pair is listed from both ends
    return np.asarray(hessian + FLOOR * np.eye(3 * n + 6), dtype=np.float64)
