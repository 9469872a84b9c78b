"""Runs on disk: whole or absent, one writer, refused when they are of another version."""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from pymatgen.core import Composition

from nucleate.errors import UserError
from nucleate.runs.record import Timing
from nucleate.runs.run import Run, held_run, locked


def test_a_run_opens_as_it_was_created(tmp_path, record):
    created = Run.create(tmp_path / "run", record)
    opened = Run.open(tmp_path / "run")
    assert opened.record == created.record == record
    assert opened.chunks == ((0, 2), (2, 3))
    assert len(opened.candidates()) == 0


def test_a_run_is_never_written_over(tmp_path, record):
    Run.create(tmp_path / "run", record)
    with pytest.raises(UserError, match="--resume"):
        Run.create(tmp_path / "run", record)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        Run.create(tmp_path / "full", record)


def test_what_is_told_of_a_run_is_kept(tmp_path, record):
    run = Run.create(tmp_path / "run", record)
    run.add_timing("relax", 2.0, 3, 1.5)
    run.add_timing("relax", 1.0, 1)
    run.add_warning("few phases")
    run.add_warning("few phases")
    found = Run.open(tmp_path / "run").record
    assert found.timings == {"relax": Timing(seconds=3.0, core_seconds=2.5, crystals=4)}
    assert found.warnings == ("few phases",)


def test_a_run_goes_on_only_with_what_it_began_with(tmp_path, record):
    run = Run.open_or_create(tmp_path / "run", record, resume=True)
    run.add_timing("relax", 2.0, 3)
    later = record.model_copy(update={"created": record.created + timedelta(days=1)})
    assert Run.open_or_create(tmp_path / "run", later, resume=True).record == run.record
    with pytest.raises(UserError, match="already there"):
        Run.open_or_create(tmp_path / "run", record, resume=False)
    settings = record.settings.model_copy(update={"n": 4})
    with pytest.raises(UserError, match=r"--resume.*a run with n = 3; .* not n = 4"):
        Run.open_or_create(tmp_path / "run", record.model_copy(update={"settings": settings}), resume=True)


def test_a_mistake_takes_back_a_run_that_holds_nothing_yet(tmp_path, record):
    def fail_after(n_chunks):
        with held_run(tmp_path / "run", record, resume=False) as run:
            for k in range(n_chunks):
                run.generated_path(k).parent.mkdir()
                run.generated_path(k).touch()
            raise UserError("--where", "a band gap", "what the model knows")

    with pytest.raises(UserError, match="band gap"):
        fail_after(0)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="band gap"):
        fail_after(1)
    assert Run.open(tmp_path / "run").record == record


def test_a_killed_writer_leaves_no_lock(tmp_path):
    script = f"""
import os, signal
from pathlib import Path
from nucleate.runs.run import locked
with locked(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    with locked(tmp_path):
        pass


def test_one_writer_at_a_time(tmp_path):
    script = f"""
from pathlib import Path
from nucleate.runs.run import locked
with locked(Path({str(tmp_path)!r})):
    pass
"""
    with locked(tmp_path):
        blocked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    free = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "another process is writing" in blocked.stderr
    assert free.returncode == 0


def test_places_that_cannot_be_written_are_named(tmp_path, record):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file.*may be written"):
        Run.create(tmp_path / "file" / "run", record)


def test_the_best_are_a_table_structures_and_html(tmp_path):
    import nucleate

    crystals = nucleate.generate("pseudo-random", 3, seed=1)
    run = nucleate.screen(crystals, out=tmp_path / "run", max_steps=1, descriptors="none", workers=1)
    best = run.best(2)
    assert best["rank"].tolist() == [1, 2]
    structures = run.structures(2)
    assert [one.properties["id"] for one in structures] == best["id"].tolist()
    assert [one.reduced_formula for one in structures] == [
        Composition(formula).reduced_formula for formula in best["formula"]
    ]
    assert len(run.structures()) == 3
    assert best["id"][0] in run._repr_html_()
    (tmp_path / "run" / "ranked.csv").unlink()
    assert "not finished" in run._repr_html_()
    with pytest.raises(UserError, match="not finished"):
        run.best()
