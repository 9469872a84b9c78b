"""Herfindahl-Hirschman indices against pymatgen and SMACT's copy of the same table."""

import math

import pytest
from pymatgen.analysis.hhi import HHIModel
from pymatgen.core import Composition

from nucleate.crystal.elements import SYMBOLS
from nucleate.descriptors.composition import hhi_production, hhi_reserve, without_hhi


def test_matches_pymatgen(samples):
    crystals = samples.random_batch(4, count=60)
    pairs = list(zip(hhi_production(crystals).tolist(), hhi_reserve(crystals).tolist(), strict=True))
    for i, pair in enumerate(pairs):
        expected = HHIModel().get_hhi(Composition(dict.fromkeys([], 0) | _counts(crystals.sites(i)[0].tolist())))
        if None in expected:
            assert all(map(math.isnan, pair))
        else:
            assert pair == pytest.approx(expected, rel=2e-4)  # atomic weights of another edition


def _counts(numbers: list[int]) -> dict[str, int]:
    return {SYMBOLS[z]: numbers.count(z) for z in numbers}


def test_an_element_is_its_own_index_and_a_compound_weighs_by_mass(samples):
    copper, rock_salt = samples.batch(samples.COPPER), samples.batch(samples.ROCK_SALT)
    assert (float(hhi_production(copper)), float(hhi_reserve(copper))) == (1600.0, 1500.0)
    sodium, chlorine = (HHIModel().symbol_hhip_hhir[symbol][0] for symbol in ("Na", "Cl"))
    assert float(hhi_production(rock_salt)) == pytest.approx((22.99 * sodium + 35.45 * chlorine) / 58.44)


def test_missing_elements_are_named(samples):
    crystals = samples.batch(([1, 3], [[0, 0, 0], [0.5, 0.5, 0.5]], samples.ROCK_SALT[2]), samples.ROCK_SALT)
    assert hhi_reserve(crystals).isnan().tolist() == [True, False]
    assert without_hhi(crystals).tolist() == [[True, False], [False, False]]


def test_smact_ships_the_same_values():
    element = pytest.importorskip("smact").Element
    for symbol, pair in HHIModel().symbol_hhip_hhir.items():
        other = element(symbol)
        if other.HHI_p is not None:
            assert (other.HHI_p, other.HHI_r) == pair, symbol
