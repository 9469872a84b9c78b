"""Files read in another process under limits of time and memory, whatever they do to the library that reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import nucleate
from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.validation import Record, plain

SECONDS, SECONDS_PER_MB = 10, 5
"""Seconds of processor time for one file, and more of them for each MB that it has."""
BYTES, BYTES_PER_BYTE = 2_000_000_000, 8
"""Bytes of memory for one file, and more of them for each byte that it has."""
_STARTING = 60  # seconds by the clock until a process has loaded its libraries
_PATIENCE = 5  # times the processor time by the clock, on a busy machine


@dataclass(frozen=True)
class Unread:
    """A file of which nothing was read.

    Attributes:
        reason: Why.
        foreign: It is sound, but holds no structures.
    """

    reason: str
    foreign: bool = False


def read_confined(files: Sequence[tuple[str, Path]]) -> list[list[Record] | Unread]:
    """Records of each file of a kind that ``confined_reader`` knows, or why there are none."""
    if not files:
        return []
    with confined(files) as (folder, refused):
        return [refused[k] if k in refused else _records(folder, k) for k in range(len(files))]


@contextmanager
def confined(files: Sequence[tuple[str, Path]]) -> Iterator[tuple[Path, dict[int, Unread]]]:
    """A folder of what ``confined_reader`` made of files, while the block lasts, and why it made nothing of one."""
    limits = [_limits(path) for _, path in files]
    left = [(k, kind, str(path.absolute()), *limits[k]) for k, (kind, path) in enumerate(files)]
    refused: dict[int, Unread] = {}
    with tempfile.TemporaryDirectory(prefix="nucleate-reading-") as made:
        folder = Path(made)
        while left:
            ending = _run(folder, left)
            done = [job for job in left if (folder / f"{job[0]}.json").exists()]
            left = left[len(done) :]
            if left:  # the file at which the process ended
                refused[left[0][0]] = Unread(ending)
                left = left[1:]
        for k in set(range(len(files))) - set(refused):
            found = json.loads((folder / f"{k}.json").read_text(encoding="utf-8"))
            if isinstance(found, dict):
                refused[k] = Unread(str(found["error"]), bool(found["foreign"]))
        yield folder, refused


def _limits(path: Path) -> tuple[int, int]:
    size = path.stat().st_size
    return SECONDS + int(SECONDS_PER_MB * size / 1e6), BYTES + BYTES_PER_BYTE * size


def _run(folder: Path, jobs: Sequence[tuple[int, str, str, int, int]]) -> str:
    """Run the reader until it has read all files or ended; returns how it ended."""
    root = str(Path(nucleate.__file__).parents[1])
    search = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-P", "-m", "nucleate.io.confined_reader", str(folder)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(jobs).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=os.environ | threads | {"PYTHONPATH": search},
            timeout=_STARTING + _PATIENCE * sum(job[3] for job in jobs),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "a file that takes too long to read"
    if done.returncode in {-24, -9}:  # SIGXCPU, or SIGKILL as of a system without memory
        return f"a file that takes more than {SECONDS} s or {BYTES / 1e9:.0f} GB to read"
    return f"a file that ends the process that reads it (code {done.returncode})"


def _records(folder: Path, k: int) -> list[Record]:
    """Records of file k as the reader left them."""
    rows = json.loads((folder / f"{k}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{k}.npz", allow_pickle=False) as arrays:
        counts, numbers, frac, lattice = (arrays[name] for name in ("counts", "numbers", "frac", "lattice"))
    ends = np.cumsum(counts)
    structures = iter(
        ParsedStructure(numbers[stop - n : stop], frac[stop - n : stop], cell)
        for n, stop, cell in zip(counts.tolist(), ends.tolist(), lattice, strict=True)
    )
    found = []
    for row in rows:
        properties = {name: value for name, item in row["properties"].items() if (value := plain(item)) is not None}
        entry = replace(next(structures), notes=tuple(row["notes"])) if row["sites"] else row["reason"]
        found.append(Record(entry, row["id"], properties))
    return found
