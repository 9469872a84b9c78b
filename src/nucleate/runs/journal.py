"""The journal of an unfinished chunk: each relaxation is on the disk before the next one ends."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import IO

import numpy as np

from nucleate.crystal.crystals import Crystals
from nucleate.errors import SkippedWarning, Status
from nucleate.io.writing import writing
from nucleate.relaxation.relaxer import Relaxed


class Journal:
    """Finished relaxations of a chunk, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: IO[bytes] | None = None

    def read(self, crystals: Crystals) -> dict[int, Relaxed]:
        """The complete entries by row; a last line torn by a kill is cut off, a damaged one skipped with a warning.

        Arguments:
            crystals: Those of the chunk, as generated.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with writing(self.path):
                os.truncate(self.path, whole)
        found = {}
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                row, relaxed = _read(line, crystals)
            except (ValueError, KeyError, TypeError, IndexError):
                text = f"{self.path}, line {number}: damaged; its crystal is relaxed again"
                warnings.warn(text, SkippedWarning, stacklevel=2)
                continue
            found[row] = relaxed
        return found

    def append(self, row: int, relaxed: Relaxed) -> None:
        """Write the relaxation of a row, and wait until it is on the disk."""
        entry = {
            "row": row,
            "status": relaxed.status,
            "reason": relaxed.reason,
            "frac": relaxed.frac.tolist(),
            "lattice": relaxed.lattice.tolist(),
            "energy_per_atom": relaxed.energy_per_atom,
            "seconds": relaxed.seconds,
        }
        with writing(self.path):
            if self._handle is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = self.path.open("ab")
            self._handle.write(json.dumps(entry).encode() + b"\n")
            self._handle.flush()
            os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def remove(self) -> None:
        """Delete the file: the chunk is finished."""
        self.close()
        self.path.unlink(missing_ok=True)


def _read(line: bytes, crystals: Crystals) -> tuple[int, Relaxed]:
    """Row and outcome of a line.

    Raises:
        ValueError, KeyError, TypeError, IndexError: The line is damaged.
    """
    entry = json.loads(line)
    row, frac = entry["row"], np.array(entry["frac"], dtype=np.float64).reshape(-1, 3)
    if not 0 <= row < len(crystals) or len(frac) != int(crystals.n_atoms[row]):
        raise ValueError(row)
    relaxed = Relaxed(
        status=Status(entry["status"]),
        reason=entry["reason"],
        numbers=crystals.sites(row)[0].numpy(),
        frac=frac,
        lattice=np.array(entry["lattice"], dtype=np.float64).reshape(3, 3),
        energy_per_atom=float(entry["energy_per_atom"]),
        seconds=float(entry["seconds"]),
    )
    return row, relaxed
