"""Whether the Wyckoff positions of a space group can hold given numbers of atoms."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product

from nucleate.symmetry.wyckoff import centring, wyckoff_positions


@lru_cache(maxsize=230)
def site_multiplicities(space_group: int) -> tuple[tuple[int, bool], ...]:
    """Atoms in the primitive cell for each Wyckoff position, and whether its coordinates are free."""
    cells = centring(space_group)
    return tuple((site.multiplicity // cells, site.n_free > 0) for site in wyckoff_positions(space_group))


def fits(space_group: int, counts: Mapping[int, int]) -> bool:
    """True if occupied positions can add up to the counts {Z: atoms in the primitive cell}.

    A position without free coordinates holds atoms once; one with free coordinates any number of times. The
    crystal may still turn out more symmetric, when the positions chosen are also those of a supergroup.
    """
    return _fits(space_group, tuple(sorted(counts.values(), reverse=True)))


@lru_cache(maxsize=65536)
def _fits(space_group: int, counts: tuple[int, ...]) -> bool:
    sites = site_multiplicities(space_group)
    free = {multiplicity for multiplicity, is_free in sites if is_free}
    fixed = [multiplicity for multiplicity, is_free in sites if not is_free]
    reachable = _sums(free, max(counts))
    subsets = [sum(m for k, m in enumerate(fixed) if chosen >> k & 1) for chosen in range(1 << len(fixed))]
    used = {0}  # sets of fixed positions already taken by the elements so far, as bits
    for count in counts:
        options = [chosen for chosen, total in enumerate(subsets) if total <= count and reachable[count - total]]
        used = {taken | chosen for taken in used for chosen in options if not taken & chosen}
        if not used:
            return False
    return True


def _sums(parts: set[int], limit: int) -> list[bool]:
    """Which totals up to ``limit`` repeated parts add up to."""
    reachable = [True] + [False] * limit
    for total in range(1, limit + 1):
        reachable[total] = any(part <= total and reachable[total - part] for part in parts)
    return reachable


@lru_cache(maxsize=65536)
def most_orbits(fixed: tuple[int, ...], free: tuple[int, ...], total: int) -> int:
    """Most orbits that ``total`` atoms can be made of, -1 where they cannot be made of any.

    Arguments:
        fixed: Multiplicities of positions that hold atoms once.
        free: Multiplicities of those that hold atoms any number of times.
        total: Atoms.
    """
    most = [0] + [-1] * total
    for size in fixed:
        for n in range(total, size - 1, -1):
            if most[n - size] >= 0:
                most[n] = max(most[n], most[n - size] + 1)
    for size in free:
        for n in range(size, total + 1):
            if most[n - size] >= 0:
                most[n] = max(most[n], most[n - size] + 1)
    return most[total]


@lru_cache(maxsize=65536)
def shared_out(fixed: tuple[int, ...], needs: tuple[tuple[int, tuple[int, ...]], ...]) -> bool:
    """True if every need can be met at once.

    Arguments:
        fixed: Multiplicities of positions that hold atoms of one element once, sorted.
        needs: Atoms of an element, and multiplicities of positions that hold any number of them.
    """
    if not needs:
        return True
    (count, free), *others = needs
    reachable = _sums(set(free), count)
    sizes = sorted(set(fixed))
    for taken in product(*(range(min(fixed.count(size), count // size) + 1) for size in sizes)):
        total = sum(n * size for n, size in zip(taken, sizes, strict=True))
        if total <= count and reachable[count - total]:
            kept = (size for n, size in zip(taken, sizes, strict=True) for _ in range(fixed.count(size) - n))
            if shared_out(tuple(kept), tuple(others)):
                return True
    return False
