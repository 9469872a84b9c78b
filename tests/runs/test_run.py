"""Runs on disk: whole or absent, one writer, refused when they are of another version."""

import signal
import subprocess
import sys
from datetime import timedelta

import pyarrow as pa
import pytest

from nucleate.errors import UserError
from nucleate.runs.record import Timing
from nucleate.runs.run import Journal, Run, locked, read_shard, write_shard

SCHEMA = pa.schema([("id", pa.string()), ("frac", pa.list_(pa.list_(pa.float64()))), ("flag", pa.bool_())])
ROWS = [{"id": "a", "frac": [[0.1, 0.2, 0.3]], "flag": None}, {"id": "b", "frac": [], "flag": True}]


def test_shards_round_trip_and_equal_rows_give_equal_bytes(tmp_path):
    first, second = tmp_path / "x" / "0.parquet", tmp_path / "1.parquet"
    write_shard(first, ROWS, SCHEMA)
    write_shard(second, ROWS, SCHEMA)
    assert first.read_bytes() == second.read_bytes()
    assert read_shard(first).to_pylist() == ROWS
    assert not list(tmp_path.rglob("*.part"))


def test_a_torn_shard_is_named(tmp_path):
    path = tmp_path / "0.parquet"
    write_shard(path, ROWS, SCHEMA)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"0\.parquet.*not complete Parquet"):
        read_shard(path)


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


def test_a_journal_loses_only_a_torn_last_line(tmp_path):
    path = tmp_path / "journal" / "0.jsonl"
    journal = Journal(path)
    assert journal.read() == []
    journal.append({"row": 0, "energy": -1.2345678901234567})
    journal.append({"row": 1, "energy": float("inf")})
    journal.close()
    with path.open("ab") as handle:
        handle.write(b'{"row": 2, "ene')
    again = Journal(path)
    assert again.read() == [{"row": 0, "energy": -1.2345678901234567}, {"row": 1, "energy": float("inf")}]
    again.append({"row": 2, "energy": 0.0})
    again.close()
    assert [entry["row"] for entry in Journal(path).read()] == [0, 1, 2]
    again.remove()
    assert not path.exists()
