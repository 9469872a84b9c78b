"""Wyckoff fits against brute force and against PyXtal's own check."""

from itertools import product

import pytest
from pyxtal.symmetry import Group

from nucleate.symmetry.wyckoff import fits, most_orbits, shared_out, site_multiplicities


def fillings(sites: tuple[tuple[int, bool], ...], count: int) -> list[tuple[int, ...]]:
    """Every number of uses of each position that adds up to the count."""
    if not sites:
        return [()] if count == 0 else []
    (multiplicity, free), *rest = sites
    most = count // multiplicity if free else min(1, count // multiplicity)
    return [
        (uses, *others) for uses in range(most + 1) for others in fillings(tuple(rest), count - uses * multiplicity)
    ]


def brute_force(space_group: int, counts: tuple[int, int]) -> bool:
    sites = site_multiplicities(space_group)
    fixed = [i for i, (_, free) in enumerate(sites) if not free]
    pairs = product(*(fillings(sites, count) for count in counts))
    return any(all(a[i] + b[i] <= 1 for i in fixed) for a, b in pairs)


@pytest.mark.parametrize("space_group", [19, 76, 92, 166, 198, 225, 227])
def test_against_brute_force(space_group: int) -> None:
    for counts in [(1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (3, 6), (5, 7), (4, 8)]:
        assert fits(space_group, {11: counts[0], 17: counts[1]}) == brute_force(space_group, counts)


def test_against_pyxtal() -> None:
    for number in range(2, 231, 13):
        group = Group(number)
        cells = group.cellsize()
        for counts in [(1, 1), (2, 4), (3, 5), (4, 8), (2, 2, 6)]:
            expected = group.check_compatible([n * cells for n in counts])[0]
            assert fits(number, dict(enumerate(counts, 3))) == bool(expected)


def test_known_crystals_fit_their_groups() -> None:
    assert fits(225, {11: 1, 17: 1})  # rock salt
    assert fits(227, {12: 2, 13: 4, 8: 8})  # spinel
    assert fits(62, {20: 4, 22: 4, 8: 12})  # perovskite, orthorhombic
    assert not fits(230, {11: 1, 17: 1})


def _brute(fixed, free, total):
    """Most orbits by trying every set."""
    best = -1
    for chosen in product((0, 1), repeat=len(fixed)):
        rest = total - sum(m for m, c in zip(fixed, chosen, strict=True) if c)
        if rest < 0:
            continue
        for counts in product(range(total + 1), repeat=len(free)):
            if sum(m * c for m, c in zip(free, counts, strict=True)) == rest:
                best = max(best, sum(chosen) + sum(counts))
    return best


@pytest.mark.parametrize("total", range(9))
@pytest.mark.parametrize(("fixed", "free"), [((1, 1, 3), (2,)), ((), (2, 3)), ((2, 4), ()), ((1, 2, 2), (4, 6))])
def test_most_orbits(fixed, free, total):
    assert most_orbits(fixed, free, total) == _brute(fixed, free, total)


@pytest.mark.parametrize("fixed", [(1, 1, 2), (1, 3), (), (2, 2, 4)])
@pytest.mark.parametrize(
    "needs", [((1, ()), (1, ())), ((3, (2,)), (2, ())), ((4, (2,)), (3, (3,))), ((5, ()), (2, ()))]
)
def test_shared_out(fixed, needs):
    possible = False
    for owner in product(range(len(needs) + 1), repeat=len(fixed)):
        rest = [
            count - sum(m for m, o in zip(fixed, owner, strict=True) if o == k) for k, (count, _) in enumerate(needs)
        ]
        possible |= all(r >= 0 and _brute((), free, r) >= 0 for r, (_, free) in zip(rest, needs, strict=True))
    assert shared_out(fixed, needs) == possible
