"""Protostructure labels are those of pymatgen, and do not depend on how a crystal is described."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import to_pymatgen
from nucleate.symmetry.protostructure import protostructure_labels

KNOWN_LABELS = {
    225: "AB_cF8_225_a_b:Cl-Na",
    216: "AB_cF8_216_a_c:As-Ga",
    227: "A2BC4_cF56_227_c_b_e:Al-Mg-O",
    221: "A3BC_cP5_221_c_a_b:O-Sr-Ti",
    136: "A2B_tP6_136_f_a:O-Ti",
    186: "AB_hP4_186_b_b:O-Zn",
}


def test_known_labels(known):
    crystals, numbers = known
    labels = dict(zip(numbers.tolist(), protostructure_labels(crystals), strict=True))
    assert {number: labels[number] for number in KNOWN_LABELS} == KNOWN_LABELS


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10)
def test_labels_do_not_depend_on_the_description(known, otherwise, seed):
    crystals, _ = known
    assert protostructure_labels(otherwise(crystals, seed)[0]) == protostructure_labels(crystals)


def test_what_has_no_symmetry_has_no_label():
    cell = [[4.0, 0, 0], [0, 4, 0], [0, 0, 4]]
    assert protostructure_labels(Crystals.from_lists([[1, 1]], [[[0, 0, 0], [0, 0, 0]]], [cell])) == [""]
    assert protostructure_labels(Crystals.from_lists([], [], [])) == []


@pytest.mark.slow
def test_labels_of_real_crystals_are_those_of_pymatgen(real_crystals):
    from pymatgen.analysis.prototypes import get_protostructure_label

    crystals = real_crystals[:300]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [get_protostructure_label(structure, "moyopy") for structure in to_pymatgen(crystals)]
    assert protostructure_labels(crystals) == expected
