"""The order in which candidates are shown: what survived every test first, then by distance to the hull."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nucleate.errors import Status
from nucleate.evaluation.stability import is_sun


def rank_order(candidates: pd.DataFrame) -> pd.Index:
    """Labels of the rows in rank order.

    First those with status ``ok``, then those that meet the request (where that was asked), then those that are
    stable, unique and novel at once, then first occurrences before repeats, then the smaller energy above the
    hull (unknown last), then the row's own order. Unknown flags of quality count as not shown.
    """
    keys = pd.DataFrame(index=candidates.index)
    keys["failed"] = candidates["status"] != Status.OK
    keys["misses"] = candidates["meets_request"].eq(False).fillna(False).astype(bool)
    keys["not_sun"] = ~is_sun(candidates)
    keys["repeat"] = ~candidates["is_unique"].eq(True).fillna(False).astype(bool)
    keys["distance"] = candidates["energy_above_hull"].fillna(np.inf)
    return keys.sort_values(list(keys.columns), kind="stable").index


def ranked(candidates: pd.DataFrame) -> pd.DataFrame:
    """Candidates in rank order, with ``rank`` from 1 as the first column."""
    order = candidates.reset_index(drop=True)
    order = order.loc[rank_order(order)].reset_index(drop=True)
    order.insert(0, "rank", range(1, len(order) + 1))
    return order
