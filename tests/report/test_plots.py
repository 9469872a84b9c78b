"""Plots of sets side by side: every value once, well-formed, and shares that add up."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.report import plots

SPREAD = plots.Spread(0.0, 1.0, (0, 2, 5, 3, 0))


def drawn(page):
    """The figure in what a function returns, read as XML."""
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", page, re.DOTALL)[0])


@given(st.lists(st.floats(-2, 3, allow_nan=False), min_size=1, max_size=40))
def test_a_compared_histogram_counts_every_value_once(values):
    page = plots.compared_histogram(values, SPREAD, "x (Å)", ("run", "<reference>"), [(0.5, "filter"), (7.0, "far")])
    drawn(page)
    counts = [int(count) for count in re.findall(r": (\d+) of", page)]
    assert sum(counts) == len(values)
    assert "&lt;reference&gt;" in page
    assert "x (Å)" in page
    assert "far" not in page


def test_the_outline_is_the_references_share():
    page = plots.compared_histogram([0.5], SPREAD, "x", ("a", "b"))
    path = re.search(r'class="outline" d="M([^"]+)"', page)[1]
    heights = sorted({float(point.split(",")[1]) for point in path.split("L")}, reverse=True)
    base, *tops = heights
    assert [round((base - top) / (base - tops[-1]), 2) for top in tops] == [0.4, 0.6, 1.0]


def test_curves_have_a_line_a_band_and_a_name_each():
    one = plots.Series("all <b>", [(0, 1.0), (1, 0.5)], [(0.9, 1.0), (0.3, 0.7)], "c0")
    two = plots.Series("reference", [(0, 1.0), (1, 0.2)], css="c8")
    page = plots.curves([one, two], "N", "unmatched (%)")
    figure = drawn(page)
    assert len(figure.findall("polyline")) == 2
    assert len(figure.findall("polygon")) == 1
    assert "all &lt;b&gt;" in page
    assert "unmatched (%)" in page


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=8))
def test_layers_fill_a_bar(columns):
    names = [("c0", "first"), ("c1", "second"), ("cx", "none")]
    labelled = [(f"{i}", counts) for i, counts in enumerate(columns)]
    figure = drawn(plots.stacked_bars(labelled, names, "x", "crystals"))
    bars = {}
    for layer in figure.findall("rect"):
        left = layer.get("x")
        bars[left] = bars.get(left, 0.0) + float(layer.get("height"))
    assert len(bars) == len(columns)
    assert all(math.isclose(height, 230, abs_tol=0.3) for height in bars.values())


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 5)), min_size=1, max_size=30))
def test_scattered_points_stay_inside(values):
    points = [(x, y, f"<{i}>") for i, (x, y) in enumerate(values)]
    page = plots.scatter(points, "C", "E (eV/atom)", upper=1.0, x_lines=[(0.5, "f")], y_line=(0.1, "t"))
    spots = drawn(page).findall("circle")
    assert len(spots) == len(values)
    for spot, (_, y) in zip(spots, values, strict=True):
        assert 52 <= float(spot.get("cx")) <= 540
        assert 14 <= float(spot.get("cy")) <= 256
        assert ("beyond" in spot.get("class")) == (y > 1.0)


@pytest.mark.parametrize("n", [1, plots.MAX_POINTS, 3 * plots.MAX_POINTS + 1])
def test_many_points_are_thinned_and_it_says_so(n):
    page = plots.scatter([(i / n, 0.0, "") for i in range(n)], "x", "y")
    assert len(drawn(page).findall("circle")) <= plots.MAX_POINTS
    assert ("drawn" in page) == (n > plots.MAX_POINTS)
