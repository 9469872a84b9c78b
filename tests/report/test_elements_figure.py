"""The periodic table."""

from xml.etree import ElementTree

from pymatgen.core import Element

from nucleate.report.elements_figure import element_counts, periodic_table, position


def test_places_agree_with_pymatgen():
    for z in range(1, 104):
        element = Element.from_Z(z)
        column, row = position(z)
        if 57 <= z <= 71 or 89 <= z <= 103:
            assert row == (8 if z < 80 else 9)
        else:
            assert (column + 1, row + 1) == (element.group, element.row)
    assert len({position(z) for z in range(1, 104)}) == 103


def test_an_element_counts_once_in_a_formula():
    assert element_counts(["LiO", "Li2O3", "LiCoO2", "<script>"]) == {"Li": 3, "O": 3, "Co": 1}


def test_figure_is_well_formed():
    figure = periodic_table({"O": 4, "Li": 1}, 4)
    ElementTree.fromstring(figure)
    assert "O: 4 of 4 crystals" in figure
    assert "He: none" in figure
