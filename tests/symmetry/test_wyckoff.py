"""Laws of the Wyckoff positions of all space groups."""

from itertools import permutations, product

import moyopy
import numpy as np
import pytest

from nucleate.errors import UserError
from nucleate.symmetry.wyckoff import (
    LETTERS,
    MOST_POSITIONS,
    N_GROUPS,
    by_letter,
    centring,
    equivalent_settings,
    lattice_symbol,
    wyckoff_positions,
)
from nucleate.symmetry.wyckoff_parametrization import site_map

GROUPS = range(1, N_GROUPS + 1)


def test_number_of_positions():
    positions = [position for group in GROUPS for position in wyckoff_positions(group)]
    assert len(positions) == 1731
    assert sum(position.n_free == 0 for position in positions) == 616
    assert max(len(wyckoff_positions(group)) for group in GROUPS) == len(wyckoff_positions(47)) == MOST_POSITIONS
    assert sum(all(p.n_free > 0 for p in wyckoff_positions(group)) for group in GROUPS) == 85


def test_letters_follow_the_alphabet_and_the_general_position_is_last():
    for group in GROUPS:
        positions = wyckoff_positions(group)
        assert "".join(p.letter for p in positions) == LETTERS[: len(positions)]
        assert positions[-1].n_free == 3
        assert positions[-1].multiplicity == max(p.multiplicity for p in positions)
        assert all(positions[-1].multiplicity % p.multiplicity == 0 for p in positions)


def test_settings_form_a_group_that_keeps_size_and_freedom():
    for group in GROUPS:
        known, settings = by_letter(group), equivalent_settings(group)
        letters = list(known)
        rows = {tuple(setting[x] for x in letters) for setting in settings}
        assert tuple(letters) == tuple(settings[0][x] for x in letters)
        for setting in settings:
            assert sorted(setting[x] for x in letters) == sorted(letters)
            for x in letters:
                image = known[setting[x]]
                assert (image.multiplicity, image.n_free) == (known[x].multiplicity, known[x].n_free)
        for first in settings[:8]:
            for second in settings[:8]:
                assert tuple(second[first[x]] for x in letters) in rows


@pytest.mark.parametrize("group", [16, 62, 123, 136, 221])
def test_settings_are_changes_of_origin_or_axes_that_map_orbits_onto_orbits(group):
    """A search over all origins and axes finds the renamings, here of positions without freedom in primitive cells."""
    operations = moyopy.operations_from_number(group)
    pairs = [(np.array(r), np.array(t)) for r, t in zip(operations.rotations, operations.translations, strict=True)]
    fixed = [p.letter for p in wyckoff_positions(group) if p.n_free == 0]
    points = {x: site_map(group, x).shift for x in fixed}
    keys = {x: _points(points[x]) for x in fixed}
    own = _operations(pairs)
    found = set()
    for turn in map(np.array, permutations(np.eye(3).tolist())):
        for origin in product((0, 0.25, 0.5, 0.75), repeat=3):
            moved = [(turn @ r @ turn.T, turn @ t + origin - turn @ r @ turn.T @ origin) for r, t in pairs]
            if _operations(moved) != own:
                continue
            images = {x: _points(points[x] @ turn.T + origin) for x in fixed}
            row = tuple(next((y for y in fixed if keys[y] == images[x]), "") for x in fixed)
            assert "" not in row
            found.add(row)
    known = {tuple(setting[x] for x in fixed) for setting in equivalent_settings(group)}
    assert found == known


def _points(points):
    return frozenset(tuple(row) for row in (np.round(points * 24).astype(int) % 24).tolist())


def _operations(pairs):
    return frozenset((r.round().astype(int).tobytes(), (np.round(t * 24).astype(int) % 24).tobytes()) for r, t in pairs)


def test_centrings():
    assert [centring(g) for g in (1, 5, 38, 139, 166, 227)] == [1, 2, 2, 2, 3, 4]
    assert [lattice_symbol(g) for g in (2, 5, 38, 139, 166, 194, 227)] == ["aP", "mC", "oS", "tI", "hR", "hP", "cF"]


@pytest.mark.parametrize("number", [0, 231, -1])
def test_numbers_outside_the_range(number):
    with pytest.raises(UserError, match="a number from 1 to 230"):
        wyckoff_positions(number)
