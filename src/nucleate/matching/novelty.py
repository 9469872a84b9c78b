"""Uniqueness within a set of crystals, and novelty beside known structures and formulas."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import parse_formula
from nucleate.crystal.formula import reduced
from nucleate.matching.library import CompositionKey, Match, StructureLibrary, composition_key
from nucleate.matching.reduced_cells import SAME_STRUCTURE, MatchSettings

_NOTHING_KNOWN = Match(None, "no known structures to compare with")


def novelty(crystals: Crystals, known: StructureLibrary | Crystals, known_formulas: Iterable[str] = ()) -> pd.DataFrame:
    """Compare each crystal with the known structures of its reduced formula.

    Arguments:
        crystals: Batch of B crystals.
        known: Known structures. Pass one :class:`StructureLibrary` to every call: its reduced cells are kept, and it
            says which matcher is used and by how many processes.
        known_formulas: Further formulas that are known without a structure; they only set ``formula_known``.

    Returns:
        A row for each crystal: ``is_novel`` (boolean; missing where no answer was found, and everywhere if there are
        no known structures), ``known_as`` (number of the known structure), ``formula_known`` and
        ``novelty_reason``.
    """
    library = known if isinstance(known, StructureLibrary) else StructureLibrary.of(known)
    formulas = library.formulas | formula_keys(known_formulas)
    matches = library.find_all(crystals) if len(library) else [_NOTHING_KNOWN] * len(crystals)
    keys = [composition_key(row) for row in crystals.numbers]
    return pd.DataFrame(
        {
            "is_novel": pd.array([None if m.is_known is None else not m.is_known for m in matches], dtype="boolean"),
            "known_as": pd.array([m.index for m in matches], dtype="Int64"),
            "formula_known": pd.array([key in formulas for key in keys], dtype="boolean"),
            "novelty_reason": pd.array([m.reason for m in matches], dtype=object),
        }
    )


def formula_keys(formulas: Iterable[str]) -> set[CompositionKey]:
    """Reduced formulas of texts such as ``Mg2Si``.

    Raises:
        UserError: A text is not a formula.
    """
    return {tuple(sorted(reduced(parse_formula(text, "known formula")).items())) for text in set(formulas)}


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
