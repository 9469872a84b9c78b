"""Distances of distributions against plain formulas, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.evaluation.distributions import chi_squared, jensen_shannon, shares, spread, wasserstein

values = st.lists(st.floats(-50, 50), min_size=1, max_size=12)
weights = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 10), min_size=1)


@given(values, values)
def test_wasserstein_is_the_area_between_the_distribution_functions(a: list[float], b: list[float]) -> None:
    grid = np.sort(np.array(a + b))
    below = [np.searchsorted(np.sort(x), grid[:-1], side="right") / len(x) for x in (a, b)]
    area = (np.abs(below[0] - below[1]) * np.diff(grid)).sum()
    assert wasserstein(a, b) == pytest.approx(area, abs=1e-9)


@given(values, st.floats(-20, 20))
def test_wasserstein_laws(a: list[float], shift: float) -> None:
    assert wasserstein(a, a) == 0
    assert wasserstein(a, np.array(a) + shift) == pytest.approx(abs(shift), abs=1e-9)
    assert wasserstein([*a, np.nan, np.inf], a) == pytest.approx(0, abs=1e-12)


@given(values, values)
def test_wasserstein_of_equal_sizes_pairs_in_order(a: list[float], b: list[float]) -> None:
    n = min(len(a), len(b))
    assert wasserstein(a[:n], b[:n]) == pytest.approx(np.abs(np.sort(a[:n]) - np.sort(b[:n])).mean(), abs=1e-9)


@given(weights, weights)
def test_jensen_shannon_is_the_mean_entropy_gain(p: dict[str, float], q: dict[str, float]) -> None:
    def entropy(x: np.ndarray) -> float:
        x = x[x > 0]
        return float(-(x * np.log2(x)).sum())

    kinds = sorted(p.keys() | q.keys())
    a, b = (np.array([w.get(kind, 0.0) for kind in kinds]) for w in (p, q))
    a, b = a / a.sum(), b / b.sum()
    divergence = max(entropy((a + b) / 2) - (entropy(a) + entropy(b)) / 2, 0)
    assert jensen_shannon(p, q) == pytest.approx(np.sqrt(divergence), abs=1e-6)
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p))
    assert jensen_shannon(p, p) == pytest.approx(0, abs=1e-7)


def test_jensen_shannon_of_nothing_in_common_is_one() -> None:
    assert jensen_shannon({"a": 3}, {"b": 1, "c": 1}) == pytest.approx(1)


def test_chi_squared() -> None:
    assert chi_squared({"1": 2, "2": 6}, {"1": 0.25, "2": 0.75}) == pytest.approx(0)
    # shares 1/2, 1/2 where 1/5, 4/5 were expected: 0.09 / 0.2 + 0.09 / 0.8; what the reference lacks does not count
    assert chi_squared({"1": 5, "2": 5, "9": 90}, {"1": 1, "2": 4}) == pytest.approx(0.09 / 0.2 + 0.09 / 0.8)
    assert np.isnan(chi_squared({"9": 1}, {"1": 1}))


def test_nothing_is_nan_not_an_error() -> None:
    assert np.isnan(wasserstein([], [1.0]))
    assert np.isnan(wasserstein([np.nan], [1.0]))
    assert np.isnan(jensen_shannon({}, {"a": 1}))
    empty = spread("density", "g/cm³", [np.nan, np.nan], [1.0, 2.0])
    assert (empty.count, empty.missing) == (0, 2)
    assert np.isnan(empty.distance)
    assert shares("space groups", {}, {}, 0, 4).found == {}


def test_shares_are_ordered_and_sum_to_one() -> None:
    found = shares("classes", {"a": 1, "b": 3, "c": 0}, {"a": 1}, 4)
    assert list(found.found) == ["b", "a"]
    assert sum(found.found.values()) == pytest.approx(1)


def test_spread_states_quantiles_and_scale() -> None:
    found = spread("atoms", "", range(1, 102), [3.0, 5.0])
    assert found.found[2] == 51
    assert found.scale == pytest.approx(1)
    # twice the values against 101 copies of 3 and of 5, in order
    doubled, paired = np.repeat(np.arange(1, 102), 2), np.repeat([3, 5], 101)
    assert found.distance == pytest.approx(np.abs(doubled - paired).mean())
