"""Protostructures and their labels."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.elements import SYMBOLS
from nucleate.errors import UserError
from nucleate.symmetry.protostructure import Protostructure, protostructure_labels, protostructures
from nucleate.symmetry.space_group import N_GROUPS
from nucleate.symmetry.wyckoff import centring, wyckoff_positions

SPINEL = "A2BC4_cF56_227_c_b_e:Al-Mg-O"


@st.composite
def any_protostructure(draw):
    group = draw(st.integers(1, N_GROUPS))
    positions = wyckoff_positions(group)
    sites = []
    for place in draw(st.lists(st.integers(0, len(positions) - 1), min_size=1, max_size=6)):
        letter = positions[place].letter
        if positions[place].n_free or all(letter != other for _, other in sites):
            sites.append((draw(st.integers(1, len(SYMBOLS) - 1)), letter))
    return Protostructure(group, tuple(sites))


@given(any_protostructure())
def test_labels_are_read_back(protostructure):
    again = Protostructure.parse(protostructure.label)
    assert again == protostructure.canonical
    assert again.label == protostructure.label


@given(any_protostructure())
def test_settings_share_label_and_counts(protostructure):
    settings = protostructure.settings()
    assert settings[0] == protostructure
    assert len(set(settings)) == len(settings)
    for setting in settings:
        assert setting.label == protostructure.label
        assert setting.counts == protostructure.counts
        assert set(setting.settings()) == set(settings)


@given(any_protostructure())
def test_sizes(protostructure):
    assert protostructure.n_atoms == protostructure.n_primitive * centring(protostructure.space_group)


def test_spinel():
    spinel = Protostructure.parse(SPINEL)
    assert spinel.sites == ((13, "c"), (12, "b"), (8, "e"))
    assert (spinel.n_atoms, spinel.n_primitive, spinel.n_free) == (56, 14, 1)
    assert (spinel.formula, spinel.chemical_system, spinel.pearson_symbol) == ("MgAl2O4", "Al-Mg-O", "cF56")
    assert spinel.prototype == "A2BC4_cF56_227_c_b_e"
    assert Protostructure.parse("A2BC4_cF56_227_d_a_e:Al-Mg-O").label == SPINEL


def test_rhombohedral_cells_may_be_counted_either_way():
    labels = [f"A2B3_hR{n}_167_c_e:Al-O" for n in (10, 30)]
    assert {Protostructure.parse(label).label for label in labels} == {labels[1]}


def test_centred_orthorhombic_cells_may_be_named_either_way():
    labels = [f"AB4C_o{x}24_63_a_fg_c:Fe-O-V" for x in "SC"]
    assert {Protostructure.parse(label).label for label in labels} == {labels[0]}


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("spinel", "a label such as"),
        ("", "a label such as"),
        ("A2BC4_cF56_227_c_b_e", "a label such as"),
        ("A2BC4_cF56_x_c_b_e:Al-Mg-O", "a label such as"),
        ("A2BC4_cF56_227_c_b_e!:Al-Mg-O", "a label such as"),
        ("A2BC4_cF56_231_c_b_e:Al-Mg-O", "a number from 1 to 230"),
        ("A2BC4_cF56_0_c_b_e:Al-Mg-O", "a number from 1 to 230"),
        ("A2BC4_cF56_227_c_b_e:Al-Mg", "one set for each of different elements"),
        ("A2BC4_cF56_227_c_b_e:Al-Al-O", "one set for each of different elements"),
        ("A2BC4_cF56_227_c_b_e:Al-Mg-Ox", "a chemical symbol"),
        ("A2BC4_cF56_227_c_b_z:Al-Mg-O", "one of a, b"),
        ("A2BC4_cF56_227_c_c_e:Al-Mg-O", "to hold atoms once"),
        ("A2B2C4_cF56_227_c_b_e:Al-Mg-O", "A2BC4, which its positions add up to"),
        ("A2BC4_cF57_227_c_b_e:Al-Mg-O", "cF56"),
        ("A2BC4_cP56_227_c_b_e:Al-Mg-O", "cF56"),
        ("A_cF8_225_0a:Cu", "1 to 1000"),
    ],
)
def test_texts_that_are_no_labels(label, words):
    with pytest.raises(UserError, match=words):
        Protostructure.parse(label)


def test_values_that_are_no_protostructures():
    for group, sites in [(227, ()), (227, ((0, "a"),)), (227, ((200, "a"),)), (0, ((1, "a"),))]:
        with pytest.raises(UserError):
            Protostructure(group, sites)


def test_protostructures_of_crystals_are_those_of_their_labels(known):
    crystals, numbers = known
    found = protostructures(crystals)
    assert [p.label for p in found] == protostructure_labels(crystals)
    assert [p.space_group for p in found] == numbers.tolist()


@pytest.mark.slow
def test_labels_of_real_crystals_are_those_of_pymatgen_in_every_setting(real_crystals):
    from pymatgen.analysis.prototypes import get_protostructure_label

    from nucleate.io.interop import to_pymatgen

    crystals = real_crystals[:100]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [get_protostructure_label(structure, "moyopy") for structure in to_pymatgen(crystals)]
    for one, label in zip(protostructures(crystals), expected, strict=True):
        assert {setting.label for setting in one.settings()} == {label}
