"""Classes of chemistry: known compounds, and what no order or cell may change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.descriptors.composition import CLASSES, classes_of_counts


def counts(*compositions: dict[int, int]) -> np.ndarray:
    table = np.zeros((len(compositions), len(SYMBOLS)), dtype=np.int64)
    for row, composition in zip(table, compositions, strict=True):
        for z, n in composition.items():
            row[z] = n
    return table


KNOWN = {
    "intermetallic": ["CuAu", "Ni3Al", "Mg2Si", "LaNi5", "Nb3Sn", "YbBi", "FeSi", "Ba8Ga16Ge30"],
    "oxide": ["MgO", "SiO2", "LiFePO4", "CaCO3", "Na2SO4", "BiOCl", "Ca5P3O12F", "La4O5F2", "CO2", "H2O", "NaNO3"],
    "halide": ["NaCl", "CaF2", "LiPF6", "NH4Cl", "CsPbI3", "PCl5", "Hg2Cl2"],
    "chalcogenide": ["ZnS", "Bi2Te3", "FeAsS", "As4S3", "Cu12Sb4S13", "P4S3", "CdSe", "Cu3AsS4"],
    "pnictide": ["GaAs", "InSb", "BN", "Si3N4", "FeAs", "CoAs3", "PtSb2", "Li3N", "Mg3P2"],
    "other": ["Fe", "Si", "He", "MgB2", "SiC", "WC", "LiH", "CH4", "XePt", "SiGe", "CaB6", "LaFeSiH"],
}


@pytest.mark.parametrize(("name", "formula"), [(name, f) for name, formulas in KNOWN.items() for f in formulas])
def test_known_compounds(name: str, formula: str) -> None:
    assert classes_of_counts(counts(parse_formula(formula))) == [name]


composition = st.dictionaries(st.integers(1, len(SYMBOLS) - 1), st.integers(1, 12), min_size=1, max_size=6)


@given(composition, st.integers(1, 5))
def test_formula_units_change_nothing(one: dict[int, int], units: int) -> None:
    many = {z: n * units for z, n in one.items()}
    first, second = classes_of_counts(counts(one, many))
    assert first == second
    assert first in CLASSES


@given(st.lists(composition, min_size=1, max_size=8))
def test_batch_is_single(compositions: list[dict[int, int]]) -> None:
    assert classes_of_counts(counts(*compositions)) == [classes_of_counts(counts(one))[0] for one in compositions]


def test_nothing_is_other() -> None:
    assert classes_of_counts(counts({})) == ["other"]
    assert classes_of_counts(np.zeros((0, len(SYMBOLS)), dtype=np.int64)) == []
