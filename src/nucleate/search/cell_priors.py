"""Priors of random crystals: compositions within a request, volumes and shapes of cells, smallest distances."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import log

import moyopy
import numpy as np
import torch
from torch import Tensor

from nucleate.conditions.quantities import MAX_ATOMS
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import COVALENT_RADII, NOBLE_GASES
from nucleate.descriptors.composition import charge_states, is_charge_balanced
from nucleate.descriptors.element_tables import ATOMIC_VOLUMES, cell_volume
from nucleate.errors import UserError
from nucleate.symmetry.protostructure import Protostructure, protostructures
from nucleate.symmetry.wyckoff_parametrization import Layout, layout

DEFAULT_ELEMENTS: tuple[int, ...] = tuple(sorted(set(range(1, 84)) - NOBLE_GASES - {43, 61}))
"""Elements drawn where none are asked for: up to Bi, without noble gases, Tc and Pm."""

# Shares of primitive cells of 1 to 20 atoms, and of 1 to 5 elements, among 9,705 structures of the Materials
# Project at most 0.1 eV/atom above the hull (CC BY 4.0).
SIZE_SHARES = (
    0.0003, 0.0165, 0.0208, 0.1318, 0.0536, 0.0848, 0.0228, 0.0868, 0.0370, 0.0749,
    0.0185, 0.1161, 0.0202, 0.0584, 0.0130, 0.0719, 0.0107, 0.0583, 0.0101, 0.0935,
)  # fmt: skip
ELEMENT_SHARES = (0.0018, 0.1946, 0.6590, 0.1332, 0.0114)

PROPOSALS = 200
"""Compositions drawn for one crystal before an unbalanced one is accepted."""

Counts = dict[int, int]


def check_request(where: Conditions, name: str) -> None:
    """Refuse what a generator without weights cannot aim at.

    Raises:
        UserError: A condition on a property, or an element without data.
    """
    if where.targets:
        condition = next(iter(where.targets))
        raise UserError("--where", f"{condition} with '{name}'", "a model trained on that property")
    cell_volume(dict.fromkeys(where.composition or where.chemical_system or (), 1), "requested elements")


def sizes(where: Conditions) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of atoms (K,) that the request allows, and the probability of each (K,).

    Sizes beyond the table are used only where the request leaves nothing within it; then each is equally likely.
    """
    allowed = [n for n in range(1, MAX_ATOMS + 1) if where.allows_size(n)]
    common = [n for n in allowed if n <= len(SIZE_SHARES)]
    if common:
        shares = np.array([SIZE_SHARES[n - 1] for n in common])
        return np.array(common), shares / shares.sum()
    if where.n_atoms is None and allowed:
        allowed = allowed[:1]  # the smallest whole cell of a large formula
    if not allowed:
        raise UserError("--where", "no number of atoms that fits them all", f"a size up to {MAX_ATOMS} atoms")
    return np.array(allowed), np.full(len(allowed), 1 / len(allowed))


def draw_composition(
    rng: np.random.Generator, where: Conditions, fits: Callable[[Counts], bool] | None = None
) -> Counts | None:
    """Element counts of one cell; charge-balanced where the request and ``PROPOSALS`` draws allow it.

    Arguments:
        rng: Generator of this crystal.
        where: The request.
        fits: A further demand, for instance that Wyckoff positions can hold the counts; what does not fit is never
            returned.

    Returns:
        Counts {Z: count}, or None where no proposal fits.
    """
    choices, shares = sizes(where)
    fallback: Counts | None = None
    for _ in range(PROPOSALS):
        counts = _propose(rng, where, int(rng.choice(choices, p=shares)))
        if counts is None or (fits is not None and not fits(counts)):
            continue
        if where.composition is not None or is_charge_balanced(counts):
            return counts
        fallback = fallback or counts
    return fallback


def _propose(rng: np.random.Generator, where: Conditions, n: int) -> Counts | None:
    if where.composition is not None:
        multiple = n // sum(where.composition.values())
        return {z: count * multiple for z, count in where.composition.items()}
    if where.chemical_system is not None:
        elements = list(where.chemical_system)
        if where.allow_subsystems:
            elements = list(rng.choice(elements, size=rng.integers(1, len(elements) + 1), replace=False))
    else:
        shares = np.array(ELEMENT_SHARES[: min(n, len(ELEMENT_SHARES))])
        k = 1 + int(rng.choice(len(shares), p=shares / shares.sum()))
        elements = list(rng.choice(DEFAULT_ELEMENTS, size=k, replace=False))
    if len(elements) > n:
        return None
    # Whole formula units first, so that simple formulas are as common in large cells as in small ones.
    units = [m for m in range(1, n + 1) if n % m == 0 and n // m >= len(elements)]
    multiple = int(rng.choice(units))
    # Cut points without repetition split the formula into positive counts, every split equally likely.
    size = n // multiple
    cuts = np.sort(rng.choice(np.arange(1, size), size=len(elements) - 1, replace=False))
    parts = np.diff(np.concatenate([[0], cuts, [size]])) * multiple
    return dict(sorted((int(z), int(count)) for z, count in zip(elements, parts, strict=True)))


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
