"""Requests are read once, and what cannot be met is refused with the option's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.conditions.quantities import MAX_ATOMS
from nucleate.conditions.request import Conditions
from nucleate.crystal.formula import reduced
from nucleate.errors import UserError


def test_nothing_asked_allows_everything():
    conditions = Conditions.parse()
    assert conditions == Conditions()
    assert all(conditions.allows_size(n) for n in range(1, MAX_ATOMS + 1))
    assert not conditions.allows_size(0)
    assert not conditions.allows_size(MAX_ATOMS + 1)


def test_every_kind_of_condition():
    conditions = Conditions.parse(
        ["chemical_system=O-Li", "n_atoms=4..12", "space_group=225", "band_gap=0.5..3", "energy_above_hull=0"]
    )
    assert conditions.chemical_system == (3, 8)
    assert conditions.n_atoms == (4, 12)
    assert conditions.space_group == 225
    assert conditions.targets == {"band_gap": (0.5, 3.0), "energy_above_hull": (0.0, 0.0)}


def test_a_mapping_says_the_same_as_texts():
    assert Conditions.parse({"n_atoms": 8, "band_gap": "1..2"}) == Conditions.parse(["n_atoms=8", "band_gap=1..2"])


@given(st.permutations(["Li", "Fe", "P", "O"]))
def test_the_order_of_a_system_does_not_matter(symbols):
    assert Conditions.parse([f"chemical_system={'-'.join(symbols)}"]).chemical_system == (3, 8, 15, 26)


@given(st.dictionaries(st.integers(1, 94), st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_a_composition_is_reduced(counts, times):
    from nucleate.crystal.elements import SYMBOLS

    text = "".join(f"{SYMBOLS[z]}{n * times}" for z, n in counts.items())
    conditions = Conditions.parse([f"composition={text}"])
    assert conditions.composition == reduced(counts)
    unit = sum(reduced(counts).values())
    sizes = [n for n in range(1, MAX_ATOMS + 1) if conditions.allows_size(n)]
    assert sizes == list(range(unit, MAX_ATOMS + 1, unit))


def test_sizes_leave_room_for_every_element():
    system = ["chemical_system=Li-Fe-P-O"]
    assert not Conditions.parse(system).allows_size(3)
    assert Conditions.parse(system, allow_subsystems=True).allows_size(3)


def test_texts_say_the_same_again():
    items = ["chemical_system=Fe-Li-P-O", "n_atoms=4..12", "space_group=Fm-3m", "band_gap=0.5..3", "hardness=1e-07"]
    conditions = Conditions.parse(items)
    assert Conditions.parse(conditions.texts) == conditions
    assert conditions.texts[0] == "chemical_system=Fe-Li-O-P"
    assert Conditions.parse(["composition=MgAl2O4"]).texts == ("composition=MgAl2O4",)
    assert Conditions().texts == ()


def test_the_formula_keeps_the_order_given():
    assert Conditions.parse(["composition=MgAl2O4"]).formula == "MgAl2O4"
    assert Conditions().formula == ""


@pytest.mark.parametrize(
    ("items", "named"),
    [
        (["band_gap"], "name=value"),
        (["=3"], "name=value"),
        (["band_gap="], "name=value"),
        (["band_gap=wide"], "band_gap"),
        (["band_gap=3..1"], "low to high"),
        (["band_gap=nan"], "finite"),
        (["band_gap=inf"], "finite"),
        (["band_gap=1", "band_gap=2"], "once"),
        (["allow_subsystems=1"], "once"),
        (["space_group=0"], "230"),
        (["space_group=231"], "230"),
        (["space_group=Fm-3q"], "230"),
        (["n_atoms=0"], "n_atoms"),
        (["n_atoms=4.5"], "n_atoms"),
        (["n_atoms=1..100000"], "n_atoms"),
        (["chemical_system=Li-Xx"], "Xx"),
        (["composition=Li2.5O"], "formula"),
        (["composition=LiO", "chemical_system=Li-Na"], "chemical_system"),
        (["composition=MgAl2O4", "n_atoms=8..13"], "multiple"),
        (["chemical_system=Li-Fe-P-O", "n_atoms=2..3"], "4 elements"),
    ],
)
def test_what_cannot_be_met_is_refused(items, named):
    with pytest.raises(UserError, match=named):
        Conditions.parse(items)
