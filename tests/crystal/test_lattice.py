"""Lattice algebra: inverse pairs, invariances, and pymatgen's numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.lattice import (
    face_distances,
    from_log_shape,
    log_shape,
    matrix_to_parameters,
    parameters_to_matrix,
    polar_symmetric,
)

seeds = st.integers(0, 2**32 - 1)


def _rotations(seed: int, n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed % 2**31)
    q, r = torch.linalg.qr(torch.randn(n, 3, 3, dtype=torch.float64, generator=generator))
    q = q * torch.sign(torch.diagonal(r, dim1=-2, dim2=-1))[:, None]
    return q * torch.sign(torch.linalg.det(q))[:, None, None]


@given(seeds)
def test_parameters_and_matrix_are_inverse(make_crystals, seed):
    lengths, angles = matrix_to_parameters(make_crystals(seed).lattice)
    again = matrix_to_parameters(parameters_to_matrix(lengths, angles))
    assert torch.allclose(again[0], lengths, atol=1e-10)
    assert torch.allclose(again[1], angles, atol=1e-8)


@given(seeds)
def test_parameters_are_those_of_pymatgen(make_crystals, seed):
    from pymatgen.core import Lattice

    lattice = make_crystals(seed).lattice
    lengths, angles = matrix_to_parameters(lattice)
    for i, matrix in enumerate(lattice.numpy()):
        expected = Lattice(matrix)
        assert np.allclose(expected.abc, lengths[i])
        assert np.allclose(expected.angles, angles[i])
        volume = torch.linalg.det(parameters_to_matrix(lengths[i], angles[i]))
        assert float(volume) == pytest.approx(expected.volume)


def test_impossible_angles_give_no_numbers():
    cell = parameters_to_matrix(torch.tensor([3.0, 3.0, 3.0]), torch.tensor([60.0, 60.0, 170.0]))
    assert not cell.isfinite().all()


@given(seeds)
def test_the_polar_factor_keeps_the_metric_and_forgets_the_rotation(make_crystals, seed):
    lattice = make_crystals(seed).lattice
    polar = polar_symmetric(lattice)
    assert torch.allclose(polar, polar.mT, atol=1e-9)
    assert torch.allclose(polar @ polar.mT, lattice @ lattice.mT, atol=1e-8)
    assert (torch.linalg.eigvalsh(polar) > 0).all()
    turned = polar_symmetric(lattice @ _rotations(seed, len(lattice)))
    assert torch.allclose(turned, polar, atol=1e-8)


@given(seeds)
def test_the_logarithm_of_the_shape_inverts_and_measures_volume(make_crystals, seed):
    lattice = make_crystals(seed).lattice
    shape = log_shape(lattice)
    assert torch.allclose(from_log_shape(shape), polar_symmetric(lattice), atol=1e-8)
    assert torch.allclose(shape[:, :3].sum(-1), torch.linalg.det(lattice).abs().log(), atol=1e-8)


@given(seeds)
def test_any_six_numbers_are_a_right_handed_cell(seed):
    generator = torch.Generator().manual_seed(seed % 2**31)
    shape = torch.randn(4, 6, dtype=torch.float64, generator=generator)
    assert (torch.linalg.det(from_log_shape(shape)) > 0).all()
    assert torch.allclose(log_shape(from_log_shape(shape)), shape, atol=1e-8)


@given(seeds)
def test_heights_are_volume_over_face(make_crystals, seed):
    lattice = make_crystals(seed).lattice
    volume = torch.linalg.det(lattice).abs()
    for axis in range(3):
        face = torch.linalg.cross(lattice[:, (axis + 1) % 3], lattice[:, (axis + 2) % 3]).norm(dim=-1)
        assert torch.allclose(face_distances(lattice)[:, axis], volume / face)
