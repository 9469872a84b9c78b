"""Fills the columns of a candidate table that compare crystals: valid, unique, novel, stable, moved."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.validity import validity
from nucleate.errors import UserError
from nucleate.evaluation.matching import StructureLibrary
from nucleate.evaluation.novelty import novelty
from nucleate.evaluation.reduction import SAME_STRUCTURE, MatchSettings
from nucleate.evaluation.rmsd import rmsd_to_relaxed
from nucleate.evaluation.stability import STABLE_WITHIN, is_stable
from nucleate.evaluation.uniqueness import uniqueness


def judge(
    candidates: pd.DataFrame,
    generated: Crystals,
    relaxed: Crystals | None = None,
    known: StructureLibrary | Crystals | None = None,
    known_formulas: Iterable[str] = (),
    threshold: float = STABLE_WITHIN,
    settings: MatchSettings = SAME_STRUCTURE,
    workers: int = 1,
) -> pd.DataFrame:
    """The candidates with every comparison made; row i belongs to crystal i of each batch.

    Validity is that of the crystal as generated. Uniqueness and novelty are those of the relaxed structure where
    there is one (its cell is finite), else of the crystal as generated.

    Arguments:
        candidates: Rows with at least ``status``; ``energy_above_hull`` is used where it is there.
        generated: The crystals as generated.
        relaxed: The crystals after relaxation; a cell of NaN marks a crystal that has none.
        known: Known structures, for novelty.
        known_formulas: Formulas known without a structure.
        threshold: Largest energy above the hull of a stable crystal, eV/atom.
        settings: Matcher of uniqueness, and of novelty unless ``known`` is a library with its own.
        workers: Processes for comparisons where there are enough crystals to make them pay.

    Returns:
        A copy of ``candidates`` with ``is_valid``, ``is_unique``, ``duplicate_of``, ``is_novel``, ``known_as``,
        ``formula_known``, ``rmsd_to_relaxed``, ``rmsd_matched``, ``is_stable``, and ``comparison_reason`` for
        answers that are missing or incomplete.

    Raises:
        UserError: The batches and the table differ in length.
    """
    for name, batch in (("generated", generated), ("relaxed", relaxed)):
        if batch is not None and len(batch) != len(candidates):
            raise UserError(f"{name} crystals", f"{len(batch)} of them", f"{len(candidates)}, a crystal for each row")
    final = generated if relaxed is None else _final(generated, relaxed)
    table = candidates.copy()
    checks = validity(generated)
    unique = uniqueness(final, settings, workers)
    if not isinstance(known, StructureLibrary):
        known = (
            StructureLibrary(settings, workers=workers)
            if known is None
            else StructureLibrary.of(known, settings, workers=workers)
        )
    novel = novelty(final, known, known_formulas)
    parts = [unique, novel]
    if relaxed is not None:
        parts.append(rmsd_to_relaxed(generated, relaxed))
    table["is_valid"] = checks.is_valid.numpy()
    reasons = [checks.reasons]
    for part in parts:
        part.index = table.index
        for column in part:
            if column.endswith("_reason"):
                reasons.append(tuple(part[column]))
            else:
                table[column] = part[column]
    table["comparison_reason"] = ["; ".join(dict.fromkeys(filter(None, row))) for row in zip(*reasons, strict=True)]
    if "energy_above_hull" in table:
        table["is_stable"] = is_stable(table, threshold)
    return table


def crystals_of(candidates: pd.DataFrame, relaxed: bool = False) -> Crystals:
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


def _final(generated: Crystals, relaxed: Crystals) -> Crystals:
    """Relaxed crystals where their cells are finite, generated ones elsewhere, in order."""
    both = Crystals.concatenate([generated, relaxed])
    usable = relaxed.lattice.isfinite().flatten(1).all(1) & relaxed.frac.isfinite().flatten(1).all(1)
    index = usable.long() * len(generated) + usable.new_ones(len(generated)).long().cumsum(0) - 1
    return both[index]


def _missing(value: object) -> bool:
    # Tables write a missing list as None or NaN; a structure that could not be read has an empty one.
    return value is None or isinstance(value, float) or len(value) == 0  # type: ignore[arg-type]
