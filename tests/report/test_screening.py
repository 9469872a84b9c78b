"""The funnel on the page: its counts are those of the rows, and a damaged or missing one is no harm."""

import re
from html.parser import HTMLParser

import pytest

from nucleate.report.page import build_report, render
from nucleate.report.run_data import read_run
from nucleate.report.screening import condition, declared_funnel
from nucleate.screening.filters import Filter
from nucleate.screening.funnels import find_funnel

FUNNEL = {
    "name": "mine <b>",
    "filters": [
        {"name": "dense", "keep": "compactness > 0.5", "title": "A  dense"},
        {"name": "hull", "keep": "energy_above_hull < 0.05", "levels": [0.1]},
        {"name": "new", "keep": "is_novel = true"},
    ],
    "largest": [{"column": "compactness", "after": "hull"}],
}


@pytest.fixture
def run_folder(make_run, rows):
    """Three relaxed crystals of rising energy, one of them known and one without radii, and a failure."""
    return make_run(
        [
            rows.rocksalt(0, compactness=0.7, undefined_descriptors=""),
            rows.rocksalt(1, compactness=0.9, undefined_descriptors="", is_novel=False),
            rows.rocksalt(8, compactness=None, undefined_descriptors="compactness (He)"),
            rows.failed(3, "unconverged", "0.2 eV/Å left", compactness=0.6, undefined_descriptors=""),
        ],
        funnel=FUNNEL,
    )


def words(page):
    reader = HTMLParser()
    found = []
    reader.handle_data = found.append
    reader.feed(page)
    return " ".join(" ".join(found).split())


def section(run):
    """The part of the page on screening."""
    return re.search(r'<section id="screening">.*?</section>', render(run), re.DOTALL)[0]


def test_counts_and_causes(run_folder):
    run = read_run(run_folder)
    shown = words(section(run))
    result = declared_funnel(run)
    assert [step.in_sequence.passed for step in result.steps] == [3, 2, 1]
    for part in (
        "A dense compactness > 0.5 3 of 4 75 % of all",
        "alone: 3 (75 %) 1 undefined (no value for He 1)",
        "2 of 3 50 % of all",
        "2 at 0.1 eV/atom alone: 2 (50 %) 1 undefined (unconverged 1)",
        "1 of 2 25 % of all",
        "1 do not pass",
        "Largest compactness among those that pass hull and all before: 0.90",
    ):
        assert part in shown, (part, shown)


def test_the_page_is_safe_and_holds_a_bar_for_each(run_folder):
    page = build_report(run_folder).read_text(encoding="utf-8")
    assert "mine <b>" not in page.split('id="payload"')[0].split('id="configuration"')[0]
    section = re.search(r'<section id="screening">.*?</section>', page, re.DOTALL)[0]
    assert section.count('class="passes"') == 3


@pytest.mark.parametrize("funnel", [None, {}, {"filters": []}, {"filters": [{"name": "a"}]}])
def test_without_a_usable_funnel(make_run, funnel):
    run = read_run(make_run(funnel=funnel))
    assert declared_funnel(run) is None
    assert "--funnel" in section(run)


@pytest.mark.parametrize("name", ["pigen", "sun"])
def test_runs_without_rows_or_columns(make_run, name):
    described = find_funnel(name).to_dict()
    for some_rows in ([], None):
        folder = make_run(some_rows, funnel=described)
        assert build_report(folder).exists()


@pytest.mark.parametrize(
    ("keep", "shown"),
    [
        ("energy_above_hull <= 0.05", "energy above hull ≤ 0.05 eV/atom"),
        ("0.55 < compactness < 0.85", "0.55 < compactness < 0.85"),
        ("is_novel = true", "is novel: yes"),
        ("density is known", "density is known"),
        ("dimensionality = 3", "dimensionality = 3"),
    ],
)
def test_conditions_in_words(keep, shown):
    assert condition(Filter.parse("f", keep)) == shown


def test_the_table_says_what_stops_each_and_its_type(make_run, rows):
    folder = make_run(
        [
            rows.rocksalt(0, stopped_by=None, has_prototype=True, prototype="AB_cF8_225_a_b", prototype_name="Halite"),
            rows.rocksalt(1, stopped_by="hull", has_prototype=False, prototype=None, prototype_name=None),
        ],
        funnel=FUNNEL,
    )
    page = build_report(folder).read_text(encoding="utf-8")
    table = re.search(r'<table id="ranked".*?</table>', page, re.DOTALL)[0]
    assert "Stopped by" in table
    assert [text in table for text in (">passes all<", ">hull<", ">Halite<")] == [True] * 3
    plain = build_report(make_run()).read_text(encoding="utf-8")
    assert "Stopped by" not in plain
    assert "Structure type</button>" not in plain
