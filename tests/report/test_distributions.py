"""How the candidates spread: the periodic table, and one plot for each quantity."""

from pymatgen.core import Element

from nucleate.report.distributions import distributions, element_counts, periodic_table, position
from nucleate.report.run_data import read_run


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


def test_the_table_is_shaded_by_counts(make_run, rows):
    run = read_run(make_run([rows.rocksalt(0), rows.rocksalt(1), rows.rocksalt(2), rows.antifluorite(3)]))
    cells = {cell.symbol: cell for cell in periodic_table(run.candidates)}
    assert [cells[symbol].count for symbol in ("O", "Mg", "Li", "He")] == [4, 3, 1, 0]
    assert [cells[symbol].level for symbol in ("O", "Mg", "Li", "He")] == [5, 4, 1, 0]
    assert (cells["O"].column, cells["O"].row) == (16, 2)


def test_every_quantity_has_its_plot(make_run):
    plots = {plot.title: plot for plot in distributions(read_run(make_run()))}
    assert list(plots) == [
        "Energy above hull", "Displacement on relaxation", "Cell size", "Density", "Crystal systems", "Space groups",
    ]  # fmt: skip
    assert "3 crystals, 1 without a value" in plots["Energy above hull"].notes[0]
    assert "Fm3\N{COMBINING OVERLINE}m (225), relaxed: 3 crystals" in plots["Space groups"].svg


def test_what_is_not_known_is_said(make_run, rows):
    run = read_run(make_run([rows.failed(0, "error", "")]))
    notes = {plot.title: plot.notes for plot in distributions(run)}
    assert notes["Energy above hull"] == ("No crystal has a known value.",)
    assert notes["Space groups"] == ("No relaxed crystal has a space group.",)
