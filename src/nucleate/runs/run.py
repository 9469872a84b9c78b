"""A run: the folder that one command writes and any other can read or resume.

```
run.json               what was asked, the seed, the chunk plan, versions, hashes, what to cite, timings
generated/00000.parquet   the structures of a chunk, as generated or read
journal/00000.jsonl       relaxations finished in a chunk that is not complete yet
candidates/00000.parquet  the chunk screened; written whole or not at all
```
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from nucleate.errors import UserError
from nucleate.io.writing import write_whole, writing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT_VERSION = 1


class Run:
    """An opened run folder.

    Attributes:
        folder: Where it lies.
        record: The content of ``run.json``.
    """

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.folder, self.record = folder, record

    @classmethod
    def create(cls, folder: Path, record: Mapping[str, Any]) -> Self:
        """Start a run in a folder that is new or empty.

        Raises:
            UserError: The folder already holds something, or cannot be written.
        """
        if (folder / "run.json").exists():
            raise UserError(str(folder), "a run that is already there", "a new folder, or --resume to continue it")
        if folder.is_dir() and any(path.name != ".lock" for path in folder.iterdir()):
            raise UserError(str(folder), "a folder that is not empty", "a new folder")
        run = cls(folder, {"format_version": FORMAT_VERSION, "created": _now(), **record})
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        run.save_record()
        return run

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a run that exists.

        Raises:
            UserError: It is not a run, or a run of another version.
        """
        path = folder / "run.json"
        try:
            record = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(str(folder), "no run.json", "the folder of a run") from None
        except ValueError:
            raise UserError(str(path), "text that is not JSON", "the run.json that Nucleate wrote") from None
        found = record.get("format_version") if isinstance(record, dict) else None
        if found != FORMAT_VERSION:
            raise UserError(str(path), f"format version {found!r}", f"version {FORMAT_VERSION} of this Nucleate")
        return cls(folder, record)

    def discard_if_empty(self) -> None:
        """Take back a run that holds nothing yet, so that a mended request can use the folder."""
        if any((self.folder / "generated").glob("*.parquet")):
            return
        (self.folder / "run.json").unlink(missing_ok=True)
        (self.folder / ".lock").unlink(missing_ok=True)
        with suppress(OSError):  # there was something else in it
            self.folder.rmdir()

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """The chunk plan: first and one-past-last row of each chunk."""
        return [(start, stop) for start, stop in self.record["chunk_plan"]]

    def save_record(self) -> None:
        """Write ``run.json``, whole or not at all."""
        text = json.dumps(self.record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_whole(self.folder / "run.json", text.encode())

    def generated_path(self, chunk: int) -> Path:
        return self.folder / "generated" / f"{chunk:05d}.parquet"

    def candidates_path(self, chunk: int) -> Path:
        return self.folder / "candidates" / f"{chunk:05d}.parquet"

    def journal_path(self, chunk: int) -> Path:
        return self.folder / "journal" / f"{chunk:05d}.jsonl"

    def candidates(self) -> pd.DataFrame:
        """All screened rows so far, in order: ``columns.CANDIDATE_COLUMNS``, then the descriptors of the run."""
        import pyarrow as pa

        from nucleate.runs.columns import candidate_columns, schema

        paths = [self.candidates_path(k) for k in range(len(self.chunks))]
        tables = [read_shard(path) for path in paths if path.exists()]
        empty = schema(candidate_columns(self.record.get("descriptors", ()))).empty_table()
        return pa.concat_tables([empty, *tables], promote_options="default").to_pandas()


def _now() -> str:
    return datetime.now(tz=UTC).isoformat(timespec="seconds")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run for this process; the system lets go when the process ends, however it ends.

    Raises:
        UserError: Another process is writing this run.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("a")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(str(folder), "a run that another process is writing", "one writer at a time") from None
        yield


def write_shard(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write rows as one Parquet file; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def read_shard(path: Path) -> pa.Table:
    """Read one shard.

    Raises:
        UserError: The file is not a complete Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except pa.ArrowInvalid:
        raise UserError(str(path), "a file that is not complete Parquet", "a shard that Nucleate wrote") from None


class Journal:
    """Finished pieces of an unfinished chunk, one JSON line each, on the disk before the next one starts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: IO[bytes] | None = None

    def read(self) -> list[dict[str, Any]]:
        """The complete entries; a last line torn by a kill is cut off."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with writing(self.path):
                os.truncate(self.path, whole)
        return [json.loads(line) for line in content[:whole].splitlines()]

    def append(self, entry: Mapping[str, Any]) -> None:
        with writing(self.path):
            if self._handle is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = self.path.open("ab")
            self._handle.write(json.dumps(entry).encode() + b"\n")
            self._handle.flush()
            os.fsync(self._handle.fileno())

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)
