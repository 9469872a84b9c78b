"""Complexity: values that follow from the orbits by hand, and its laws."""

import math

import pytest
import torch

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.data.dataset import load_dataset
from nucleate.descriptors.complexity import complexity


def entropy(*multiplicities: int) -> float:
    total = sum(multiplicities)
    return -sum(m / total * math.log2(m / total) for m in multiplicities)


def test_by_hand(samples):
    crystals = samples.batch(samples.COPPER, samples.ROCK_SALT, samples.PEROVSKITE, samples.SELENIUM, samples.GRAPHITE)
    expected = [0.0, 1.0, entropy(1, 1, 3), 0.0, entropy(2, 2)]
    assert complexity(crystals).tolist() == pytest.approx(expected)


def test_no_symmetry_gives_the_logarithm_of_the_number_of_atoms(samples):
    crystals = samples.random_batch(3, largest=20)
    found = complexity(crystals, symprec=1e-4)
    upper = torch.log2(crystals.n_atoms.double())
    assert (found <= upper + 1e-12).all()
    large = crystals.n_atoms > 2  # two atoms are always related by inversion
    torch.testing.assert_close(found[large], upper[large])


def test_fifteen_inequivalent_atoms_are_the_first_above_the_published_threshold():
    assert math.log2(14) < 3.9 < math.log2(15)


def test_the_same_in_every_cell_and_origin(samples):
    crystals = samples.batch(samples.ROCK_SALT, samples.PEROVSKITE, samples.SELENIUM, samples.GRAPHITE)
    values = complexity(crystals)
    torch.testing.assert_close(complexity(samples.supercell(crystals, (2, 1, 2))), values)
    moved = torch.where(crystals.mask[..., None], wrap(crystals.frac + 0.3), 0.0)
    torch.testing.assert_close(
        complexity(Crystals(crystals.numbers, moved, crystals.lattice, crystals.n_atoms)), values
    )


def test_noise_hides_symmetry_from_a_tight_tolerance_only(shared_data):
    crystals = load_dataset(shared_data / "mp" / "val.csv.gz").crystals[:200]
    noise = 0.02 * torch.randn(crystals.frac.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    frac = wrap(crystals.frac + torch.where(crystals.mask[..., None], noise @ torch.linalg.inv(crystals.lattice), 0.0))
    noisy = Crystals(crystals.numbers, frac, crystals.lattice, crystals.n_atoms)
    assert float(complexity(noisy, 0.01).mean()) > float(complexity(noisy, 0.1).mean()) + 0.5
