"""Compactness against pymatgen, its laws, and its gradients."""

import math

import pytest
import torch
from pymatgen.core import Lattice, Structure

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import (
    MIN_VOLUME,
    compactness,
    expected_compactness,
    sphere_volumes,
    without_radius,
)


def one_hot(crystals: Crystals, n_species: int = 100) -> torch.Tensor:
    species = torch.nn.functional.one_hot((crystals.numbers - 1).clamp_min(0), n_species)
    return species.double()


def test_matches_pymatgen(samples):
    crystals = samples.random_batch(0)
    for i, value in enumerate(compactness(crystals).tolist()):
        z, x, cell = crystals.sites(i)
        structure = Structure(Lattice(cell.numpy()), z.tolist(), x.numpy())
        radii = [site.specie.atomic_radius for site in structure]
        if None in radii:
            assert math.isnan(value)
        else:
            filled = sum(4 / 3 * math.pi * float(r) ** 3 for r in radii)
            assert value == pytest.approx(filled / structure.volume, rel=1e-12)


def test_known_values(samples):
    rock_salt, copper = compactness(samples.batch(samples.ROCK_SALT, samples.COPPER)).tolist()
    assert rock_salt == pytest.approx(4 * (4 / 3 * math.pi) * (1.8**3 + 1.0**3) / 5.64**3)
    assert copper == pytest.approx(4 * (4 / 3 * math.pi) * 1.35**3 / 3.615**3)


def test_radii_that_are_missing_or_odd():
    volumes = sphere_volumes()
    assert volumes.shape == (100,)
    missing = [z + 1 for z in volumes.isnan().nonzero().flatten().tolist()]
    assert missing == [2, 10, 36, 54, 85, 86, 87, 96, 97, 98, 99, 100]
    assert float(volumes[17]) == pytest.approx(4 / 3 * math.pi * 0.71**3)


def test_an_element_without_radius_is_flagged_never_zero(samples):
    crystals = samples.batch(
        samples.STRANGE["noble gases"], samples.ROCK_SALT, ([54, 9, 9], [[0, 0, 0]] * 3, samples.ROCK_SALT[2])
    )
    assert compactness(crystals).isnan().tolist() == [True, False, True]
    assert without_radius(crystals).tolist() == [[True, True, False], [False] * 3, [True, False, False]]


def test_the_same_in_every_cell_and_every_batch(samples):
    crystals = samples.random_batch(1)
    values = compactness(crystals)
    torch.testing.assert_close(compactness(samples.supercell(crystals, (2, 1, 3))), values, equal_nan=True)
    alone = torch.cat([compactness(one) for one in crystals])
    torch.testing.assert_close(alone, values, equal_nan=True)


def test_expected_value_of_certain_species_is_the_value(samples):
    crystals = samples.random_batch(2)
    expected = expected_compactness(one_hot(crystals), crystals.lattice, crystals.mask)
    torch.testing.assert_close(expected, compactness(crystals), equal_nan=True)


def test_expected_value_is_the_mean_over_elements_with_a_radius():
    species = torch.zeros(1, 1, 100, dtype=torch.float64)
    species[0, 0, [0, 1, 10]] = torch.tensor([0.3, 0.1, 0.6], dtype=torch.float64)  # H, He, Na
    value = expected_compactness(
        species, 3 * torch.eye(3, dtype=torch.float64)[None], torch.ones(1, 1, dtype=torch.bool)
    )
    volumes = sphere_volumes()
    assert float(value) == pytest.approx(float((0.3 * volumes[0] + 0.6 * volumes[10]) / 0.9 / 27))


def test_gradients_are_right_and_padding_sends_none():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 100, dtype=torch.float64, requires_grad=True)
    lattice = (3 * torch.eye(3, dtype=torch.float64) + 0.3 * torch.randn(2, 3, 3, dtype=torch.float64)).requires_grad_()
    mask = torch.tensor([[True, True, False], [True, True, True]])

    def value(logits: torch.Tensor, lattice: torch.Tensor) -> torch.Tensor:
        return expected_compactness(logits.softmax(-1), lattice, mask)

    assert torch.autograd.gradcheck(value, (logits, lattice))
    by_logits, by_lattice = torch.autograd.grad(value(logits, lattice).sum(), (logits, lattice))
    assert by_logits.isfinite().all()
    assert by_lattice.isfinite().all()
    assert not by_logits[0, 2].any()
    assert by_logits[0, 0].any()


def test_a_collapsed_cell_stays_finite():
    species = torch.full((1, 1, 100), 0.01, dtype=torch.float64)
    lattice = torch.zeros(1, 3, 3, dtype=torch.float64, requires_grad=True)
    value = expected_compactness(species, lattice, torch.ones(1, 1, dtype=torch.bool))
    volumes = sphere_volumes()
    assert float(value.detach()) == pytest.approx(float(volumes.nanmean()) / MIN_VOLUME)
    value.sum().backward()
    assert lattice.grad is not None
    assert lattice.grad.isfinite().all()
