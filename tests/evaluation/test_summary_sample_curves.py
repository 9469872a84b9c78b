"""Curves over the number of samples: prefixes, and the end is the rate of the whole."""

import numpy as np
import pandas as pd
import pytest

from nucleate.evaluation.summary import sample_counts, sample_curves, summarise


def table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"is_unique": rng.random(n) < 0.6, "is_novel": rng.random(n) < 0.5}).astype("boolean")
    frame[rng.random(frame.shape) < 0.1] = pd.NA
    return frame


@pytest.mark.parametrize("n", [1, 9, 10, 96, 1234])
def test_each_point_is_the_rate_of_the_first_k(n: int) -> None:
    frame = table(n)
    rates = {(rate.name, rate.group): rate for rate in sample_curves(frame)}
    assert len(rates) == 3 * len(sample_counts(n))
    for k in sample_counts(n):
        head = frame.head(k).fillna(False).astype(bool)
        assert rates["unique", f"first {k}"].count == head["is_unique"].sum()
        assert rates["novel", f"first {k}"].count == head["is_novel"].sum()
        assert rates["unique and novel", f"first {k}"].count == head.all(axis=1).sum()
    assert rates["novel", f"first {n}"].value == summarise(frame).rate("novel").value


def test_counts_rise_to_the_end() -> None:
    assert sample_counts(96) == [10, 20, 50, 96]
    assert sample_counts(100) == [10, 20, 50, 100]
    assert sample_counts(0) == []
    assert sample_curves(table(3).head(0)) == ()
    assert sample_curves(table(3)[["is_novel"]])[0].name == "novel"
