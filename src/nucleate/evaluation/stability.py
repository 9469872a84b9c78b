"""Stability: how far above the hull a crystal may lie, and how much the hull there can be trusted."""

from __future__ import annotations

import pandas as pd

from nucleate.errors import RELAXED

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
