"""Names of compositions are those of pymatgen."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.crystal.formula import (
    ELECTRONEGATIVITIES,
    anonymous_formula,
    chemical_system,
    chemical_systems,
    compositions,
    count_table,
    reduced_formula,
    reduced_formulas,
)

counts = st.dictionaries(st.integers(1, 103), st.integers(1, 40), min_size=1, max_size=7)
# Where polyanions, peroxides and shared divisors are frequent.
oxides = st.dictionaries(st.sampled_from([1, 3, 7, 8, 9, 11, 15, 16, 17, 26]), st.integers(1, 12), min_size=1)


@given(st.one_of(counts, oxides))
def test_names_are_those_of_pymatgen(composition):
    from pymatgen.core import Composition

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noble gases have no electronegativity
        theirs = Composition({SYMBOLS[z]: n for z, n in composition.items()})
        assert reduced_formula(composition) == theirs.reduced_formula
        assert anonymous_formula(composition) == theirs.anonymized_formula
        assert chemical_system(composition) == theirs.chemical_system


@given(oxides, st.integers(1, 5))
def test_names_do_not_depend_on_the_size_of_the_cell(composition, times):
    larger = {z: n * times for z, n in composition.items()}
    assert reduced_formula(larger) == reduced_formula(composition)
    assert anonymous_formula(larger) == anonymous_formula(composition)


@pytest.mark.parametrize("formula", ["LiFePO4", "Li2O2", "O2", "Ca(NO3)2", "NaCl", "H2O", "Fe2O3", "CsMnCr(CN)6"])
def test_known_names(formula):
    assert reduced_formula(parse_formula(formula)) == formula


def test_batches_count_each_crystal(make_crystals):
    crystals = make_crystals(3, 6)
    table = count_table(crystals)
    assert (table.sum(1) == crystals.n_atoms.numpy()).all()
    for i, counts_of_one in enumerate(compositions(crystals)):
        numbers, frequencies = np.unique(crystals.sites(i)[0], return_counts=True)
        assert counts_of_one == dict(zip(numbers.tolist(), frequencies.tolist(), strict=True))
        assert reduced_formulas(crystals)[i] == reduced_formula(counts_of_one)
        assert chemical_systems(crystals)[i] == chemical_system(counts_of_one)


def test_no_crystals_have_no_names():
    assert reduced_formulas(Crystals.from_lists([], [], [])) == []


def test_electronegativities_are_those_of_pymatgen():
    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for z in range(1, len(SYMBOLS)):
            theirs = float(Element.from_Z(z).X)
            assert pytest.approx(theirs) == (ELECTRONEGATIVITIES[z] or float("nan")) or np.isnan(theirs)
