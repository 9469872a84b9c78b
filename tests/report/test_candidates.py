"""The ranked table and the crystals in the page."""

import numpy as np
import pytest

from nucleate.report.candidates import _COLOURS, candidate_table, carried, viewer_payload
from nucleate.report.document import MISSING
from nucleate.report.run_data import read_run


def test_every_element_has_a_colour():
    assert len(_COLOURS.split()) == 103
    assert len(set(map(len, _COLOURS.split()))) == 1


def cells(run, k=0):
    """The cells of a row by the words of their headings."""
    table = candidate_table(run, set())
    heads = [f"{heading.label} {heading.small}".strip() for heading in table.headings]
    return dict(zip(heads, table.rows[k].cells, strict=True))


def test_a_row_shows_values_and_sorts_by_them(make_run, rows):
    shown = cells(read_run(make_run([rows.rocksalt(7, reason="because")])))
    energy = shown["<i>E</i><sub>hull</sub> eV/atom"]
    assert (energy.key, energy.shown, energy.dot) == ("0.07", "0.070", "d2")
    assert shown["Space group relaxed"].key == "225"
    assert shown["Status"].title == "because"
    assert shown["Novel"].shown == "yes"


def test_unknown_values_have_no_key_and_a_dash(make_run, rows):
    shown = cells(read_run(make_run([rows.failed(0, "error", "", is_novel=None, space_group=None)])))
    for name in ("<i>E</i><sub>hull</sub> eV/atom", "RMSD Å", "Space group generated", "Novel", "Competing phases"):
        assert (shown[name].key, shown[name].shown) == (None, MISSING)


def test_hidden_columns_come_with_descriptors_and_funnels(make_run, rows):
    run = read_run(make_run([rows.rocksalt(0), rows.rocksalt(1, density=float("nan"))], funnel={"name": "mine"}))
    table = candidate_table(run, set())
    assert table.numbers == {"density": [3.6, None]}
    assert table.headings[-1].label == "Stopped by"
    assert candidate_table(read_run(make_run()), set()).headings[-1].label == "Formula known"


def test_large_structures_leave_room(make_run, rows):
    folder = make_run([rows.rocksalt(i) for i in range(5)])
    (folder / "cifs").mkdir()
    for i in range(5):
        (folder / "cifs" / f"c{i:06d}.cif").write_text("x" * 120_000)
    assert len(carried(read_run(folder))) == 2


@pytest.mark.parametrize(
    ("changes", "n"), [({}, 1), ({"lattice": None}, 1), ({"lattice": None, "relaxed_lattice": None}, 0)]
)
def test_what_has_a_cell_is_carried(make_run, rows, changes, n):
    found = carried(read_run(make_run([rows.rocksalt(0, **changes)])))
    assert len(found) == n
    for structure in viewer_payload(found, {})["structures"]:
        assert np.reshape(structure["relaxed"]["lattice"], (3, 3)).shape == (3, 3)
        assert (structure["generated"] is None) == ("lattice" in changes)
