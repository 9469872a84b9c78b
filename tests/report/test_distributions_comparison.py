"""The run beside its reference, and under a published protocol, on the page."""

import json
import re

import pytest

from nucleate.report.page import render
from nucleate.report.run_data import read_run

BESIDE = {
    "reference": "union",
    "n_reference": 15094,
    "numbers": [
        {"name": "density", "unit": "g/cm³", "distance": 1.25, "found": [1, 2, 3, 4, 5], "expected": [None] * 5}
    ],
    "kinds": [
        {
            "name": "classes of chemistry",
            "distance": None,
            "chi_squared": None,
            "found": {"oxide": 1.0},
            "expected": {},
        },
        {"name": "space groups relaxed, 0.1 Å", "distance": 0.5, "chi_squared": 7.5, "found": {}, "expected": {}},
    ],
    "p1": [{"name": "P1 relaxed, 0.1 Å", "count": 3, "total": 12}],
    "coverage": {
        key: {"name": f"coverage {key}", "count": 1, "total": 4}
        for key in ("recall", "precision", "reference_by_itself")
    },
}
CURVES = [{"name": "unique", "count": 9, "total": 10}, {"name": "unique", "count": 15, "total": 20}]


def page(make_run, rows, content=None, **protocol):
    run = make_run([rows.rocksalt(i) for i in range(4)])
    folder = run if not hasattr(run, "folder") else run.folder
    if content is not None:
        (folder / "comparison.json").write_text(json.dumps(content))
    record = json.loads((folder / "run.json").read_text())
    record["protocol"] |= protocol
    (folder / "run.json").write_text(json.dumps(record))
    return read_run(folder)


def section(run):
    """The part of the page that compares."""
    return re.search(r'<section id="comparison">.*?</section>', render(run), re.DOTALL)[0]


def test_distances_shares_and_curves_are_shown(make_run, rows) -> None:
    html = section(page(make_run, rows, {"curves": CURVES, "beside": BESIDE}))
    for shown in ("1.250 g/cm³", "union (15,094 structures)", "7.500", "25 % (3 of 12", "90 %", "75 %", "oxide"):
        assert shown in html


def test_the_followed_protocol_has_its_rates_and_departures(make_run, rows) -> None:
    run = page(make_run, rows, follows="mattergen", source="x", deviations=["potential: here <b>; there DFT"])
    html = section(run)
    assert "As MatterGen counts" in html
    assert "here &lt;b&gt;; there DFT" in html
    assert "energy_above_hull &lt;= 0.1 and is_unique = true" in html
    assert "departures" not in render(run).split('id="structures"')[0]


@pytest.mark.parametrize(
    "content", [None, {}, {"beside": {}}, {"beside": 3}, {"curves": [{}]}, [], {"beside": {**BESIDE, "kinds": []}}]
)
def test_a_missing_or_damaged_file_is_a_note(make_run, rows, content) -> None:
    html = section(page(make_run, rows, content))
    assert "damaged" in html or "holds no structures" in html


def test_an_unknown_protocol_is_a_note(make_run, rows) -> None:
    assert "one of mattergen" in section(page(make_run, rows, follows="mine"))
