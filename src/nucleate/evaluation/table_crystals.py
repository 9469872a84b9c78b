"""Crystals of a table of candidates, whose lists may have been through a file."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from nucleate.crystal.crystals import Crystals


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
