"""Figures of screening: they follow the columns that a run has, and a poor or damaged run leaves some out."""

import json
import re

import pytest

from nucleate.report.page import build_report
from nucleate.report.run_data import read_run
from nucleate.report.screening import beside_reference, screening_figures
from nucleate.screening.funnels import find_funnel

M_LED = "local_environment_diversity"
TITLES = {
    "types": "Known structure types",
    "families": "Structure types by local environment diversity",
    "hull": "Compactness and distance to the hull",
    "compactness": "Compactness",
    "m_led": "Local environment diversity (bits)",
}
SPREADS = {
    "compactness": {"low": 0.0, "high": 1.5, "counts": [0] * 20 + [5] * 20 + [0] * 20},
    M_LED: {"low": 4.0, "high": 12.0, "counts": [0] * 16 + [3] * 32 + [0] * 16},
}
PROFILE = {"name": "bundled", "structures": 50, "spread": SPREADS, "types": [20, 10, 5, 0]}


@pytest.fixture
def run_folder(make_run, rows):
    typed = {"has_prototype": True, "prototype": "AB_cF8_225_a_b", "prototype_name": "Halite", "prototype_rank": 0}
    none = {"has_prototype": False, "prototype": None, "prototype_name": None, "prototype_rank": None}
    folder = make_run(
        [
            rows.rocksalt(0, compactness=0.7, **{M_LED: 6.3}, **typed),
            rows.rocksalt(1, compactness=0.6, **{M_LED: 9.4}, **none),
            rows.rocksalt(300, compactness=0.2, **{M_LED: 8.0}, **none),
            rows.failed(3, "invalid_input", "nothing", compactness=None, **{M_LED: None}, **dict.fromkeys(typed)),
        ],
        funnel=find_funnel("pigen").to_dict(),
    )
    (folder / "reference.json").write_text(json.dumps(PROFILE))
    return folder


def shown(folder):
    found = {plot.title for plot in screening_figures(read_run(folder))}
    return {key for key, title in TITLES.items() if title in found}


def everything(folder):
    """All that the figures show and say."""
    plots = screening_figures(read_run(folder))
    return " ".join([text for plot in plots for text in (plot.svg, *plot.notes, *(name for *_, name in plot.keys))])


def test_a_full_run_shows_everything(run_folder):
    assert shown(run_folder) == set(TITLES)
    page = everything(run_folder)
    assert "2 of 4 crystals (50 %) match none of all 4 types" in page
    assert "the reference" in page
    assert "eV/atom" in page
    assert "(bits)" in page
    assert "Halite" in page
    assert beside_reference(read_run(run_folder)) == {"compactness", M_LED}


def test_what_is_shown_beside_the_reference_is_not_shown_twice(run_folder):
    page = build_report(run_folder).read_text(encoding="utf-8")
    assert page.count("<figcaption>Compactness</figcaption>") == 1
    (run_folder / "reference.json").unlink()
    page = build_report(run_folder).read_text(encoding="utf-8")
    assert page.count("<figcaption>Compactness</figcaption>") == 1


def test_the_curve_ends_at_the_share_without_a_type(run_folder):
    page = everything(run_folder)
    ends = re.findall(r"<title>([^:<]*): (\d+) % at 4</title>", page)
    assert dict(ends)["all crystals (4)"] == "50"
    assert dict(ends)["the reference"] == "30"


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"spread": 3, "types": 3}', '{"spread": {"compactness": {"counts": 1}}, "types": [1]}'],
)
def test_a_damaged_profile_leaves_its_figures_out(run_folder, content):
    (run_folder / "reference.json").write_text(content)
    assert shown(run_folder) == {"families", "hull"}
    assert build_report(run_folder).exists()


def test_a_run_without_descriptors_has_no_figures(make_run):
    assert screening_figures(read_run(make_run())) == []
    assert screening_figures(read_run(make_run([]))) == []
