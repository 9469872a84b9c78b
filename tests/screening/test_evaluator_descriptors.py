"""Descriptor columns of a run: chosen by name, null with the cause where undefined, and no row is lost."""

import json

import pytest

from nucleate.campaign.screen import evaluate, screen
from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.registry import CHEAP
from nucleate.errors import UserError
from nucleate.report.run_data import read_run
from nucleate.runs.columns import CANDIDATE_COLUMNS, WHY_UNDEFINED

FCC = [[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]]
NAN = [[float("nan")] * 3] * 3
FLAT = [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
CUBE = [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]


@pytest.fixture(scope="module")
def mixed():
    """Copper; NaN cell; zero volume; duplicate sites; noble gases; hydrogen, which has no HHI."""
    home, centre = [0.0] * 3, [0.5] * 3
    return Crystals.from_lists(
        [[29], [29], [29], [29, 29], [2, 54], [1, 29]],
        [[home], [home], [home], [home, home], [home, centre], [home, centre]],
        [FCC, NAN, FLAT, FCC, CUBE, FCC],
    )


@pytest.fixture
def run(mixed, screening, tmp_path):
    return screen(mixed, screening, tmp_path / "run", workers=1)


def test_bad_crystals_keep_their_rows_and_say_what_is_undefined(run, mixed):
    table = run.candidates()
    columns = [name for name in CHEAP if name not in CANDIDATE_COLUMNS]
    assert list(table.columns) == [*CANDIDATE_COLUMNS, *columns, WHY_UNDEFINED]
    assert len(table) == len(mixed)
    assert table["compactness"].notna().tolist() == [True, False, False, True, False, True]
    assert table["hhi_score"].notna().tolist() == [True, True, True, True, False, False]
    assert not (table[columns].abs() == float("inf")).any(axis=None)
    why = table[WHY_UNDEFINED].tolist()
    assert why[0] == ""
    assert "complexity" in why[1]
    assert "compactness (He, Xe)" in why[4]
    assert "hhi_score (H)" in why[5]


def test_they_reach_the_record_the_ranking_and_the_report(run):
    assert run.record.descriptors == tuple(name for name in CHEAP if name not in CANDIDATE_COLUMNS)
    assert json.loads((run.folder / "run.json").read_text())["descriptors"] == list(run.record.descriptors)
    assert "compactness" in (run.folder / "ranked.csv").read_text().splitlines()[0]
    assert {"compactness", "complexity"} <= set(read_run(run.folder).extra_columns)


@pytest.mark.parametrize(
    ("asked", "columns"), [("none", []), ("dimensionality,compactness", ["compactness", "dimensionality"])]
)
def test_chosen_by_name(mixed, screening, tmp_path, asked, columns):
    settings = screening.model_copy(update={"descriptors": asked})
    table = screen(mixed[:1], settings, tmp_path / "run", workers=1).candidates()
    assert list(table.columns)[len(CANDIDATE_COLUMNS) :] == (columns and [*columns, WHY_UNDEFINED])


def test_an_unknown_name_is_refused_before_anything_runs(mixed, screening, tmp_path):
    with pytest.raises(UserError, match="compact'; expected all, cheap, none"):
        screen(mixed, screening.model_copy(update={"descriptors": "compact"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_evaluate_states_means_with_what_is_missing(mixed, screening):
    summary = evaluate(
        mixed, screening.without_relaxation().model_copy(update={"descriptors": "compactness"}), workers=1
    )
    mean = next(mean for mean in summary.means if mean.name == "compactness" and mean.group == "all")
    assert (mean.count, mean.missing) == (3, 3)
