"""The tables against pymatgen's."""

import warnings

import pytest

from nucleate.representations.ircr import (
    D_ELECTRONS,
    ELECTRONEGATIVITY,
    GROUP,
    LARGEST_NUMBER,
    PERIOD,
    VALENCE,
)

NOBLE = (2, 10, 18, 36, 54, 86)


def in_f_block(z):
    return 57 <= z <= 71 or z >= 89


@pytest.fixture(scope="module")
def elements():
    from pymatgen.core import Element

    return {z: Element.from_Z(z) for z in range(1, LARGEST_NUMBER + 1)}


def test_period_and_group(elements):
    for z, element in elements.items():
        if not in_f_block(z):
            assert (PERIOD[z], GROUP[z]) == (element.row, element.group), element
        else:
            assert (PERIOD[z], GROUP[z]) == (6 if z < 80 else 7, 3)


def test_electronegativity_is_pauling_s_where_he_gives_one(elements):
    for z, element in elements.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = element.X
        assert ELECTRONEGATIVITY[z] == pytest.approx(known if known == known else 0.0), element


def test_d_electrons_are_those_outside_the_noble_gas_core(elements):
    def count(z):
        return sum(n for _, orbital, n in elements[z].full_electronic_structure if orbital == "d") if z else 0

    for z, element in elements.items():
        core = max((gas for gas in NOBLE if gas <= z), default=0)
        assert D_ELECTRONS[z] == count(z) - count(core), element


def test_valence_electrons_of_well_known_elements():
    found = {z: VALENCE[z] for z in (1, 3, 6, 8, 9, 10, 13, 26, 30, 50, 64)}
    assert found == {1: 1, 3: 1, 6: 4, 8: 6, 9: 7, 10: 0, 13: 3, 26: 8, 30: 12, 50: 4, 64: 3}
