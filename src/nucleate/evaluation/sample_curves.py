"""Rates against the number of samples: how fast a generator runs dry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nucleate.evaluation.intervals import Rate

CURVES = {"unique": ("is_unique",), "novel": ("is_novel",), "unique and novel": ("is_unique", "is_novel")}
"""What is counted, and the flags that must all hold."""


def sample_counts(n: int) -> list[int]:
    """Numbers of samples at which a curve of n is given: 1, 2 and 5 times powers of ten, and n."""
    steps = [factor * 10**power for power in range(1, 8) for factor in (1, 2, 5)]
    return [step for step in steps if step < n] + ([n] if n else [])


def sample_curves(candidates: pd.DataFrame, at: Sequence[int] | None = None) -> tuple[Rate, ...]:
    """Share of the first k candidates that are unique, novel, or both, for rising k.

    A candidate is unique if it equals none before it, so that the value at k is exactly that of a run of k samples.
    Novelty does not depend on k but for chance; the product is what a longer run still brings.

    Arguments:
        candidates: Rows in the order in which they were drawn, with ``is_unique`` and ``is_novel``; unknown is no.
        at: Numbers of samples; by default :func:`sample_counts`.

    Returns:
        Rates named as in :data:`CURVES`, their group ``first k``.
    """
    rates = []
    for name, columns in CURVES.items():
        if not set(columns) <= set(candidates):
            continue
        holds = np.logical_and.reduce([candidates[column].eq(True).fillna(False) for column in columns])
        reached = np.cumsum(holds)
        rates += [Rate(name, f"first {k}", int(reached[k - 1]), k) for k in at or sample_counts(len(candidates))]
    return tuple(rates)
