"""Densities, contacts and coordination of known structures."""

import pytest
import torch

from nucleate.descriptors.geometry import coordination, density, min_radii_fraction, number_density
from nucleate.descriptors.validity import validity


def test_known_structures(samples):
    crystals = samples.batch(samples.ROCK_SALT, samples.COPPER, samples.CAESIUM_CHLORIDE, samples.GRAPHITE)
    assert density(crystals).tolist() == pytest.approx([2.163, 8.94, 3.99, 2.27], rel=5e-3)
    assert number_density(crystals).tolist() == pytest.approx(
        [8 / 5.64**3, 4 / 3.615**3, 2 / 4.12**3, 0.1137], rel=1e-3
    )
    assert min_radii_fraction(crystals).tolist() == pytest.approx(
        [2.82 / 2.68, 2.556 / 2.64, 4.12 / 4.88, 1.421 / 1.52], abs=1e-3
    )
    assert coordination(crystals).tolist()[:2] == [6, 12]
    assert float(coordination(crystals)[3]) == 3


def test_the_same_in_every_cell(samples):
    crystals = samples.random_batch(9)
    larger = samples.supercell(crystals, (2, 2, 1))
    for function in (density, number_density, min_radii_fraction, coordination):
        torch.testing.assert_close(function(larger), function(crystals))


def test_agrees_with_validity_and_is_undefined_where_there_is_nothing(samples):
    crystals = samples.batch(*samples.BROKEN.values(), *samples.STRANGE.values())
    verdict = validity(crystals)
    assert not (density(crystals) == 0).any()
    defined = ~density(crystals).isnan()
    torch.testing.assert_close(density(crystals)[defined], verdict.mass_density[defined])
    assert defined.tolist() == [False] * len(samples.BROKEN) + [True, True, True, False, True]
