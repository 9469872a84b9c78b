"""Plots: every value is drawn once, shares add up, and what is drawn is well-formed."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.report import plots

SPREAD = plots.Spread(0.0, 1.0, (0, 2, 5, 3, 0))
values = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=60)
few = settings(deadline=None, max_examples=25)


def counts(svg: str, of: str = "crystals") -> list[int]:
    return [int(count) for count in re.findall(rf": (\d+) {of}</title>", svg)]


def corners(path) -> np.ndarray:
    """The points of a path, (n, 2)."""
    return np.array([float(x) for x in re.findall(r"-?\d+\.?\d*", path.get("d"))]).reshape(-1, 2)


def marks(svg: str) -> list[ElementTree.Element]:
    return [node for node in ElementTree.fromstring(svg).iter() if node.get("class") == "mark"]


@few
@given(values)
def test_a_histogram_counts_every_value_once(data):
    svg = plots.histogram(data, "energy", "crystals", line=(0.1, "limit"), upper=1.0)
    ElementTree.fromstring(svg)
    assert sum(counts(svg)) == len(data)


@few
@given(st.lists(st.integers(1, 200), min_size=1, max_size=60))
def test_a_histogram_of_whole_numbers(data):
    assert sum(counts(plots.histogram(data, "atoms", "crystals", whole=True))) == len(data)


@few
@given(values, st.one_of(st.none(), st.floats(-10, 10)), st.one_of(st.none(), st.floats(-10, 10)))
def test_edges_are_equal_steps_around_all_that_is_asked(data, upper, hold):
    edges = plots.bin_edges(data, False, upper, hold)
    steps = np.diff(edges)
    assert np.allclose(steps, steps[0])
    top = max(data) if upper is None else min(max(data), upper)
    slack = 1e-9 * max(abs(edges[0]), abs(edges[-1]), 1)
    assert edges[0] <= min(data) + slack
    assert edges[-1] >= top - slack
    assert hold is None or edges[0] - slack <= hold <= edges[-1] + slack
    assert len(edges) <= 28


def test_bins_agree_with_numpy():
    data = np.linspace(0.013, 0.987, 41)
    found = counts(plots.histogram(data.tolist(), "x", "crystals"))
    assert found == [n for n in np.histogram(data, plots.bin_edges(data.tolist(), False, None, None))[0] if n]


def test_what_lies_beyond_is_said():
    svg = plots.histogram([0.1, 0.2, 9.0], "x", "crystals", upper=1.0)
    assert "and more" in svg
    assert sum(counts(svg)) == 3


def test_labels_are_escaped():
    svg = plots.histogram([1.0], "<b>", "crystals") + plots.paired_bars([("<x>", (1, 2))], ("a", "b"), "crystals").svg
    assert "<b>" not in svg
    assert "<x>" not in svg


@pytest.mark.parametrize("value", [0.0, 0.3, -2.0])
def test_values_equal_but_for_rounding_can_be_drawn(value):
    data = [value, value + 1.5e-15, value * (1 + 2e-16)]
    assert sum(counts(plots.histogram(data, "complexity", "crystals"))) == len(data)


@few
@given(st.lists(st.floats(-2, 3, allow_nan=False), min_size=1, max_size=40))
def test_a_compared_histogram_counts_every_value_once(data):
    plot = plots.compared_histogram(data, SPREAD, "x (Å)", ("run", "<reference>"), [(0.5, "filter"), (7.0, "far")])
    assert sum(counts(plot.svg, f"of {len(data)} run")) == len(data)
    assert [name for *_, name in plot.keys] == ["run", "<reference>"]
    assert "x (Å)" in plot.svg
    assert "far" not in plot.svg


def test_the_outline_is_the_references_share():
    svg = plots.compared_histogram([0.5], SPREAD, "x", ("a", "b")).svg
    (outline,) = [node for node in ElementTree.fromstring(svg).iter("path") if "--c1" in node.get("style")]
    heights = sorted({y for _, y in corners(outline)}, reverse=True)
    base, *tops = heights
    assert [round((base - top) / (base - tops[-1]), 2) for top in tops] == [0.4, 0.6, 1.0]


def test_curves_have_a_line_a_band_and_a_name_each():
    one = plots.Series("all <b>", [(0, 1.0), (1, 0.5)], [(0.9, 1.0), (0.3, 0.7)], "c0")
    two = plots.Series("reference", [(0, 1.0), (1, 0.2)], colour="c8")
    plot = plots.curves([one, two], "N", "unmatched (%)")
    paths = [node.get("style") for node in ElementTree.fromstring(plot.svg).iter("path")]
    assert len([style for style in paths if "fill:none" in style and ("--c0" in style or "--c8" in style)]) == 2
    assert len([style for style in paths if "fill-opacity" in style]) == 1
    assert "all &lt;b&gt;: 50 % at 1" in plot.svg
    assert [key[2] for key in plot.keys] == ["all <b>", "reference"]
    assert "unmatched (%)" in plot.svg


@few
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=8))
def test_layers_fill_a_bar(columns):
    names = [("c0", "first"), ("c1", "second"), ("rule", "none")]
    svg = plots.stacked_bars([(f"{i}", counts) for i, counts in enumerate(columns)], names, "x", "crystals").svg
    bars: dict[float, float] = {}
    for layer in marks(svg):
        points = corners(layer.find("path"))
        left, height = points[:, 0].min(), np.ptp(points[:, 1])
        bars[left] = bars.get(left, 0.0) + height
    assert len(bars) == len(columns)
    assert all(math.isclose(height, 236, abs_tol=0.5) for height in bars.values())


@few
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 5)), min_size=1, max_size=30))
def test_scattered_points_stay_inside(pairs):
    points = [(x, y, f"<{i}>") for i, (x, y) in enumerate(pairs)]
    plot = plots.scatter(points, "C", "E (eV/atom)", upper=1.0, x_lines=[(0.5, "f")], y_line=(0.1, "t"))
    spots = marks(plot.svg)
    assert len(spots) == len(pairs)
    for spot in spots:
        assert 56 <= float(spot.get("cx")) <= 540
        assert 14 <= float(spot.get("cy")) <= 256
    beyond = sum(y > 1.0 for _, y in pairs)
    assert plot.notes == ((f"{beyond} above 1 stand at the top as open circles.",) if beyond else ())


@pytest.mark.parametrize("n", [1, plots.MAX_POINTS, 3 * plots.MAX_POINTS + 1])
def test_many_points_are_thinned_and_it_says_so(n):
    plot = plots.scatter([(i / n, 0.0, "") for i in range(n)], "x", "y")
    assert len(marks(plot.svg)) <= plots.MAX_POINTS
    assert bool(plot.notes) == (n > plots.MAX_POINTS)


def test_paired_bars_say_both_counts():
    svg = plots.paired_bars([("cubic", (3, 4)), ("trigonal", (0, 1))], ("generated", "relaxed"), "crystals").svg
    assert "cubic, generated: 3 crystals" in svg
    assert "trigonal, relaxed: 1 crystals" in svg
