"""First guesses of a prototype's cell: its shape, and the size at which its ions touch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nucleate.data.templates import Template
from nucleate.errors import UserError


def unit_cell(template: Template) -> list[float]:
    """Independent lattice parameters with a = 1 and the prototype's typical axis ratios (1 where it has none)."""
    ratios = [template.defaults.get(name, 1.0) for name in ("b/a", "c/a")]
    if template.space_group >= 195:
        return [1.0]
    if template.space_group >= 75:
        return [1.0, ratios[1]]
    if template.space_group >= 16:
        return [1.0, *ratios]
    raise UserError(f"prototype {template.name}", "a monoclinic or triclinic cell", "an orthogonal or hexagonal one")


def touching_scale(
    numbers: NDArray[np.int64],
    frac: NDArray[np.float64],
    lattice: NDArray[np.float64],
    radii: Mapping[int, float],
    overlap: float = 0.8,
) -> float:
    """Factor on the lattice at which the tightest cation and anion touch.

    Anions may overlap a little; cations do not repel here.

    Args:
        numbers: Atomic numbers (n,).
        frac: Fractional coordinates (n, 3).
        lattice: Lattice vectors as rows (3, 3), in any unit of length.
        radii: Ionic radius of each element in Å, negative for anions.
        overlap: Smallest distance of two anions over the sum of their radii.
    """
    shifts = np.array(list(product((-1, 0, 1), repeat=3)), dtype=float)
    distance = np.linalg.norm((frac[:, None, None] - frac[None, :, None] + shifts) @ lattice, axis=-1)
    distance[distance < 1e-9] = np.inf
    nearest = distance.min(axis=-1)
    size = np.array([radii[int(z)] for z in numbers])
    touching = np.abs(size)[:, None] + np.abs(size)[None]
    both_anions = (size[:, None] < 0) & (size[None] < 0)
    needed = np.where(both_anions, overlap, 1.0) * touching / nearest
    needed[(size[:, None] > 0) & (size[None] > 0)] = 0.0
    return float(needed.max())
