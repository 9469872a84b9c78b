"""Novelty: not among the known structures; a known formula is told apart from a known structure."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import parse_formula
from nucleate.crystal.formula import reduced
from nucleate.evaluation.matching import CompositionKey, Match, StructureLibrary, composition_key

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
