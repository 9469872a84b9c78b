"""Charge balance of known and of impossible compounds."""

import math

import pytest

from nucleate.crystal.elements import parse_formula
from nucleate.crystal.formula import compositions, reduced_formula
from nucleate.data.dataset import load_dataset
from nucleate.descriptors.composition import charge_balance, charge_states, is_alloy, is_charge_balanced


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


@pytest.mark.parametrize("formula", ["TiGe", "SbRh2", "PmCdCu2", "BiPo", "Y5Ge4"])
def test_alloys_need_no_charges(formula: str) -> None:
    assert is_alloy(parse_formula(formula))
    assert is_charge_balanced(parse_formula(formula))


def test_a_rare_state_counts_for_what_exists_only() -> None:
    ferrate = parse_formula("Na2FeO4")
    assert not is_charge_balanced(ferrate)
    assert is_charge_balanced(ferrate, rare_states=True)


def test_noble_gases() -> None:
    assert is_charge_balanced({54: 1}, rare_states=True)
    assert not is_charge_balanced({2: 1, 11: 1}, rare_states=True)


def test_of_crystals_and_of_none(samples) -> None:
    crystals = samples.batch(
        samples.ROCK_SALT, samples.BROKEN["no atom"], ([11, 8], [[0] * 3, [0.5] * 3], samples.ROCK_SALT[2])
    )
    values = charge_balance(crystals).tolist()
    assert values[0] == 1
    assert math.isnan(values[1])


def test_agrees_with_smact_on_real_compounds(shared_data) -> None:
    smact_validity = pytest.importorskip("smact.screening").smact_validity
    found = {reduced_formula(c): c for c in compositions(load_dataset(shared_data / "mp" / "val.csv.gz").crystals)}
    mine = {name: is_charge_balanced(counts, rare_states=True) for name, counts in found.items()}
    same = sum(mine[name] == smact_validity(name) for name in found)
    assert same >= 0.94 * len(found)
    assert all(mine[name] for name, counts in found.items() if is_alloy(counts))
