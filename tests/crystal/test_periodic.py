"""Periodic distances against brute force, and their invariance to how a crystal is described."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal import periodic
from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.periodic import (
    image_offsets,
    minimum_distances,
    minimum_image,
    neighbors,
    pair_differences,
    reduced_cells,
    usable_cells,
)

seeds = st.integers(0, 2**32 - 1)
SKEWS = ([[1, 0, 0], [3, 1, 0], [-2, 1, 1]], [[1, 2, 0], [0, 1, 0], [1, -1, 1]], [[1, 0, 0], [0, 1, 0], [5, 4, 1]])


def _described_otherwise(crystals: Crystals, change: list[list[int]], shift: torch.Tensor) -> Crystals:
    """The same crystals in another cell of the same lattice and with another origin."""
    rows = torch.tensor(change, dtype=torch.float64)
    frac = wrap((crystals.frac + shift) @ torch.linalg.inv(rows)) * crystals.mask[..., None]
    return Crystals(crystals.numbers, frac, rows @ crystals.lattice, crystals.n_atoms)


def _brute_force(crystals: Crystals, i: int, reach: int = 4) -> np.ndarray:
    _, frac, lattice = (value.numpy() for value in crystals.sites(i))
    steps = np.arange(-reach, reach + 1)
    shifts = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    vectors = (frac[None, :, None] - frac[:, None, None] + shifts) @ lattice
    lengths = np.linalg.norm(vectors, axis=-1)
    return np.where(lengths < 1e-9, np.inf, lengths)


@given(seeds)
def test_distances_are_those_of_brute_force(make_crystals, seed):
    crystals = make_crystals(seed, 2, 6)
    found = minimum_distances(crystals)
    for i, n in enumerate(crystals.n_atoms.tolist()):
        assert np.allclose(found[i, :n, :n].numpy(), _brute_force(crystals, i).min(-1))
        assert torch.isinf(found[i, n:]).all()
        assert torch.isinf(found[i, :, n:]).all()


@given(seeds, st.sampled_from(SKEWS), st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_the_choice_of_cell_and_origin_does_not_matter(make_crystals, seed, change, shift):
    crystals = make_crystals(seed, 2, 5)
    other = _described_otherwise(crystals, change, torch.tensor(shift, dtype=torch.float64))
    assert torch.allclose(minimum_distances(other), minimum_distances(crystals), atol=1e-7)


@given(seeds, st.floats(1.0, 5.0), st.sampled_from(SKEWS))
def test_neighbors_are_those_of_brute_force_in_any_cell(make_crystals, seed, cutoff, change):
    crystals = make_crystals(seed, 2, 4)
    found = neighbors(crystals, cutoff)
    other = neighbors(_described_otherwise(crystals, change, torch.zeros(3, dtype=torch.float64)), cutoff)
    for i in range(len(crystals)):
        lengths = _brute_force(crystals, i).ravel()
        lengths = np.sort(lengths[lengths < cutoff])
        for answer in (found, other):
            mine = np.sort(answer.distance[answer.crystal == i].numpy())
            if len(mine) == len(lengths):
                assert np.allclose(mine, lengths)
            else:  # only a pair exactly at the cutoff may fall on either side
                odd = set(np.round(mine, 6)) ^ set(np.round(lengths, 6))
                assert all(math.isclose(value, cutoff, abs_tol=1e-5) for value in odd)


@given(seeds)
def test_images_lead_to_the_distances(make_crystals, seed):
    crystals = make_crystals(seed, 2, 4)
    found = neighbors(crystals, 5.0)
    frac = crystals.frac[found.crystal, found.second] + found.image - crystals.frac[found.crystal, found.first]
    vectors = (frac[:, None] @ crystals.lattice[found.crystal])[:, 0]
    assert torch.allclose(vectors.norm(dim=-1), found.distance)


def test_neighbors_are_directed_pairs(make_crystals):
    found = neighbors(make_crystals(5), 4.0)
    there = {tuple(row) for row in torch.column_stack(found[:3]).tolist()}
    assert there == {(b, j, i) for b, i, j in there}
    assert not len(neighbors(make_crystals(5)[[]], 4.0).distance)


@given(seeds, st.sampled_from(SKEWS))
def test_reduced_cells_span_the_same_lattice(make_crystals, seed, change):
    lattice = torch.tensor(change, dtype=torch.float64) @ make_crystals(seed).lattice
    reduced, whole = reduced_cells(lattice)
    assert torch.allclose(whole @ lattice, reduced)
    assert torch.allclose(torch.linalg.det(whole).abs(), torch.ones(len(lattice), dtype=torch.float64))
    assert torch.equal(whole, whole.round())
    assert (reduced.norm(dim=-1).sum(-1) <= lattice.norm(dim=-1).sum(-1) + 1e-9).all()


def test_broken_cells_are_marked_and_spoil_no_other(make_crystals):
    crystals = make_crystals(7, 4, 4)
    lattice = crystals.lattice.clone()
    lattice[1] = float("nan")
    lattice[2, 2] = lattice[2, 0] + lattice[2, 1]
    broken = Crystals(crystals.numbers, crystals.frac, lattice, crystals.n_atoms)
    assert usable_cells(broken).tolist() == [True, False, False, True]
    found, expected = minimum_distances(broken), minimum_distances(crystals)
    assert torch.equal(found[[0, 3]], expected[[0, 3]])
    n = int(crystals.n_atoms[1])
    assert found[1, :n, :n].isnan().all()
    assert set(neighbors(broken, 4.0).crystal.tolist()) <= {0, 3}


def test_offsets_and_images():
    assert image_offsets(1).shape == (27, 3)
    assert image_offsets((0, 1, 2)).shape == (15, 3)
    values = torch.tensor([-0.5, 0.5, 0.49, 1.2, -3.7], dtype=torch.float64)
    assert torch.allclose(minimum_image(values), torch.tensor([-0.5, -0.5, 0.49, 0.2, 0.3], dtype=torch.float64))


def test_pair_differences_are_antisymmetric_modulo_the_cell(make_crystals):
    delta = pair_differences(make_crystals(4).frac)
    total = delta + delta.transpose(1, 2)
    assert torch.allclose(total, total.round(), atol=1e-12)


def test_distances_do_not_depend_on_how_many_are_held_at_once(make_crystals, monkeypatch):
    crystals = make_crystals(0, 3)
    expected = minimum_distances(crystals)
    monkeypatch.setattr(periodic, "_AT_ONCE", 100)
    assert torch.equal(minimum_distances(crystals), expected)
