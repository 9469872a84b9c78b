"""Uniqueness: the first of each set of equal crystals counts, the later ones are its duplicates."""

from __future__ import annotations

import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.evaluation.matching import StructureLibrary
from nucleate.evaluation.reduction import SAME_STRUCTURE, MatchSettings


def uniqueness(crystals: Crystals, settings: MatchSettings = SAME_STRUCTURE, workers: int = 1) -> pd.DataFrame:
    """Compare each crystal with the unique ones before it, within its reduced formula.

    The rule is MatterGen's (Zeni et al., 2025): greedy, in the order given.

    Arguments:
        crystals: Batch of B crystals.
        settings: Variant, tolerances and time limit of the matcher.
        workers: Processes to use where there are enough crystals to make them pay. The answers are the same.

    Returns:
        A row for each crystal: ``is_unique`` (boolean, missing where no answer was found), ``duplicate_of`` (row of
        the first equal crystal) and ``uniqueness_reason`` (why an answer is missing or incomplete).
    """
    matches = StructureLibrary(settings, workers=workers).take(crystals)
    return pd.DataFrame(
        {
            "is_unique": pd.array([None if m.is_known is None else not m.is_known for m in matches], dtype="boolean"),
            "duplicate_of": pd.array([m.index for m in matches], dtype="Int64"),
            "uniqueness_reason": pd.array([m.reason for m in matches], dtype=object),
        }
    )
