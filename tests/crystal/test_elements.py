"""Element tables against pymatgen's, and formulas read back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.elements import COVALENT_RADII, MASSES, NUMBERS, SYMBOLS, atomic_number, parse_formula
from nucleate.errors import UserError


def test_symbols_and_masses_are_those_of_pymatgen():
    from pymatgen.core import Element

    assert [Element.from_Z(z).symbol for z in range(1, len(SYMBOLS))] == list(SYMBOLS[1:])
    radioactive = {43, 61, *range(84, 90), *range(93, 97)}  # which isotope is the longest-lived, is a choice
    for z in range(1, len(MASSES)):
        assert MASSES[z] == pytest.approx(float(Element.from_Z(z).atomic_mass), abs=5 if z in radioactive else 0.05)


def test_covalent_radii_are_those_of_ase():
    from ase.data import covalent_radii

    assert len(COVALENT_RADII) == 97
    for z in range(1, 97):
        assert COVALENT_RADII[z] == pytest.approx(covalent_radii[z])


def test_numbers_invert_symbols():
    assert all(SYMBOLS[z] == symbol for symbol, z in NUMBERS.items())
    assert atomic_number("Fe") == 26


@pytest.mark.parametrize("symbol", ["Xx", "fe", "FE", "", "D", " Fe"])
def test_unknown_symbols_are_refused(symbol):
    with pytest.raises(UserError, match="chemical symbol"):
        atomic_number(symbol)


counts = st.dictionaries(st.integers(1, 103), st.integers(1, 30), min_size=1, max_size=6)


@given(counts)
def test_a_written_formula_reads_back(composition):
    text = "".join(f"{SYMBOLS[z]}{n if n > 1 else ''}" for z, n in composition.items())
    assert parse_formula(text) == composition


@given(counts, st.integers(1, 9))
def test_brackets_multiply(composition, times):
    inner = "".join(f"{SYMBOLS[z]}{n}" for z, n in composition.items())
    suffix = str(times) if times > 1 else ""
    assert parse_formula(f"({inner}){suffix}") == {z: n * times for z, n in composition.items()}


@pytest.mark.parametrize("text", ["Ca(OH)2", "Mg3(PO4)2", "LiFePO4", "((Na2)3Cl)2", "K3Fe(CN)6", "NaN"])
def test_formulas_agree_with_pymatgen(text):
    from pymatgen.core import Composition

    expected = {element.Z: int(n) for element, n in Composition(text).items()}
    assert parse_formula(text) == expected


@pytest.mark.parametrize(
    "text", ["", "Xx", "Li0", "2Li", "Li(", "Li)", "()2", "Li-O", "Li2.5O", "li2o", "Li2 O", "(2)"]
)
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(UserError, match="formula|symbol"):
        parse_formula(text)


def test_every_mass_and_radius_is_positive():
    assert all(value > 0 and math.isfinite(value) for value in (*MASSES[1:], *COVALENT_RADII[1:]))
