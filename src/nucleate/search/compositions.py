"""Draws what a random crystal is made of, within a request."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nucleate.conditions.quantities import MAX_ATOMS
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import NOBLE_GASES
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.descriptors.element_tables import cell_volume
from nucleate.errors import UserError

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
