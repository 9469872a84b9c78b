"""Plots: every value is drawn once, and what is drawn is well-formed."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.report import svg

values = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=60)


def bar_counts(figure: str) -> list[int]:
    return [int(count) for count in re.findall(r": (\d+) crystals</title>", figure)]


@settings(deadline=None, max_examples=50)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 10))
def test_ticks_are_round_and_inside(low, span, count):
    marks = svg.ticks(low, low + span, count)
    tolerance = 1e-6 * (span + abs(low))
    assert all(low - tolerance <= mark <= low + span + tolerance for mark in marks)
    assert len(marks) <= count + 2
    assert marks == sorted(marks)


@settings(deadline=None, max_examples=50)
@given(values)
def test_histogram_counts_every_value_once(data):
    figure = svg.histogram(data, "energy", "crystals", line_at=0.1, line_label="limit", upper=1.0)
    ElementTree.fromstring(figure)
    assert sum(bar_counts(figure)) == len(data)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=60))
def test_histogram_of_whole_numbers(data):
    figure = svg.histogram(data, "atoms", "crystals", whole=True)
    assert sum(bar_counts(figure)) == len(data)


def test_histogram_bins_agree_with_numpy():
    import numpy as np

    data = np.linspace(0.013, 0.987, 41)
    found = bar_counts(svg.histogram(data.tolist(), "x", "crystals"))
    low, high, bins = svg._bins(data.tolist(), False, None, None)
    assert found == [n for n in np.histogram(data, bins, (low, high))[0] if n]


def test_labels_are_escaped():
    figure = svg.histogram([1.0], "<b>", "crystals") + svg.paired_bars([("x", "<x>", 1, 2)], ("a", "b"), "crystals")
    assert "<b>" not in figure
    assert "<x>" not in figure


@pytest.mark.parametrize("value", [0.0, 0.3, -2.0])
def test_values_equal_but_for_rounding_can_be_drawn(value):
    data = [value, value + 1.5e-15, value * (1 + 2e-16)]
    assert sum(bar_counts(svg.histogram(data, "complexity", "crystals"))) == len(data)
