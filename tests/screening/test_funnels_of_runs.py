"""A run with a funnel: what it needs is computed, each row says what stops it, and the counts are those of the rows."""

import json
import shutil

import pytest

from nucleate.campaign.export import run_summary
from nucleate.campaign.screen import screen
from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.runs.columns import PROTOTYPE_COLUMNS, STOPPED_BY
from nucleate.screening.funnel import apply_funnel
from nucleate.screening.funnels import find_funnel, funnel_of, run_funnel
from nucleate.settings import ScreenSettings

FCC = [[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]]
CUBE = [[3.8, 0.0, 0.0], [0.0, 3.8, 0.0], [0.0, 0.0, 3.8]]
NAN = [[float("nan")] * 3] * 3
THRESHOLDS = ("spp=100", "compactness=0.3..1.2", "m_led=0", "hull=0.5")


@pytest.fixture(scope="module")
def metals_batch():
    """Copper, ordered Cu3Au, a cell of NaN, and an element that EMT does not know."""
    corners = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]
    return Crystals.from_lists(
        [[29], [79, 29, 29, 29], [29], [3]], [[[0.0] * 3], corners, [[0.0] * 3], [[0.0] * 3]], [FCC, CUBE, NAN, FCC]
    )


@pytest.fixture(scope="module")
def funneled(metals):
    return ScreenSettings(
        potential="ase.calculators.emt:EMT",
        reference=metals,
        chunk_size=4,
        max_steps=200,
        funnel="pigen",
        thresholds=THRESHOLDS,
        descriptors="none",
    )


@pytest.fixture(scope="module")
def run(metals_batch, funneled, tmp_path_factory):
    return screen(metals_batch, funneled, tmp_path_factory.mktemp("funnel") / "run", workers=1)


@pytest.fixture(scope="module")
def broken():
    """Cells of NaN: nothing to relax, so a run takes no time."""
    return Crystals.from_lists([[29]] * 3, [[[0.0] * 3]] * 3, [NAN] * 3)


def test_what_the_funnel_reads_is_there(run):
    table = run.candidates()
    columns = [*PROTOTYPE_COLUMNS, "proxy_potential", "compactness", "local_environment_diversity", STOPPED_BY]
    assert set(columns) <= set(table)
    assert "complexity" not in table
    assert table["local_environment_diversity"].notna().tolist() == [True, True, False, True]
    assert table["has_prototype"].tolist()[:2] == [True, True]
    assert table["prototype"].iloc[0] == "A_cF4_225_a"
    assert table["prototype_rank"].iloc[0] == 0  # the only type of the reference stands before AFLOW's
    assert table["has_prototype"].isna().tolist()[2]


def test_each_row_says_what_stops_it(run):
    stopped = run.candidates()[STOPPED_BY].tolist()
    assert stopped[0] == "new_formula"  # copper is known
    assert stopped[1] == "new_prototype"  # Cu3Au is new to the reference, its structure type is not to AFLOW
    assert stopped[2] == "spp"
    assert stopped[3] in ("hull", "spp")  # lithium has no energy in EMT


def test_the_file_holds_the_counts_of_the_rows(run):
    stored = json.loads((run.folder / "funnel.json").read_text())
    funnel = find_funnel(str(run.folder / "funnel.json"))
    assert funnel == funnel_of(ScreenSettings(funnel="pigen", thresholds=THRESHOLDS))
    result = apply_funnel(funnel, run.candidates())
    assert stored["steps"] == json.loads(json.dumps(result.to_dict()))["steps"]
    assert result == run_funnel(run)
    assert stored["total"] == 4
    assert stored["steps"][0]["alone"]["undefined"] == {"not_finite": 1}
    assert stored["largest"][0]["id"] == "c000001"
    assert stored["protocol"] == run.record.protocol.stated()
    assert run.record.funnel == stored["funnel"]
    assert "pigen" in run.record.citations


def test_the_reference_beside_the_run(run):
    stored = json.loads((run.folder / "reference.json").read_text())
    assert stored["structures"] == 1
    assert sum(stored["spread"]["compactness"]["counts"]) == 1
    assert stored["types"][0] == 1
    assert set(stored["types"][1:]) == {0}


def test_resuming_gives_the_same_bytes_and_another_funnel_is_refused(run, metals_batch, funneled, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    for path in (folder / "candidates").iterdir():
        path.unlink()
    screen(metals_batch, funneled, folder, resume=True, workers=1)
    for name in ("candidates/00000.parquet", "funnel.json", "reference.json", "ranked.csv"):
        assert (folder / name).read_bytes() == (run.folder / name).read_bytes(), name
    other = funneled.model_copy(update={"thresholds": ("m_led=3",)})
    with pytest.raises(UserError, match="resume"):
        screen(metals_batch, other, folder, resume=True, workers=1)


def test_a_changed_file_of_filters_is_another_request(broken, screening, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[[filters]]\nname = "dense"\nkeep = "density > 5"\n')
    settings = screening.model_copy(update={"funnel": str(file), "descriptors": "none"})
    table = screen(broken, settings, tmp_path / "run", workers=1).candidates()
    assert not set(PROTOTYPE_COLUMNS) & set(table)
    assert table[STOPPED_BY].tolist() == ["dense"] * 3
    file.write_text('[[filters]]\nname = "dense"\nkeep = "density > 6"\n')
    with pytest.raises(UserError, match="resume"):
        screen(broken, settings, tmp_path / "run", resume=True, workers=1)


def test_without_a_funnel_nothing_is_added(broken, screening, tmp_path):
    run = screen(broken, screening, tmp_path / "run", workers=1)
    assert run.record.funnel is None
    assert run_funnel(run) is None
    assert not (run.folder / "funnel.json").exists()
    assert STOPPED_BY not in run.candidates()


def test_the_summary_holds_it(run):
    summary = run_summary(run)
    assert summary.funnel == run_funnel(run)
    assert "funnel pigen" in str(summary)
    assert summary.to_dict()["funnel"]["total"] == 4


def test_a_run_in_which_everything_fails(broken, funneled, tmp_path):
    run = screen(broken, funneled, tmp_path / "run", workers=1)
    result = run_funnel(run)
    assert result.survivors == 0
    assert all(step.alone.undefined == {"not_finite": 3} for step in result.steps if step.filter.name != "new_formula")
    assert run.candidates()[STOPPED_BY].tolist() == ["spp"] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"funnel": "nosuch"},
        {"thresholds": ("m_led=8",)},
        {"funnel": "pigen", "thresholds": ("nosuch=8",)},
        {"funnel": "pigen", "thresholds": ("m_led=high",)},
    ],
)
def test_a_wrong_request_is_one_clear_line(changes, screening, metals_batch, tmp_path):
    with pytest.raises(UserError):
        screen(metals_batch, screening.model_copy(update=changes), tmp_path / "run", workers=1)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_column_that_no_run_has(tmp_path):
    file = tmp_path / "odd.toml"
    file.write_text('[[filters]]\nname = "colour"\nkeep = "colour < 5"\n')
    with pytest.raises(UserError, match="colour"):
        funnel_of(ScreenSettings(funnel=str(file)))
