import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.core.local_env import CrystalNN, VoronoiNN

from nucleate.descriptors.neighbours import near_neighbors, solid_angles, surroundings


def crystal(seed, n=5, edge=5.0):
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * edge + rng.normal(size=(3, 3)) * 0.5
    return rng.random((n, 3)), cell


@pytest.mark.parametrize("seed", range(3))
def test_solid_angles_are_those_of_the_voronoi_cell(seed):
    frac, cell = crystal(seed)
    found = surroundings(frac, cell, np.arange(1), 10.0)
    angles = solid_angles(found.vectors[0], 10.0)
    faces = VoronoiNN(cutoff=12, compute_adj_neighbors=False).get_voronoi_polyhedra(
        Structure(Lattice(cell), ["Si"] * len(frac), frac), 0
    )
    expected = sorted(face["solid_angle"] for face in faces.values())
    np.testing.assert_allclose(sorted(angles[angles > 1e-9]), expected, atol=1e-8)
    assert angles.sum() == pytest.approx(4 * np.pi)


def test_degenerate_corners():
    """Face-centred cubic: twelve equal faces, four of which meet in some corners."""
    frac = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    found = surroundings(frac, np.eye(3) * 4.0, np.arange(4), 7.0)
    for vectors in found.vectors:
        angles = solid_angles(vectors[np.square(vectors).sum(1) > 0], 7.0)
        np.testing.assert_allclose(angles[:12], np.pi / 3, atol=1e-9)
        np.testing.assert_allclose(angles[12:], 0, atol=1e-9)


def test_an_open_cell_has_none():
    plane = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [1, 1, 0]])
    assert solid_angles(plane, 7.0) is None
    half = np.array([[1.0, 0, 0.2], [-1, 0, 0.2], [0, 1, 0.2], [0, -1, 0.2], [0, 0, 1]])
    assert solid_angles(half, 7.0) is None


def test_a_cell_beyond_the_radius_is_not_trusted():
    corners = 3.9 * np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)])
    assert solid_angles(corners, 7.0) is None
    assert solid_angles(corners, 7.0, closed=True) is not None
    assert solid_angles(corners, 12.0) is not None


@pytest.mark.parametrize("seed", range(3))
def test_near_neighbors_are_crystal_nn(seed):
    frac, cell = crystal(seed, 4, 4.5)
    structure = Structure(Lattice(cell), ["Si"] * len(frac), frac)
    library = CrystalNN(distance_cutoffs=None, x_diff_weight=0, porous_adjustment=False, search_cutoff=12)
    found = surroundings(frac, cell, np.arange(len(frac)), 10.0)
    angles = np.zeros(found.distances.shape)
    for i, vectors in enumerate(found.vectors):
        real = found.distances[i] < np.inf
        angles[i, : real.sum()] = solid_angles(vectors[real], 10.0)
    near = near_neighbors(angles)
    for i in range(len(frac)):
        expected = sorted(
            np.linalg.norm(n["site"].coords - structure[i].coords) for n in library.get_nn_info(structure, i)
        )
        np.testing.assert_allclose(found.distances[i][near[i]], expected, atol=1e-9)


def test_no_angles_no_neighbors():
    assert not near_neighbors(np.zeros((2, 3))).any()
