"""Crystals as rows of a run's tables, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import chemical_system, compositions, reduced_formula
from nucleate.errors import Status
from nucleate.io.validation import Failure
from nucleate.runs.run import read_shard

Row = dict[str, Any]


def structure_rows(crystals: Crystals, ids: Sequence[str], model: str) -> list[Row]:
    """One row per crystal, with status ``ok``; a crystal that is not finite says so instead."""
    rows: list[Row] = []
    for i, counts in enumerate(compositions(crystals)):
        numbers, frac, lattice = (part.cpu().double().numpy() for part in crystals.sites(i))
        finite = bool(np.isfinite(frac).all() and np.isfinite(lattice).all() and len(numbers))
        row = {
            "id": ids[i],
            "model": model,
            "formula": reduced_formula(counts) if counts else "",
            "chemical_system": chemical_system(counts),
            "n_atoms": len(numbers),
            "status": Status.OK if finite else Status.NOT_FINITE,
            "reason": "" if finite else "a coordinate or the cell is not a finite number",
            "numbers": numbers.astype(int).tolist(),
            "frac": frac.tolist(),
            "lattice": lattice.tolist(),
        }
        rows.append(row)
    return rows


def failed_row(id_: str, model: str, failure: Failure) -> Row:
    """The row of a structure that could not be read: it keeps its place in every table."""
    blank = {"formula": "", "chemical_system": "", "n_atoms": 0, "numbers": [], "frac": [], "lattice": []}
    return {"id": id_, "model": model, **blank, "status": failure.status, "reason": failure.reason}


def crystals_of(rows: Iterable[Mapping[str, Any]]) -> Crystals:
    """The crystals of rows, as generated."""
    rows = list(rows)
    numbers, frac, lattice = ([row[name] for row in rows] for name in ("numbers", "frac", "lattice"))
    return Crystals.from_lists(numbers, frac, lattice)


def final_crystals(rows: Iterable[Mapping[str, Any]]) -> Crystals:
    """The relaxed crystals of rows, and those as generated where there is no relaxed one."""
    return crystals_of(
        row
        if row["relaxed_frac"] is None
        else {"numbers": row["numbers"], "frac": row["relaxed_frac"], "lattice": row["relaxed_lattice"]}
        for row in rows
    )


def read_rows(path: Path) -> list[Row]:
    """The rows of a shard, as they were written."""
    return read_shard(path).to_pylist()


def table_crystals(candidates: pd.DataFrame, relaxed: bool = False) -> Crystals:
    """Crystals from the ``numbers``, ``frac`` and ``lattice`` columns (or the relaxed ones) of a candidate table.

    A row without such values becomes a crystal whose cell and coordinates are NaN.
    """
    prefix = "relaxed_" if relaxed else ""
    numbers, frac, lattice = [], [], []
    for z, x, cell in zip(
        candidates["numbers"], candidates[prefix + "frac"], candidates[prefix + "lattice"], strict=True
    ):
        sites = [] if _missing(z) else [int(value) for value in z]
        there = not (_missing(x) or _missing(cell))
        numbers.append(sites)
        frac.append(_matrix(x, len(sites)) if there else np.full((len(sites), 3), np.nan).tolist())
        lattice.append(_matrix(cell, 3) if there else np.full((3, 3), np.nan).tolist())
    return Crystals.from_lists(numbers, frac, lattice)


def _matrix(rows: Iterable[Iterable[float]], count: int) -> list[list[float]]:
    return np.array([list(row) for row in rows], dtype=float).reshape(count, 3).tolist()


def _missing(value: object) -> bool:
    # Tables write a missing list as None or NaN; a structure that could not be read has an empty one.
    return value is None or isinstance(value, float) or len(value) == 0  # type: ignore[arg-type]
