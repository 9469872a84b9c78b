"""The table of quantities: one entry each, the same units everywhere, and labels in other units."""

import warnings
from dataclasses import fields
from math import inf
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.conditions.kinds import Scalar, fitted
from nucleate.conditions.quantities import ALWAYS_MET, OF_THE_CRYSTAL, QUANTITIES, page, quantity
from nucleate.conditions.request import Conditions
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.errors import RequestWarning
from nucleate.runs.columns import COLUMNS

MODULUS = quantity("bulk_modulus").condition


def test_known_names_have_units_and_others_are_bare_numbers():
    assert quantity("band_gap").condition == Scalar(name="band_gap", unit="eV")
    assert quantity("space_group").condition.kind == "categorical"
    assert quantity("hardness").condition == Scalar(name="hardness")
    assert quantity("hardness").label_columns == ("hardness",)


@pytest.mark.parametrize("one", QUANTITIES.values(), ids=list(QUANTITIES))
def test_units_are_those_of_the_columns_and_descriptors(one):
    if one.form == "number":
        assert COLUMNS[one.name].unit == one.unit
    if one.measure == "descriptor":
        assert (DESCRIPTORS[one.name].unit, DESCRIPTORS[one.name].help) == (one.unit, one.help)
    assert one.column in COLUMNS or one.measure is None
    assert one.plausible[0] < one.plausible[1]


def test_what_the_crystal_shows_are_the_fields_of_a_request():
    assert {field.name for field in fields(Conditions)} == {*OF_THE_CRYSTAL, "allow_subsystems", "targets"}
    assert set(ALWAYS_MET) == set(OF_THE_CRYSTAL) - {"space_group"}


@given(st.floats(-3, 3), st.floats(0, 2))
def test_a_window_holds_what_was_asked_for(low, width):
    for one in QUANTITIES.values():
        least, most = one.window((low, low + width))
        assert least <= round(low, 9) <= round(low + width, 9) <= most


def test_windows():
    assert quantity("compactness").window((0.7, 0.7)) == (0.67, 0.73)
    assert quantity("energy_above_hull").window((0.0, 0.0)) == (-inf, 0.025)


def test_the_page_is_that_of_the_table():
    assert (Path(__file__).parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8") == page()


def test_implausible_labels_are_warned_of_with_their_range():
    with pytest.warns(RequestWarning, match=r"mine.csv: band_gap reaches over 0\.\.3400, .* 0\.\.25 eV"):
        quantity("band_gap").warn_of_units(torch.tensor([0.0, 3400.0, torch.nan]), "mine.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantity("band_gap").warn_of_units(torch.tensor([0.0, 9.0, torch.nan]), "mine.csv")
        quantity("hardness").warn_of_units(torch.tensor([1e9]), "mine.csv")
        quantity("band_gap").warn_of_units(torch.tensor([torch.nan]), "mine.csv")


def test_logarithms_are_compared_where_a_quantity_says_so():
    modulus = fitted(MODULUS, torch.tensor([1.0, 10.0, 100.0, torch.nan, -3.0], dtype=torch.float64))
    assert (modulus.mean, modulus.std) == (1.0, 1.0)
    assert (modulus.low, modulus.high) == (1.0, 100.0)
    z = modulus.standardised(torch.tensor([10.0, 1000.0, 0.0]))
    assert z[:2].tolist() == [0.0, 2.0]
    assert bool(z[2].isnan())
    assert bool(modulus.features(torch.tensor([0.0])).isfinite().all())
    assert fitted(MODULUS, torch.tensor([-1.0])) == MODULUS
