import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nucleate.descriptors.neighbours import surroundings


@pytest.mark.parametrize("seed", range(4))
def test_every_image_within_the_radius(seed):
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * rng.uniform(2, 6, 3) + rng.normal(size=(3, 3)) * 0.8
    frac = rng.random((4, 3))
    structure = Structure(Lattice(cell), ["H"] * 4, frac)
    found = surroundings(frac, cell, np.array([1, 3]), 6.5)
    for row, site in enumerate((1, 3)):
        neighbours = sorted(structure.get_neighbors(structure[site], 6.5), key=lambda n: n.nn_distance)
        real = found.distances[row] < np.inf
        np.testing.assert_allclose(found.distances[row][real], [n.nn_distance for n in neighbours], atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(found.vectors[row][real], axis=1), found.distances[row][real])
        assert sorted(found.sites[row][real]) == sorted(n.index for n in neighbours)
        assert (found.sites[row][~real] == -1).all()


def test_too_many_images_are_refused():
    assert surroundings(np.zeros((1, 3)), np.eye(3) * 0.01, np.arange(1), 12.0) is None


def test_slices_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    frac, cell = rng.random((6, 3)), np.eye(3) * 4
    whole = surroundings(frac, cell, np.arange(6), 6.0)
    monkeypatch.setattr("nucleate.descriptors.neighbours.SLICE_POINTS", 1000)
    for one, other in zip(whole, surroundings(frac, cell, np.arange(6), 6.0), strict=True):
        np.testing.assert_array_equal(one, other)
