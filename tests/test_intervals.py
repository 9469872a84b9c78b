"""Wilson's interval against statistics libraries and its definition."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis.strategies import integers
from scipy.stats import binomtest

from nucleate.intervals import Z_95, Rate, percent_text, wilson


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 17), (50, 100), (999, 1000), (64, 64)])
def test_agrees_with_scipy(count: int, total: int) -> None:
    expected = binomtest(count, total).proportion_ci(method="wilson")
    assert wilson(count, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bounds_are_where_the_score_test_rejects() -> None:
    for p in wilson(13, 40):
        assert abs(13 / 40 - p) == pytest.approx(Z_95 * sqrt(p * (1 - p) / 40))


def test_nothing_counted() -> None:
    rate = Rate("stable", "all", 0, 0)
    assert rate.interval == (0.0, 1.0)
    assert rate.value != rate.value


@given(integers(1, 5000))
def test_bounds_of_none_and_of_all_are_exact(total: int) -> None:
    assert wilson(0, total)[0] == 0
    assert wilson(total, total)[1] == 1


def test_text_of_a_share() -> None:
    low, high = binomtest(174, 300).proportion_ci(method="wilson")
    assert percent_text(174, 300) == f"58 ({round(100 * low)}-{round(100 * high)})"
    assert percent_text(0, 0) == "—"
