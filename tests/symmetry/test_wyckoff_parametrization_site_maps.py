"""Laws of the coordinates of Wyckoff positions."""

import numpy as np
import pytest

from nucleate.symmetry.space_group import N_GROUPS
from nucleate.symmetry.wyckoff import centring, wyckoff_positions
from nucleate.symmetry.wyckoff_parametrization import primitive_vectors, site_map

# Some of every crystal system and centring, two origins, hexagonal axes, and the group of 27 letters.
GROUPS = (1, 2, 5, 15, 38, 43, 47, 62, 88, 122, 141, 148, 152, 166, 186, 194, 205, 225, 227, 230)


def test_every_position_of_every_group_has_its_size_and_freedom() -> None:
    count = 0
    for number in range(1, N_GROUPS + 1):
        for position in wyckoff_positions(number):
            found = site_map(number, position.letter)
            assert len(found.shift) == position.multiplicity // centring(number)
            assert found.matrix.shape == (len(found.shift), 3, position.n_free)
            count += 1
    assert count == 1731


@pytest.mark.parametrize("number", GROUPS)
def test_an_orbit_maps_onto_itself_under_every_operation(number: int) -> None:
    import moyopy

    operations = moyopy.operations_from_number(number)
    to_primitive = np.linalg.inv(primitive_vectors(number)).T
    rng = np.random.default_rng(number)
    for position in wyckoff_positions(number):
        found = site_map(number, position.letter)
        sites = found.matrix @ rng.random(position.n_free) + found.shift
        conventional = sites @ np.linalg.inv(to_primitive).T
        for turn, shift in zip(operations.rotations, operations.translations, strict=True):
            moved = (conventional @ np.array(turn).T + np.array(shift)) @ to_primitive.T
            gaps = moved[:, None] - sites
            gaps -= np.round(gaps)
            nearest = np.abs(gaps).max(-1)
            assert (nearest.min(1) < 1e-9).all()
            assert sorted(nearest.argmin(1).tolist()) == list(range(len(sites)))


def test_primitive_cells_hold_one_lattice_point() -> None:
    for number in range(1, N_GROUPS + 1):
        assert np.linalg.det(primitive_vectors(number)) == pytest.approx(1 / centring(number))
