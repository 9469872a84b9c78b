"""Settings of a reduced cell against its point group and the crystal they describe."""

import numpy as np
import pytest
import spglib
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import MAX_AUTOMORPHISMS, automorphisms, parameters_to_matrix
from nucleate.crystal.periodic import minimum_distances

CELLS = {
    "cubic": ((4, 4, 4), (90, 90, 90), 48),
    "fcc, primitive": ((3, 3, 3), (60, 60, 60), 48),
    "bcc, primitive": ((3, 3, 3), (109.4712206, 109.4712206, 109.4712206), 48),
    "hexagonal": ((3, 3, 5), (90, 90, 120), 24),
    "tetragonal": ((3, 3, 5), (90, 90, 90), 16),
    "rhombohedral": ((4, 4, 4), (75, 75, 75), 12),
    "orthorhombic": ((3, 4, 5), (90, 90, 90), 8),
    "monoclinic": ((3, 5, 4), (90, 100, 90), 4),
    "triclinic": ((3, 4, 5), (80, 85, 75), 2),
}


def cell(name):
    lengths, angles, _ = CELLS[name]
    return parameters_to_matrix(torch.tensor(lengths, dtype=torch.float64), torch.tensor(angles, dtype=torch.float64))


def settings(lattice):
    found, count = automorphisms(lattice[None])
    return found[0, : count[0]].to(lattice.dtype)


@pytest.mark.parametrize("name", CELLS)
def test_they_are_the_point_group_of_the_lattice(name):
    lattice = cell(name)
    found = settings(lattice)
    operations = spglib.get_symmetry((lattice.numpy(), [[0, 0, 0]], [1]), symprec=1e-4)["rotations"]
    assert len(found) == len(operations) == CELLS[name][2]
    # spglib's rotations act on columns of coordinates; a change of basis acts on rows of vectors.
    expected = {tuple(np.round(r.T).astype(int).flatten()) for r in operations}
    assert {tuple(m.int().flatten().tolist()) for m in found} == expected


@pytest.mark.parametrize("name", CELLS)
def test_they_keep_the_metric_and_form_a_group(name):
    lattice = cell(name)
    found = settings(lattice)
    moved = found @ lattice
    metric = lattice @ lattice.mT
    torch.testing.assert_close(moved @ moved.mT, metric.expand(len(found), 3, 3), atol=1e-5, rtol=1e-5)
    members = {tuple(m.flatten().tolist()) for m in found}
    products = (found[:, None] @ found[None]).reshape(-1, 9)
    assert {tuple(p.tolist()) for p in products} == members
    assert {tuple(p.flatten().round().tolist()) for p in torch.linalg.inv(found)} == members


@pytest.mark.parametrize("name", ["cubic", "hexagonal", "monoclinic", "triclinic"])
def test_a_setting_describes_the_same_crystal(name):
    lattice = cell(name)
    frac = torch.rand(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = settings(lattice)
    size = len(found)
    changed = frac @ torch.linalg.inv(found)  # in the cell M L, which has the metric of L
    crystals = Crystals(
        torch.ones(size, 5, dtype=torch.int64), changed, lattice.expand(size, 3, 3), torch.full((size,), 5)
    )
    distances = minimum_distances(crystals)
    torch.testing.assert_close(distances, distances[:1].expand_as(distances), atol=1e-5, rtol=0)


def test_a_batch_is_its_crystals_and_is_padded_with_the_identity():
    batch = torch.stack([cell(name) for name in CELLS])
    found, count = automorphisms(batch)
    assert count.tolist() == [order for _, _, order in CELLS.values()]
    assert found.shape == (len(CELLS), MAX_AUTOMORPHISMS, 3, 3)
    for i in range(len(CELLS)):
        alone, n = automorphisms(batch[i : i + 1])
        assert torch.equal(alone[0], found[i])
        assert torch.equal(found[i, n[0] :], torch.eye(3, dtype=torch.int8).expand(MAX_AUTOMORPHISMS - n[0], 3, 3))


def test_nearly_equal_axes_count_within_the_tolerance():
    lattice = parameters_to_matrix(
        torch.tensor([4.0, 4.0, 4.01], dtype=torch.float64), torch.full((3,), 90.0, dtype=torch.float64)
    )
    assert automorphisms(lattice[None])[1].item() == 48
    assert automorphisms(lattice[None], tolerance=1e-4)[1].item() == 16
