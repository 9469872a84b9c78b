"""Densities of known structures, in every cell, and where there is nothing."""

import pytest
import torch

from nucleate.descriptors.geometry import density, number_density, validity


def test_known_structures(samples):
    crystals = samples.batch(samples.ROCK_SALT, samples.COPPER, samples.CAESIUM_CHLORIDE, samples.GRAPHITE)
    assert density(crystals).tolist() == pytest.approx([2.163, 8.94, 3.99, 2.27], rel=5e-3)
    atoms = [8 / 5.64**3, 4 / 3.615**3, 2 / 4.12**3, 0.1137]
    assert number_density(crystals).tolist() == pytest.approx(atoms, rel=1e-3)


def test_the_same_in_every_cell(samples):
    crystals = samples.random_batch(9)
    larger = samples.supercell(crystals, (2, 2, 1))
    for function in (density, number_density):
        torch.testing.assert_close(function(larger), function(crystals))


def test_validity_states_the_same_and_nothing_is_not_zero(samples):
    crystals = samples.batch(*samples.BROKEN.values(), *samples.STRANGE.values())
    values = density(crystals)
    assert not (values == 0).any()
    assert (~values.isnan()).tolist() == [False] * len(samples.BROKEN) + [True, True, True, False, True]
    torch.testing.assert_close(values, validity(crystals).mass_density, equal_nan=True)
