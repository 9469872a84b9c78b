"""Files are written whole or not at all, and places that cannot be written are named."""

import subprocess
import sys

import pytest

from nucleate.errors import UserError
from nucleate.io.writing import whole_file, whole_folder, write_whole


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    write_whole(path, b"old")
    script = f"""
import resource, signal
from pathlib import Path
from nucleate.io.writing import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_whole(Path({str(path)!r}), b"x" * 5000)
"""
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "UserError" in outcome.stderr
    assert "run.json" in outcome.stderr
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file"
    write_whole(path, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="No space left"):
        write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file"):
        write_whole(tmp_path / "file" / "inside", b"x")


def test_a_failed_sync_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="No space left"), whole_file(path) as made:
        made.write_text("new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_block_that_fails_leaves_nothing(tmp_path, whole):
    with pytest.raises(RuntimeError), whole(tmp_path / "new"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_takes_its_place_whole(tmp_path):
    with whole_folder(tmp_path / "new") as made:
        (made / "a").write_text("x")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new" / "a").read_text() == "x"
    with pytest.raises(UserError, match="already there"), whole_folder(tmp_path / "new"):
        pass


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "report.part").mkdir()
    with pytest.raises(UserError, match="report: found"):
        write_whole(tmp_path / "report", b"x")
