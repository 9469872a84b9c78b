"""Uniqueness: the first of each set of equal crystals counts, the later ones are its duplicates."""

from __future__ import annotations

import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.evaluation.matching import SAME_STRUCTURE, MatchError, MatchSettings, StructureLibrary


def uniqueness(crystals: Crystals, settings: MatchSettings = SAME_STRUCTURE) -> pd.DataFrame:
    """Compare each crystal with the unique ones before it, within its reduced formula.

    The rule is MatterGen's (Zeni et al., 2025): greedy, in the order given.

    Returns:
        A row for each crystal: ``is_unique`` (boolean, missing where no answer was found), ``duplicate_of`` (row of
        the first equal crystal) and ``uniqueness_reason`` (why an answer is missing or incomplete).
    """
    library = StructureLibrary(settings)
    unique: list[bool | None] = []
    original: list[int | None] = []
    reasons: list[str] = []
    for row in range(len(crystals)):  # greedy: each answer depends on those before
        try:
            match = library.find(crystals, row)
        except MatchError as error:
            unique.append(None)
            original.append(None)
            reasons.append(str(error))
            continue
        if match.index is None:
            library.append(crystals, row, row)
        unique.append(match.index is None if match.index is not None or not match.reason else None)
        original.append(match.index)
        reasons.append(match.reason)
    return pd.DataFrame(
        {
            "is_unique": pd.array(unique, dtype="boolean"),
            "duplicate_of": pd.array(original, dtype="Int64"),
            "uniqueness_reason": pd.array(reasons, dtype=object),
        }
    )
