"""Charge balance of known and of impossible compounds."""

import pytest

from nucleate.crystal.elements import parse_formula
from nucleate.descriptors.charge_balance import charge_states, is_charge_balanced


@pytest.mark.parametrize(
    "formula", ["NaCl", "TiO2", "SrTiO3", "LiFePO4", "MgAl2O4", "Li7La3Zr2O12", "GaAs", "CuAu", "Fe"]
)
def test_known_compounds_balance(formula: str) -> None:
    assert is_charge_balanced(parse_formula(formula))


@pytest.mark.parametrize("formula", ["NaCl2", "LiO2F", "SrTiO5", "OF3", "MgAlO3"])
def test_impossible_compounds_do_not(formula: str) -> None:
    assert not is_charge_balanced(parse_formula(formula))


def test_states_sum_to_zero() -> None:
    counts = parse_formula("LiFePO4")
    states = charge_states(counts)
    assert states is not None
    assert sum(states[z] * n for z, n in counts.items()) == 0
    assert states[8] == -2
    assert states[3] == 1


def test_anions_are_the_electronegative_ones() -> None:
    states = charge_states(parse_formula("CS2"))
    assert states == {6: 4, 16: -2}
