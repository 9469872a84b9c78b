"""The order in which candidates are shown: what survived every test first, then by distance to the hull."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nucleate.errors import Status

if TYPE_CHECKING:
    import pandas as pd


def ranked(candidates: pd.DataFrame) -> pd.DataFrame:
    """Candidates in rank order, with ``rank`` from 1 as the first column.

    First those with status ``ok``, then those that meet the request, then how many of stable, unique and
    novel hold all together, then the energy above the hull (unknown last), then the row's own order.
    Unknown uniqueness or novelty counts as not shown.
    """
    ok = candidates["status"].eq(Status.OK)
    meets = candidates["meets_request"].eq(True)
    stable, unique, novel = (candidates[name].eq(True) for name in ("is_stable", "is_unique", "is_novel"))
    order = (
        candidates.assign(
            _failed=~ok,
            _misses=~meets,
            _not_sun=~(stable & unique & novel),
            _duplicate=~unique,
            _distance=candidates["energy_above_hull"].fillna(float("inf")),
        )
        .sort_values(["_failed", "_misses", "_not_sun", "_duplicate", "_distance"], kind="stable")
        .drop(columns=["_failed", "_misses", "_not_sun", "_duplicate", "_distance"])
    )
    order.insert(0, "rank", range(1, len(order) + 1))
    return order.reset_index(drop=True)
