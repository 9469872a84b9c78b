"""Priors of random cells: volumes and shapes, smallest distances, generators, and symmetry that a draw preserves."""

from __future__ import annotations

from functools import lru_cache
from math import log

import moyopy
import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.elements import COVALENT_RADII
from nucleate.descriptors.composition import charge_states
from nucleate.descriptors.element_tables import ATOMIC_VOLUMES
from nucleate.search.compositions import Counts
from nucleate.symmetry.protostructure import Protostructure, protostructures
from nucleate.symmetry.wyckoff_parametrization import Layout, layout

VOLUME_SPREAD = 0.08
"""Standard deviation of the logarithm of the volume over the expected one."""

WIDENED = 1.2
"""Shapes are drawn wider than those of known crystals by this factor."""

# Mean and standard deviation, for each Bravais lattice, of the logarithm of the shape of conventional cells relative
# to a cube (hexagonal axes: to the prism): xx, yy, zz less their mean, then the free shears; trigonal cells on
# hexagonal axes. 4,000 structures of the Materials Project (CC BY 4.0; A. Jain et al., APL Materials 1, 011002 (2013)).
_SHAPES: dict[str, tuple[list[float], list[float]]] = {
    "aP": ([-0.15, -0.02, 0.17, -0.02, -0.02, -0.01], [0.11, 0.09, 0.14, 0.14, 0.12, 0.15]),
    "hP": ([-0.05, -0.05, 0.10], [0.24, 0.24, 0.47]),
    "hR": ([-0.40, -0.40, 0.79], [0.25, 0.25, 0.50]),
    "mC": ([0.30, -0.23, -0.08, -0.17], [0.30, 0.38, 0.23, 0.11]),
    "mP": ([-0.13, -0.11, 0.24, -0.17], [0.18, 0.22, 0.18, 0.12]),
    "oF": ([-0.53, 0.08, 0.44], [0.25, 0.18, 0.34]),
    "oI": ([-0.35, 0.09, 0.26], [0.28, 0.28, 0.37]),
    "oP": ([0.02, -0.13, 0.11], [0.27, 0.33, 0.32]),
    "oS": ([-0.36, 0.39, -0.02], [0.37, 0.39, 0.36]),
    "tI": ([-0.23, -0.23, 0.47], [0.20, 0.20, 0.40]),
    "tP": ([-0.12, -0.12, 0.23], [0.21, 0.21, 0.42]),
}


def drawn(
    layout: Layout, space_group: int, log_volume: float, count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Free coordinates (count, F), uniform, and strains (count, K) of cells of about a volume.

    Arguments:
        layout: What to draw for.
        space_group: Its number.
        log_volume: Logarithm of the volume expected, in Å³.
        count: How many.
        rng: Where the numbers come from.
    """
    free = torch.from_numpy(rng.random((count, layout.n_coordinates)))
    normal = torch.from_numpy(rng.standard_normal((count, 7)))
    bravais = str(moyopy.SpaceGroupType(space_group).bravais_class)
    entries = torch.zeros(count, 6, dtype=torch.float64)
    if bravais in _SHAPES:
        mean, spread = (torch.tensor(part, dtype=torch.float64) for part in _SHAPES[bravais])
        places = {3: [0, 1, 2], 4: [0, 1, 2, 4], 6: [0, 1, 2, 3, 4, 5]}[len(mean)]
        entries[:, places] = mean + WIDENED * spread * normal[:, : len(mean)]
    if bravais[0] in "ht":
        entries[:, 0] = entries[:, 1] = -0.5 * entries[:, 2]
    entries[:, :3] -= entries[:, :3].mean(1, keepdim=True)
    volume = log_volume + VOLUME_SPREAD * normal[:, 6] - torch.linalg.det(layout.frame).abs().log()
    entries[:, :3] += volume[:, None] / 3
    matrix = entries[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(count, 3, 3)
    along = torch.einsum("kij,dij->dk", layout.strains, matrix)
    return free, along / layout.strains.square().sum((1, 2))


BONDED_FRACTION = 0.8
"""Smallest distance of any two atoms as a share of the sum of their covalent radii."""

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


def crystal_stream(seed: int, index: int) -> np.random.Generator:
    """Generator keyed (seed, index) for crystal number ``index`` of a request."""
    return np.random.default_rng(np.random.SeedSequence([seed % 2**64, index]))


_SYMPREC = 1e-3
_VOLUME = 20.0
"""Å³ an atom; any that keeps atoms at random places apart."""


def is_generic(protostructure: Protostructure) -> bool:
    """True if crystals with random coordinates and cell carry the protostructure's own label."""
    # Which elements they are makes no difference, only which orbits share one.
    names = {z: number + 1 for number, z in enumerate(protostructure.counts)}
    sites = tuple((names[z], letter) for z, letter in protostructure.sites)
    return _is_generic(protostructure.space_group, sites)


@lru_cache(maxsize=16384)
def _is_generic(space_group: int, sites: tuple[tuple[int, str], ...]) -> bool:
    protostructure = Protostructure(space_group, sites)
    map_ = layout(protostructure)
    rng = np.random.default_rng(0)
    free, strain = drawn(map_, space_group, log(_VOLUME * protostructure.n_primitive), 2, rng)
    found = protostructures(map_.crystals(free, strain), _SYMPREC)
    return any(one is not None and one.label == protostructure.label for one in found)
