"""Stability above the hull, and the order in which candidates are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nucleate.conditions.request import Conditions
from nucleate.errors import RELAXED, Status

STABLE_WITHIN = 0.1
"""eV/atom above the hull (the threshold of MatterGen and of most S.U.N. rates)."""


def is_sun(candidates: pd.DataFrame) -> pd.Series:
    """Rows that are shown to be stable, unique and novel at once; unknown counts as not shown."""
    return candidates[["is_stable", "is_unique", "is_novel"]].eq(True).fillna(False).astype(bool).all(axis=1)


def is_stable(candidates: pd.DataFrame, threshold: float = STABLE_WITHIN) -> pd.Series:
    """Whether each candidate lies within ``threshold`` eV/atom of the hull.

    Only a candidate whose relaxation ended well can be stable. Missing where the relaxation ended
    well but the distance is unknown, because the reference lacks a phase.

    Returns:
        Nullable booleans, indexed like ``candidates``.
    """
    ok = candidates["status"].isin(RELAXED)
    distance = pd.to_numeric(candidates["energy_above_hull"], errors="coerce").astype("Float64")
    distance = distance.mask(distance.isna())
    return (distance <= threshold).mask(~ok, False).astype("boolean").rename("is_stable")


def rank_order(candidates: pd.DataFrame, request: Conditions | None = None) -> pd.Index:
    """Labels of the rows in rank order.

    First those with status ``ok``, then those that meet the request (where that was asked), then those that are
    stable, unique and novel at once, then first occurrences before repeats, then the smaller energy above the
    hull (unknown last), then the row's own order. Unknown flags of quality count as not shown.

    Who asks for a composition wants its lowest crystal, known or not: there novelty moves nothing.
    """
    keys = pd.DataFrame(index=candidates.index)
    keys["failed"] = candidates["status"] != Status.OK
    keys["misses"] = candidates["meets_request"].eq(False).fillna(False).astype(bool)
    if request is None or request.composition is None:
        keys["not_sun"] = ~is_sun(candidates)
    keys["repeat"] = ~candidates["is_unique"].eq(True).fillna(False).astype(bool)
    keys["distance"] = candidates["energy_above_hull"].fillna(np.inf)
    return keys.sort_values(list(keys.columns), kind="stable").index


def ranked(candidates: pd.DataFrame, request: Conditions | None = None) -> pd.DataFrame:
    """Candidates in the order of :func:`rank_order`, with ``rank`` from 1 as the first column."""
    order = candidates.reset_index(drop=True)
    order = order.loc[rank_order(order, request)].reset_index(drop=True)
    order.insert(0, "rank", range(1, len(order) + 1))
    return order
