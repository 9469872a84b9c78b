"""Closest contacts and coordination of known structures."""

import pytest
import torch

from nucleate.descriptors.bonding import coordination, min_radii_fraction


def test_known_structures(samples):
    crystals = samples.batch(
        samples.ROCK_SALT, samples.COPPER, samples.CAESIUM_CHLORIDE, samples.GRAPHITE, samples.PEROVSKITE
    )
    expected = [2.82 / 2.68, 2.556 / 2.64, 4.12 / 4.88, 1.421 / 1.52, 1.9525 / 2.26]
    assert min_radii_fraction(crystals).tolist() == pytest.approx(expected, abs=1e-3)
    assert coordination(crystals).tolist() == [6, 12, 8, 3, 7.2]


def test_the_same_in_every_cell(samples):
    crystals = samples.random_batch(9)
    larger = samples.supercell(crystals, (2, 2, 1))
    for function in (min_radii_fraction, coordination):
        torch.testing.assert_close(function(larger), function(crystals))


def test_an_isolated_atom_has_no_neighbours_and_no_atom_no_value(samples):
    crystals = samples.batch(([18], [[0, 0, 0]], [[9, 0, 0], [0, 9, 0], [0, 0, 9]]), samples.BROKEN["no atom"])
    assert float(coordination(crystals)[0]) == 0
    assert bool(coordination(crystals)[1].isnan())
