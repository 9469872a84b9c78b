"""Small run folders made of textbook crystals."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nucleate.runs.columns import CANDIDATE_COLUMNS, schema

Row = dict[str, Any]

_ROCKSALT = [
    [0, 0, 0],
    [0, 0.5, 0.5],
    [0.5, 0, 0.5],
    [0.5, 0.5, 0],
    [0.5, 0.5, 0.5],
    [0.5, 0, 0],
    [0, 0.5, 0],
    [0, 0, 0.5],
]
_ANTIFLUORITE = [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
_FLAGS = {"is_valid": True, "is_unique": True, "is_novel": True, "formula_known": False, "is_stable": True}


def rocksalt(i: int, **changes: Any) -> Row:
    """A candidate: MgO as generated a little too large, relaxed to rocksalt."""
    return {
        "id": f"c{i:06d}", "model": "random", "formula": "MgO", "chemical_system": "Mg-O", "n_atoms": 8,
        "status": "ok", "reason": "", "numbers": [12] * 4 + [8] * 4, "frac": _ROCKSALT,
        "lattice": [[4.4, 0.0, 0.0], [0.0, 4.3, 0.0], [0.0, 0.0, 4.4]], "relaxed_frac": _ROCKSALT,
        "relaxed_lattice": [[4.21, 0.0, 0.0], [0.0, 4.21, 0.0], [0.0, 0.0, 4.21]], "energy_per_atom": -5.9,
        "formation_energy": -3.0 + 0.01 * i, "energy_above_hull": 0.01 * i, "n_competing_phases": 3, "space_group": 47,
        "relaxed_space_group": 225, "rmsd_to_relaxed": 0.05 + 0.01 * i, "rmsd_matched": True, "duplicate_of": None,
        "meets_request": True, "density": 3.6, **_FLAGS, **changes,
    }  # fmt: skip


def antifluorite(i: int, **changes: Any) -> Row:
    """A candidate: Li2O in its primitive cell."""
    cell = [[0.0, 2.31, 2.31], [2.31, 0.0, 2.31], [2.31, 2.31, 0.0]]
    return rocksalt(
        i, formula="Li2O", chemical_system="Li-O", n_atoms=3, numbers=[8, 3, 3], frac=_ANTIFLUORITE, lattice=cell,
        relaxed_frac=_ANTIFLUORITE, relaxed_lattice=cell, formation_energy=-2.0, **changes,
    )  # fmt: skip


def failed(i: int, status: str, reason: str, **changes: Any) -> Row:
    """A candidate that has no relaxed structure and no energy."""
    unknown = (
        "relaxed_frac", "relaxed_lattice", "energy_per_atom", "formation_energy", "energy_above_hull",
        "n_competing_phases", "relaxed_space_group", "rmsd_to_relaxed", "rmsd_matched",
    )  # fmt: skip
    row = rocksalt(i, status=status, reason=reason, is_stable=False, **dict.fromkeys(unknown))
    return row | changes


RECORD: dict[str, Any] = {
    "kind": "design",
    "format_version": 2,
    "created": "2026-07-01T12:00:00Z",
    "settings": {"model": "random", "n": 4, "where": ["chemical_system=Mg-O"]},
    "n": 4,
    "seed": 0,
    "chunk_plan": [[0, 4]],
    "potential": {"scale": "CHGNet 0.3.0", "version": "chgnet 0.4.2", "place": "in this environment"},
    "protocol": {
        "relaxation": "relax-v1",
        "potential": "chgnet-0.3.0",
        "reference": "bundled",
        "stability_threshold": 0.1,
        "matcher": "ltol 0.2, stol 0.3, angle 5",
        "symprec": 0.1,
        "candidates_relaxed": "all",
        "denominator": "all candidates of the run",
    },
    "versions": {"nucleate": "0.1.0"},
    "citations": ["chgnet", "pymatgen"],
    "timings": {"generate": {"seconds": 2.0, "core_seconds": 4.0, "crystals": 4}},
}
PHASES = [
    {"formula": "Mg", "formation_energy": 0.0, "source": "bundled"},
    {"formula": "O2", "formation_energy": 0.0, "source": "bundled"},
    {"formula": "MgO", "formation_energy": -3.0, "source": "bundled"},
    {"formula": "MgO2", "formation_energy": -1.7, "source": "bundled"},
]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a shard as the campaign does; what a row does not say is unknown."""
    more = (name for row in rows for name in row if name not in CANDIDATE_COLUMNS)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema((*CANDIDATE_COLUMNS, *dict.fromkeys(more)))), path)


RunMaker = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> RunMaker:
    """Writes a run folder: ``make_run(rows, phases=..., **changes of the record)``."""

    def make(rows: Sequence[Row] | None = None, phases: Any = PHASES, **changes: Any) -> Path:
        folder = tmp_path / "run"
        (folder / "candidates").mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(json.dumps(RECORD | changes))
        if phases is not None:
            (folder / "hull.json").write_text(json.dumps({"chemical_system": "Mg-O", "phases": phases}))
        if rows is None:
            rows = [rocksalt(0), rocksalt(1, is_novel=False), rocksalt(20), failed(3, "unconverged", "0.2 eV/Å left")]
        if rows:
            write_rows(folder / "candidates" / "00000.parquet", rows)
        return folder

    return make


@pytest.fixture
def rows() -> SimpleNamespace:
    """Makers of candidate rows: ``rows.rocksalt(0, is_novel=False)``."""
    return SimpleNamespace(rocksalt=rocksalt, antifluorite=antifluorite, failed=failed, write=write_rows)
