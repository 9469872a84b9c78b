"""The comparison as a page and as Markdown: all sources, escaped, self-contained; dashes where nothing is known."""

import json
from itertools import pairwise

import pandas as pd
import pytest

from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.report.comparison import build_comparison, headline
from nucleate.report.comparison_tables import ALL_STAGES, GENERATION, Compared, costs, requests, share
from nucleate.report.document import MISSING


def _rows():
    for source, sun in (("ours", 30), ("theirs<b>", 10)):
        for subset, total in (("all", 50), ("common", 40)):
            for reference in ("union", "bundled"):
                low, high = wilson(sun, total)
                yield (source, subset, reference, "S.U.N.", "all", sun / total, low, high, sun, total, None)
            for metric in ("valid", "P1 relaxed", "on or below the hull"):
                yield (source, subset, "union", metric, "all", 1.0, 0.9, 1.0, total, total, None)
            for group in ("1-4 atoms", "5-8 atoms"):
                yield (source, subset, "union", "valid", group, 0.5, 0.3, 0.7, 10, 20, None)
    for metric, value in ((GENERATION, 1500.0), (ALL_STAGES, 700.0)):
        yield ("ours", "all", "union", metric, "all", value, 0.9 * value, 1.1 * value, None, None, None)
    yield ("ours", "all", "", "on target", "space_group=225", 0.5, 0.2, 0.8, 2, 4, None)
    yield ("ours", "all", "union", "crystal system", "cubic", 1.0, 0.9, 1.0, 50, 50, None)


@pytest.fixture
def folder(tmp_path):
    heads = ["source", "subset", "reference", "metric", "group", "value", "low", "high", "count", "total", "median"]
    pd.DataFrame(list(_rows()), columns=heads).to_csv(tmp_path / "comparison.csv", index=False)
    ours = {"label": "ours", "kind": "model", "run": "ours", "n": 50, "parameters": 1234567, "training_seconds": 7200,
            "costs": {"generation": 0.5, "relaxation and judging": 0.5}, "unjudged": ["band_gap"],
            "not_offered": {"composition=SrTiO3": "no"}}  # fmt: skip
    theirs = {"label": "theirs<b>", "kind": "file", "run": "theirs", "n": 50, "drawn_from": 90, "costs": {}}
    protocol = {"potential": "EMT", "relaxation": "relax-v1", "reference": "union", "matcher": "m"}
    record = {
        "n": 50,
        "seed": 3,
        "sources": [ours, theirs],
        "references": ["union", "bundled"],
        "protocol": {**protocol, "stability_threshold": 0.1},
        "data": "val.csv",
        "data_groups": {"all": {"225": 7, "62": 3}, "common": {}},
        "subset": "at most 3 elements",
        "requests": [
            {"where": "space_group=225", "counts_if": "exactly so"},
            {"where": "complexity=1", "counts_if": "0 to 2"},
        ],
        "per_request": 4,
        "citations": ["chgnet"],
        "warnings": ["one is <left> out"],
    }
    (tmp_path / "comparison.json").write_text(json.dumps(record))
    return tmp_path


def test_the_page_shows_every_source_and_needs_nothing(folder):
    page = build_comparison(folder).read_text()
    assert "script-src 'none'" in page
    assert "theirs&lt;b&gt;" in page
    assert "theirs<b>" not in page
    assert "one is &lt;left&gt; out" in page
    for name in ("summary", "rates", "size", "symmetry", "requests", "costs", "common", "runs", "cite"):
        assert f'<section id="{name}">' in page
    assert '<section id="funnel">' not in page  # nothing was filtered
    assert "50 of 90" in page


def test_markdown_has_tables_of_equal_width(folder):
    build_comparison(folder)
    lines = (folder / "comparison.md").read_text().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 20
    for above, below in pairwise(lines):
        if above.startswith("|") and below.startswith("|"):
            assert above.count("|") == below.count("|")


def test_the_headline_states_rates_with_intervals_and_what_is_unknown(folder):
    table = headline(folder)
    ours, theirs = table.to_dict()["rows"]
    low, high = wilson(30, 50)
    assert ours["S.U.N., union"] == f"60 % ({100 * low:.0f} to {100 * high:.0f})"
    assert ours["with relaxation"] == "700 (630 to 770)"
    assert theirs["with relaxation"] == MISSING
    assert "theirs" in str(table)


def test_figures_are_files_of_their_own(folder):
    from xml.etree import ElementTree

    build_comparison(folder)
    for name in ("sun.svg", "speed.svg"):
        root = ElementTree.fromstring((folder / "figures" / name).read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert f"figures/{name}" in (folder / "comparison.md").read_text()


def test_costs_and_requests(folder):
    found = Compared.read(folder)
    ours, theirs = costs(found).rows
    assert ours[5:7] == ("1,234,567", "2.0")
    assert theirs[1:] == (MISSING,) * 8
    asked, unjudged = requests(found)
    assert asked.heads == ("asked for", "on target", "ours")
    assert [row[2][:4] for row in asked.rows] == ["50 %", MISSING]
    assert unjudged.rows == (("ours", "band_gap"),)
    assert share(None) == MISSING


def test_a_folder_without_a_comparison(tmp_path):
    with pytest.raises(UserError, match="nucleate compare"):
        build_comparison(tmp_path)
