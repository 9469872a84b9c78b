"""The main job from a request to a ranked table; stopped, gone on with, and asked for wrongly."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from nucleate.campaign.design import chunk_plan, design
from nucleate.errors import RequestWarning, UserError
from nucleate.io.files import read_structures
from nucleate.runs.columns import CANDIDATE_COLUMNS
from nucleate.runs.run import Run
from nucleate.settings import DesignSettings, ScreenSettings

EMT = "ase.calculators.emt:EMT"

CHILD = """
import sys
from pathlib import Path
from nucleate.campaign.design import design
from nucleate.settings import DesignSettings
design(DesignSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]), resume=True, workers=2)
"""


def _bytes(folder):
    """Everything that must not depend on when and how often a run was stopped."""
    kept = [*folder.glob("generated/*"), *folder.glob("candidates/*"), *folder.glob("cifs/*")]
    kept += [folder / "ranked.csv", folder / "hull.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, metals):

    settings = DesignSettings(
        model="random",
        n=10,
        where=("chemical_system=Cu-Au", "n_atoms=2..6"),
        screen=ScreenSettings(potential=EMT, reference=metals, chunk_size=4, max_steps=200),
    )
    folder = tmp_path_factory.mktemp("finished") / "run"
    seen = []
    run = design(settings, folder, workers=2, progress=lambda *event: seen.append(event))
    return settings, run, seen


def test_a_chunk_plan_covers_the_request():
    assert chunk_plan(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert chunk_plan(4, 4) == [(0, 4)]


def test_every_crystal_has_its_row_in_order(finished):
    settings, run, _ = finished
    table = run.candidates()
    assert tuple(table.columns)[: len(CANDIDATE_COLUMNS)] == CANDIDATE_COLUMNS
    assert table["id"].tolist() == [f"c{i:06d}" for i in range(settings.n)]
    assert table["meets_request"].all()
    good = table[table["status"] == "ok"]
    assert len(good) >= 5
    assert (good["energy_above_hull"] > -0.05).all()
    assert good["relaxed_space_group"].between(1, 230).all()
    assert good["is_stable"].eq(good["energy_above_hull"] <= 0.1).all()
    assert (good["n_competing_phases"] == 1).all()  # CuAu


def test_repeats_name_the_first_of_their_kind(finished):
    table = finished[1].candidates().set_index("id")
    repeats = table[table["is_unique"].eq(False)]
    assert table.loc[repeats["duplicate_of"], "is_unique"].all()
    assert (repeats["duplicate_of"] < repeats.index).all()


def test_survivors_are_handed_over(finished):
    _, run, _ = finished
    ranking = pd.read_csv(run.folder / "ranked.csv")
    assert ranking["rank"].tolist() == list(range(1, len(ranking) + 1))
    ok = ranking[ranking["status"] == "ok"]
    assert ok.index.tolist() == list(range(len(ok)))
    found = read_structures(run.folder / "cifs")
    assert sorted(found.ids) == sorted(ok["id"])
    hull = json.loads((run.folder / "hull.json").read_text())
    assert hull["chemical_system"] == "Au-Cu"
    assert {phase["formula"] for phase in hull["phases"]} == {"Cu", "Au", "CuAu"}


def test_the_record_says_how_to_repeat_the_run(finished):
    settings, run, _ = finished
    record = Run.open(run.folder).record
    assert record.kind == "design"
    assert record.settings == settings
    assert record.chunk_plan == ((0, 4), (4, 8), (8, 10))
    assert record.seed == 0
    assert record.versions["torch"]
    assert len(record.hashes["reference"]) == 64
    assert {"pyxtal", "ase", "pymatgen"} <= set(record.citations)
    assert "chgnet" not in record.citations
    assert record.timings["relax"].crystals == settings.n


def test_progress_ends_at_the_total(finished):
    settings, _, seen = finished
    for stage in ("generate", "relax"):
        counts = [done for name, done, total in seen if name == stage]
        assert counts == sorted(counts)
        assert counts[-1] == settings.n


def test_equal_requests_give_equal_bytes_with_any_number_of_workers(finished, tmp_path):
    settings, run, _ = finished
    again = design(settings, tmp_path / "run", workers=1)
    assert _bytes(again.folder) == _bytes(run.folder)


def test_going_on_with_a_finished_run_changes_nothing(finished):
    settings, run, _ = finished
    before = _bytes(run.folder)
    design(settings, run.folder, resume=True)
    assert _bytes(run.folder) == before
    with pytest.raises(UserError, match="--resume"):
        design(settings, run.folder)
    with pytest.raises(UserError, match=r"n = 10.*not n = 11"):
        design(settings.model_copy(update={"n": 11}), run.folder, resume=True)


def test_a_killed_run_goes_on_to_the_same_bytes_and_repeats_nothing(finished, tmp_path):
    settings, run, _ = finished
    folder = tmp_path / "run"
    command = [sys.executable, "-c", CHILD, settings.model_dump_json(), str(folder)]
    done = 0
    for _ in range(3):
        child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        aim = done + 2
        while child.poll() is None and _finished_rows(folder) < aim:
            time.sleep(0.005)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert _finished_rows(folder) >= min(done, settings.n)
        done = _finished_rows(folder)
    before = _finished_rows(folder)
    seen = []
    design(settings, folder, resume=True, workers=2, progress=lambda *event: seen.append(event))
    assert _bytes(folder) == _bytes(run.folder)
    assert not list((folder / "journal").glob("*"))
    assert next(done for stage, done, _ in seen[1:] if stage == "relax") >= before


def _finished_rows(folder):
    """Crystals whose relaxation is on the disk: in a journal, or in a shard."""
    lines = sum(path.read_bytes().count(b"\n") for path in folder.glob("journal/*.jsonl"))
    chunks = {path.stem for path in folder.glob("candidates/*.parquet")}
    return lines + sum(len(pd.read_parquet(folder / "generated" / f"{name}.parquet")) for name in chunks)


def test_a_request_that_cannot_be_met_leaves_no_run(request_for, tmp_path):
    with pytest.raises(UserError):
        design(request_for(where=("band_gap=1",)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_reference_or_potential_is_one_clear_line(request_for, tmp_path):
    settings = request_for()
    wrong = settings.model_copy(update={"screen": settings.screen.model_copy(update={"reference": "nosuch"})})
    with pytest.raises(UserError, match="'nosuch'"):
        design(wrong, tmp_path / "a")
    wrong = settings.model_copy(update={"screen": settings.screen.model_copy(update={"potential": "nosuch"})})
    with pytest.raises(UserError, match="potential 'nosuch'"):
        design(wrong, tmp_path / "b")


def test_every_family_names_works_to_cite():
    from nucleate.citations import citations
    from nucleate.families.registry import FAMILIES

    for family in FAMILIES.own:
        works = list(FAMILIES.get(family).citations)
        assert works, family
        assert [work.key for work in citations(works)] == works, family


def test_the_hull_of_a_run_without_conditions_is_that_of_its_best_candidate(tmp_path):
    settings = DesignSettings(model="substitution", n=2, screen=ScreenSettings().without_relaxation())
    run = design(settings, tmp_path / "run", workers=1)
    best = pd.read_csv(run.folder / "ranked.csv").iloc[0]["chemical_system"]
    assert json.loads((run.folder / "hull.json").read_text())["chemical_system"] == best


def test_warnings_about_a_request_are_shown_and_kept(tmp_path):
    settings = DesignSettings(
        model="pigen-mp",
        n=1,
        where=("formation_energy=-200", "n_atoms=1..2"),
        screen=ScreenSettings().without_relaxation(),
    )
    with pytest.warns(RequestWarning, match="reaches beyond"):
        run = design(settings, tmp_path / "run", workers=1)
    (kept,) = Run.open(run.folder).record.warnings
    assert kept.startswith("formation_energy=-200 reaches beyond")
    assert run.candidates()["meets_request"].all()  # of its size; of the energy nothing is said
