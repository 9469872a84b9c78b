"""A run: the folder that one command writes and any other can read or resume.

```
run.json                  what it is and how it was made: :class:`nucleate.runs.record.RunRecord`
generated/00000.parquet   the structures of a chunk, as generated or read
journal/00000.jsonl       relaxations finished in a chunk that is not complete yet
candidates/00000.parquet  the chunk screened; written whole or not at all
```
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from filelock import FileLock, Timeout

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.interop import to_pymatgen
from nucleate.io.writing import write_whole, writing
from nucleate.runs.columns import candidate_columns, schema
from nucleate.runs.record import RunRecord, Timing, difference

if TYPE_CHECKING:
    from pymatgen.core import Structure


class Run:
    """An opened run folder.

    Attributes:
        folder: Where it lies.
        record: The content of ``run.json``; it changes by :meth:`update` alone.
    """

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder, self.record = folder, record

    @classmethod
    def create(cls, folder: Path, record: RunRecord) -> Self:
        """Start a run in a folder that is new or empty.

        Raises:
            UserError: The folder already holds something, or cannot be written.
        """
        if holds_run(folder):
            raise UserError(str(folder), "a run that is already there", "a new folder, or --resume to continue it")
        if folder.is_dir() and any(path.name != ".lock" for path in folder.iterdir()):
            raise UserError(str(folder), "a folder that is not empty", "a new folder")
        run = cls(folder, record)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        run.update()
        return run

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a run that exists.

        Raises:
            UserError: It is not a run, or a run of another version.
        """
        return cls(folder, RunRecord.read(folder))

    @classmethod
    def open_or_create(cls, folder: Path, record: RunRecord, resume: bool) -> Self:
        """A new run, or the one in the folder if it is to go on and was begun with the same settings.

        A folder that holds runs goes on with other settings too, which are then its record's.

        Raises:
            UserError: There is a run and it is not to go on, or it answers another request.
        """
        if not (resume and holds_run(folder)):
            return cls.create(folder, record)
        run = cls.open(folder)
        apart = difference(run.record.fixed(), record.fixed())
        if apart is not None:
            name, found, asked = apart
            expected = f"the options that it began with, not {name} = {asked!r}"
            raise UserError(f"{folder} --resume", f"a run with {name} = {found!r}", expected)
        if record.holds_runs:
            run.update(**dict(record) | {"created": run.record.created})
        return run

    def discard_if_empty(self) -> None:
        """Take back a run that holds nothing yet, so that a mended request can use the folder."""
        if any(self.folder.rglob("*.parquet")):
            return
        (self.folder / "run.json").unlink(missing_ok=True)
        (self.folder / ".lock").unlink(missing_ok=True)
        with suppress(OSError):  # there was something else in it
            self.folder.rmdir()

    @property
    def chunks(self) -> tuple[tuple[int, int], ...]:
        """The chunk plan: first and one-past-last row of each chunk."""
        return self.record.chunk_plan

    def update(self, **changes: object) -> None:
        """Change fields of the record and write ``run.json``, whole or not at all."""
        self.record = RunRecord.model_validate(dict(self.record) | changes)
        write_whole(self.folder / "run.json", self.record.to_json().encode())

    def add_timing(self, stage: str, seconds: float, crystals: int, core_seconds: float | None = None) -> None:
        """Add to the time that a stage has taken in this run, over all its sessions.

        Arguments:
            stage: Name of the stage.
            seconds: By the clock.
            crystals: How many went through.
            core_seconds: Processor time; ``seconds`` if None.
        """
        spent = self.record.timings.get(stage, Timing())
        more = spent.plus(seconds, seconds if core_seconds is None else core_seconds, crystals)
        self.update(timings=self.record.timings | {stage: more})

    def add_warning(self, text: str) -> None:
        """Keep something that a reader must know; once, however often it is said."""
        if text not in self.record.warnings:
            self.update(warnings=(*self.record.warnings, text))

    def generated_path(self, chunk: int) -> Path:
        return self.folder / "generated" / f"{chunk:05d}.parquet"

    def candidates_path(self, chunk: int) -> Path:
        return self.folder / "candidates" / f"{chunk:05d}.parquet"

    def journal_path(self, chunk: int) -> Path:
        return self.folder / "journal" / f"{chunk:05d}.jsonl"

    def candidates(self, torn: list[str] | None = None) -> pd.DataFrame:
        """All screened rows so far, in order: ``columns.CANDIDATE_COLUMNS``, then the descriptors of the run.

        Arguments:
            torn: Takes the names of shards that cannot be read, which are then left out.

        Raises:
            UserError: A shard cannot be read and ``torn`` is None.
        """
        tables = [schema(candidate_columns(self.record.descriptors)).empty_table()]
        for path in self.finished:
            try:
                tables.append(read_shard(path))
            except UserError:
                if torn is None:
                    raise
                torn.append(path.name)
        return pa.concat_tables(tables, promote_options="default").to_pandas()

    def best(self, n: int | None = 10) -> pd.DataFrame:
        """The first n rows of ``ranked.csv``, all if None; units of its columns are in ``docs/columns.md``.

        Raises:
            UserError: The run has not come to its end.
        """
        path = self.folder / "ranked.csv"
        if not path.exists():
            raise UserError(str(self.folder), "a run that is not finished", "ranked.csv, which --resume makes")
        return pd.read_csv(path, nrows=n, keep_default_na=True, dtype={"id": str, "formula": str})

    def structures(self, n: int | None = None) -> list[Structure]:
        """pymatgen's structures of the first n candidates in rank order, relaxed where there is a relaxed one.

        Each has the row of ``ranked.csv`` as ``properties``; candidates that hold no crystal are left out.

        Raises:
            UserError: The run has not come to its end.
        """
        ranked = self.best(n).set_index("id", drop=False)
        rows = self.candidates().set_index("id").loc[ranked.index]
        rows = rows[rows["numbers"].map(lambda numbers: numbers is not None and len(numbers) > 0)]
        frac, lattice = (rows[f"relaxed_{name}"].combine_first(rows[name]) for name in ("frac", "lattice"))
        crystals = Crystals.from_lists(
            [numbers.tolist() for numbers in rows["numbers"]],
            [torch.from_numpy(np.stack(one)) for one in frac],
            [torch.from_numpy(np.stack(one)) for one in lattice],
        )
        found = to_pymatgen(crystals)
        for structure, name in zip(found, rows.index, strict=True):
            structure.properties = ranked.loc[name].dropna().to_dict()
        return found

    def _repr_html_(self) -> str:
        """The best candidates as a table, as notebooks show it."""
        ended = (self.folder / "ranked.csv").exists()
        table = self.best().to_html(index=False, float_format="%.3f", na_rep="") if ended else "<p>not finished</p>"
        return f"<p>{escape(str(self.folder))}: {self.record.n} crystals</p>{table}"

    @property
    def finished(self) -> list[Path]:
        """The shards of ``candidates`` that are there, in order."""
        paths = [self.candidates_path(k) for k in range(len(self.chunks))]
        return [path for path in paths if path.exists()]


def holds_run(folder: Path) -> bool:
    """Whether a folder has a record, of any kind and version."""
    return (folder / "run.json").exists()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run for this process; the system lets go when the process ends, however it ends.

    Raises:
        UserError: Another process is writing this run, or the folder cannot be written.
    """
    lock = FileLock(folder / ".lock")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(str(folder), "a run that another process is writing", "one writer at a time") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def held_run(folder: Path, record: RunRecord, resume: bool) -> Iterator[Run]:
    """A run to write into, new or gone on with, held for this process.

    A mistake of the user's takes back a run that holds nothing yet, so that a mended request can use the folder.

    Raises:
        UserError: As :func:`locked` and :meth:`Run.open_or_create`.
    """
    with locked(folder):
        run = Run.open_or_create(folder, record, resume)
        try:
            yield run
        except UserError:
            run.discard_if_empty()
            raise


def read_shard(path: Path) -> pa.Table:
    """Read one shard.

    Raises:
        UserError: The file is not a complete Parquet file, or its pages are not those that were written.
    """
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        found = "a page whose checksum does not fit" if "CRC" in str(error) else "a file that is not complete Parquet"
        raise UserError(str(path), found, "a shard that Nucleate wrote") from None
