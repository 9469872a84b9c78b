"""Cells as vectors: round trips, and what they are free of."""

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import from_voigt, polar_symmetric, to_voigt
from nucleate.representations.cells import (
    EIGENVALUES,
    SMALLEST_EIGENVALUE,
    DensityScaledCells,
    LogShapeCells,
    MatrixCells,
)


def lattices(size=20):
    generator = torch.Generator().manual_seed(0)
    return 4 * torch.eye(3, dtype=torch.float64) + torch.randn(size, 3, 3, generator=generator, dtype=torch.float64)


def crystals(lattice, n_atoms):
    size = len(lattice)
    return Crystals(
        torch.ones(size, 1, dtype=torch.int64), torch.zeros(size, 1, 3, dtype=torch.float64), lattice, n_atoms
    )


N_ATOMS = torch.arange(1, 21)
FEW = 1 + N_ATOMS // 8  # cells of 4 Å hold no more


@pytest.mark.parametrize("kind", [LogShapeCells, MatrixCells, DensityScaledCells])
def test_cells_come_back_up_to_a_rotation(kind):
    cells, lattice = kind().double(), lattices()
    cells.fit(crystals(lattice, FEW))
    back = cells.decode(cells.encode(lattice, FEW), FEW)
    torch.testing.assert_close(back @ back.mT, lattice @ lattice.mT)
    assert cells.encode(lattice, FEW).shape == (20, cells.width)
    vector = cells.encode(back, FEW)
    torch.testing.assert_close(cells.decode(vector, FEW), back)


def test_log_shapes_are_standardised_and_know_no_rotation_or_size():
    cells, lattice = LogShapeCells().double(), lattices()
    cells.fit(crystals(lattice, N_ATOMS))
    vectors = cells.encode(lattice, N_ATOMS)
    torch.testing.assert_close(vectors.mean(0), torch.zeros(6, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(vectors.std(0), torch.ones(6, dtype=torch.float64))
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    torch.testing.assert_close(cells.encode(lattice @ rotation, N_ATOMS), vectors)
    torch.testing.assert_close(cells.encode(2 * lattice, 8 * N_ATOMS), vectors)  # eight times the atoms and the volume


def test_any_vector_is_a_cell():
    vectors = 100 * torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lattice = LogShapeCells().double().decode(vectors, torch.ones(50))
    assert bool(lattice.isfinite().all())
    assert bool((torch.linalg.det(lattice) > 0).all())


@pytest.mark.parametrize("size", [1, 3])
def test_alike_cells_can_be_fitted(size):
    cells = LogShapeCells().double()
    lattice = 4 * torch.eye(3, dtype=torch.float64).expand(size, 3, 3)
    cells.fit(crystals(lattice, torch.ones(size, dtype=torch.int64)))
    assert bool(cells.encode(lattice, torch.ones(size)).isfinite().all())
    assert float(cells.std.min()) > 0


def test_the_papers_prediction_turns_with_the_cell():
    cells, lattice, raw = MatrixCells(), lattices(4), torch.randn(4, 9, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    turned = lattice @ rotation
    torch.testing.assert_close(cells.features(turned.flatten(1), turned), cells.features(lattice.flatten(1), lattice))
    prediction = cells.prediction(raw, lattice).unflatten(1, (3, 3))
    torch.testing.assert_close(cells.prediction(raw, turned).unflatten(1, (3, 3)), prediction @ rotation)


def test_pure_noise_is_a_cube_of_the_average_density():
    cells = DensityScaledCells()
    sizes = torch.tensor([1, 4, 8, 20])
    cubes = cells.decode(torch.zeros(4, 6, dtype=torch.float64), sizes)
    assert cubes[:, 0, 0].tolist() == pytest.approx([2.588, 4.108, 5.17529, 7.024], abs=1e-3)
    torch.testing.assert_close(sizes / torch.linalg.det(cubes), torch.full((4,), cells.density, dtype=torch.float64))
    one = torch.eye(6, dtype=torch.float64)[[0, 5]]
    moved = cells.decode(one, torch.tensor([8, 8])) - cubes[2]
    assert float(moved[0, 0, 0]) == pytest.approx(1.0)  # one standard deviation is 1 Å for eight atoms
    assert moved[1, 0, 1] == moved[1, 1, 0] == pytest.approx(1.0)


def test_noisy_cells_are_positive_definite():
    vectors = 10 * torch.randn(500, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sizes = torch.randint(1, 21, (500,), generator=torch.Generator().manual_seed(1))
    lattice = DensityScaledCells().decode(vectors, sizes)
    torch.testing.assert_close(lattice, lattice.mT)
    least = torch.linalg.eigvalsh(lattice)[:, 0] / sizes.double() ** (1 / 3)
    assert float(least.min()) >= SMALLEST_EIGENVALUE * (1 - 1e-9)


def test_cells_that_are_positive_definite_are_left_alone():
    cells = DensityScaledCells()
    lattice = polar_symmetric(lattices())
    torch.testing.assert_close(cells.decode(cells.encode(lattice, torch.ones(20)), torch.ones(20)), lattice)
    turned = lattice @ torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    torch.testing.assert_close(cells.encode(turned, N_ATOMS), cells.encode(lattice, N_ATOMS))


def test_bounded_cells_are_no_longer_than_real_ones():
    cells = DensityScaledCells()
    generator = torch.Generator().manual_seed(5)
    vectors = 15 * torch.randn(200, 6, generator=generator, dtype=torch.float64)
    sizes = torch.arange(1, 201)
    lattice = cells.decode(cells.bounded(vectors), sizes)
    edges = torch.linalg.eigvalsh(lattice) / sizes[:, None] ** (1 / 3)
    assert float(edges.min()) >= EIGENVALUES[0] - 1e-6
    assert float(edges.max()) <= EIGENVALUES[1] + 1e-6
    real = cells.encode(lattice, sizes)
    torch.testing.assert_close(cells.bounded(real), real)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    turned = to_voigt(turn @ from_voigt(vectors) @ turn.T)
    expected = to_voigt(turn @ from_voigt(cells.bounded(vectors)) @ turn.T)
    torch.testing.assert_close(cells.bounded(turned), expected)
