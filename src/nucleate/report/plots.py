"""Plots: histograms, curves with their intervals, stacked and paired bars, points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

from nucleate.report.document import compact
from nucleate.report.svg_figure import Plot, SvgFigure, colour, svg_figure

N_COLOURS = 8
"""Colours of a series: c0 to c7; c8 is a quiet one."""
MAX_POINTS = 2000
"""Points in one scatter plot; of more, every so many is drawn."""


@dataclass(frozen=True)
class Spread:
    """A histogram: equal bins from ``low`` to ``high`` in the axis' unit (eV/atom, Å); the rest is in the ends."""

    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Series:
    """A line: its name, its points (x, share), and an interval (low, high) for each where there is one."""

    name: str
    points: Sequence[tuple[float, float]]
    interval: Sequence[tuple[float, float]] = ()
    colour: str = "c0"


def histogram(
    values: Sequence[float],
    x_label: str,
    what: str,
    *,
    line: tuple[float, str] | None = None,
    whole: bool = False,
    upper: float | None = None,
) -> Markup:
    """Counts of finite values in equal bins.

    Arguments:
        values: Finite numbers in the unit of the axis, such as eV/atom.
        x_label: Name and unit of the axis.
        what: What is counted, for the labels ("crystals").
        line: Where a dashed line stands, and what is written beside it.
        whole: The values are integers: one bin each where that is not too many.
        upper: Values above go into the last bin, which says so.
    """
    edges = bin_edges(values, whole, upper, line[0] if line else None)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    beyond = upper is not None and max(values) > edges[-1]
    with svg_figure(370, 204, f"Histogram of {x_label} of {len(values)} {what}", right=14, top=18) as made:
        axes = made.axes
        _bars(made, edges, counts, [str(count) + f" {what}" for count in counts], whole, beyond)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, max(counts.max(), 1) * 1.08), xlabel=x_label)
        axes.set_ylabel(f"number of {what}")
        if whole and len(counts) <= 8:
            axes.set_xticks((edges[:-1] + edges[1:]) / 2)
        else:
            _ticks(axes.xaxis, 6, whole=whole)
        _ticks(axes.yaxis, 5, whole=True)
        if beyond:
            made.words(edges[-1], counts[-1], "and more", ha="right", shift=(0, 4))
        if line and edges[0] <= line[0] <= edges[-1]:
            _line_with_name(made, *line)
        return made.svg()


def bin_edges(values: Sequence[float], whole: bool, upper: float | None, hold: float | None) -> np.ndarray:
    """Ends of round bins that hold the values up to ``upper``, about two for each root of their number.

    They are in the unit of the values (eV/atom, Å, ...).
    """
    low, high = min(values), max(values)
    if upper is not None:
        low, high = min(low, upper), min(high, upper)
    if hold is not None:
        low, high = min(low, hold), max(high, hold)
    if whole:
        step = max(1, math.ceil((high - low + 1) / 40))
        return low - 0.5 + step * np.arange(math.ceil((high - low + 1) / step) + 1)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):  # equal but for rounding
        margin = abs(high) * 0.1 if abs(high) > 1e-6 else 0.05
        low, high = low - margin, high + margin
    n_bins = min(max(round(2 * math.sqrt(len(values))), 8), 24)
    return np.asarray(MaxNLocator(n_bins, steps=[1, 2, 5, 10]).tick_values(low, high))


def compared_histogram(
    values: Sequence[float],
    reference: Spread,
    x_label: str,
    names: tuple[str, str],
    lines: Sequence[tuple[float, str]] = (),
) -> Plot:
    """Shares of values in the bins of a reference, as bars, and the reference's as a stepped line.

    Arguments:
        values: Finite numbers in the unit of the axis, such as eV/atom.
        reference: The other set.
        x_label: Name and unit of the axis.
        names: What the bars and the line are called.
        lines: Where dashed lines stand, and what is written at them.
    """
    edges = np.linspace(reference.low, reference.high, len(reference.counts) + 1)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    held = np.flatnonzero(counts + np.asarray(reference.counts))
    first, last = (held[0], held[-1] + 1) if len(held) else (0, len(counts))
    edges, counts = edges[first : last + 1], counts[first:last]
    theirs = 100 * np.asarray(reference.counts[first:last]) / max(reference.total, 1)
    shares = 100 * counts / max(len(values), 1)
    with svg_figure(560, 246, f"Shares of {x_label}: {names[0]} and {names[1]}", top=18) as made:
        said = [f"{count} of {len(values)} {names[0]}" for count in counts]
        _bars(made, edges, shares, said, whole=False, beyond=False)
        made.axes.stairs(theirs, edges, color=colour("c1"), linewidth=1.8)
        made.axes.set(xlim=(edges[0], edges[-1]), ylim=(0, max(*shares, *theirs, 1) * 1.16), xlabel=x_label)
        made.axes.set_ylabel("share (%)")
        for at, name in lines:
            if edges[0] <= at <= edges[-1]:
                _line_with_name(made, at, name)
        return Plot(made.svg(), keys=(("bar", "box", names[0]), ("c1", "line", names[1])))


def curves(series: Sequence[Series], x_label: str, y_label: str) -> Plot:
    """Lines of shares from 0 to 100 %, each with its interval as a band."""
    with svg_figure(560, 296, f"{y_label} against {x_label}") as made:
        axes = made.axes
        for one in series:
            xs, shares = zip(*one.points, strict=True)
            if one.interval:
                low, high = 100 * np.asarray(one.interval).T
                axes.fill_between(xs, low, high, color=colour(one.colour), alpha=0.16, linewidth=0)
            axes.plot(xs, 100 * np.asarray(shares), color=colour(one.colour))
            (end,) = axes.plot(xs[-1], 100 * shares[-1], "o", color=colour(one.colour), markersize=6)
            made.tip(end, f"{one.name}: {100 * shares[-1]:.0f} % at {compact(xs[-1])}")
        right = max((x for one in series for x, _ in one.points), default=1.0)
        axes.set(xlim=(0, right or 1.0), ylim=(0, 100), xlabel=x_label, ylabel=y_label)
        return Plot(made.svg(), keys=tuple((one.colour, "box", one.name) for one in series))


def stacked_bars(
    columns: Sequence[tuple[str, Sequence[int]]], layers: Sequence[tuple[str, str]], x_label: str, what: str
) -> Plot:
    """A bar of 100 % for each column, in layers, with the number of crystals above it.

    Arguments:
        columns: Label of each bar and its counts by layer, from the bottom.
        layers: Colour and name of each layer.
        x_label: Name and unit of the horizontal axis.
        what: What is counted.
    """
    with svg_figure(560, 300, f"Shares of {what} by {x_label}", top=24) as made:
        axes = made.axes
        for i, (label, counts) in enumerate(columns):
            total, below = sum(counts), 0
            for (shade, name), count in zip(layers, counts, strict=True):
                if count:
                    (bar,) = axes.bar(
                        i, 100 * count / total, 0.86, 100 * below / total, color=colour(shade), ec=colour("paper"),
                        lw=0.6,
                    )  # fmt: skip
                    made.tip(bar, f"{label}: {count} of {total} {what}, {name}")
                below += count
            made.words(i, 100, str(total), ha="center", shift=(0, 5))
        axes.set(xlim=(-0.5, max(len(columns), 1) - 0.5), ylim=(0, 100), xlabel=x_label)
        axes.set_ylabel(f"share of {what} (%)")
        axes.set_xticks(range(len(columns)), [label for label, _ in columns])
        axes.tick_params(axis="x", length=0)
        return Plot(made.svg(), keys=tuple((shade, "box", name) for shade, name in layers))


def scatter(
    points: Sequence[tuple[float, float, str]],
    x_label: str,
    y_label: str,
    *,
    upper: float = math.inf,
    x_lines: Sequence[tuple[float, str]] = (),
    y_line: tuple[float, str] | None = None,
) -> Plot:
    """Points with a tip each; those above ``upper`` stand at the top edge as open marks.

    Arguments:
        points: Horizontal and vertical value in the units of the axes (eV/atom, Å), and what is said of it.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis.
        upper: Where the vertical axis ends at most.
        x_lines: Vertical dashed lines, each with its label.
        y_line: A horizontal dashed line with its label.
    """
    shown = points[:: max(1, math.ceil(len(points) / MAX_POINTS))]
    beyond = [point for point in shown if point[1] > upper]
    with svg_figure(560, 296, f"{y_label} against {x_label} of {len(points)} crystals") as made:
        axes = made.axes
        for some, face in (([point for point in shown if point[1] <= upper], "bar"), (beyond, "")):
            if some:
                xs, ys, said = zip(*some, strict=True)
                fill = {"mfc": (colour(face), 0.55)} if face else {"mfc": "none"}
                (spots,) = axes.plot(xs, np.minimum(ys, upper), "o", ms=6, mec=colour("bar"), mew=0.8, **fill)
                made.tip(spots, said)
        left, right = _ends([x for x, _, _ in shown] + [at for at, _ in x_lines])
        low, high = _ends([min(y, upper) for _, y, _ in shown] + ([y_line[0]] if y_line else []))
        axes.set(xlim=(left, right), ylim=(low, high), xlabel=x_label, ylabel=y_label)
        _ticks(axes.xaxis, 7, whole=False)
        _ticks(axes.yaxis, 6, whole=False)
        for at, name in x_lines:
            made.threshold(at)
            made.words(at, low, name, "warn", halo=True, shift=(4, 5))
        if y_line:
            made.threshold(y_line[0], vertical=False)
            made.words(left, y_line[0], y_line[1], "warn", halo=True, shift=(4, 4))
        notes = [f"{len(beyond)} above {compact(upper)} stand at the top as open circles."] if beyond else []
        notes += [f"{len(shown)} of {len(points)} drawn."] if len(shown) < len(points) else []
        return Plot(made.svg(), notes=tuple(notes))


def paired_bars(rows: Sequence[tuple[str, tuple[int, int]]], names: tuple[str, str], what: str) -> Plot:
    """Two horizontal bars a row, from the top: rows of label and its counts before and after."""
    height = 20 + len(rows) * 30
    with svg_figure(370, height, f"Number of {what}, {names[0]} and {names[1]}", 112, 30, 8, 12) as made:
        axes = made.axes
        for k, (shade, name) in enumerate(zip(("bar-before", "bar"), names, strict=True)):
            heights = [i + (-0.19, 0.19)[k] for i in range(len(rows))]
            bars = axes.barh(heights, [counts[k] for _, counts in rows], 0.34, color=colour(shade))
            for bar, at, (label, counts) in zip(bars, heights, rows, strict=True):
                made.tip(bar, f"{label}, {name}: {counts[k]} {what}")
                made.words(counts[k], at, str(counts[k]), va="center", shift=(4, -0.5))
        axes.set(xlim=(0, max(*(max(counts) for _, counts in rows), 1) * 1.06), ylim=(len(rows) - 0.5, -0.5))
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.spines.bottom.set_visible(False)
        axes.grid(visible=False)
        return Plot(made.svg(), keys=(("bar-before", "box", names[0]), ("bar", "box", names[1])))


def _bars(
    made: SvgFigure, edges: np.ndarray, counts: np.ndarray, said: Sequence[str], whole: bool, beyond: bool
) -> None:
    """Bars between edges, each with its interval and what is said of it; empty ones are left out."""
    ends, last = list(pairwise(edges.tolist())), len(said) - 1
    held = np.flatnonzero(counts).tolist()
    widths = [ends[i][1] - ends[i][0] for i in held]
    lefts = [ends[i][0] + 0.04 * width for i, width in zip(held, widths, strict=True)]
    bars = made.axes.bar(lefts, counts[held], [0.92 * width for width in widths], align="edge", color=colour("bar"))
    for bar, i in zip(bars, held, strict=True):
        left, right = ends[i]
        name = compact(math.ceil(left)) if whole and right - left == 1 else f"{compact(left)} to {compact(right)}"
        made.tip(bar, f"{f'{compact(left)} and more' if beyond and i == last else name}: {said[i]}")


def _line_with_name(made: SvgFigure, at: float, name: str) -> None:
    """A vertical dashed line with its name, on the side where there is room."""
    made.threshold(at)
    (left, right), top = made.axes.get_xlim(), made.axes.get_ylim()[1]
    side = 1 if at < (left + 2 * right) / 3 else -1
    made.words(at, top, name, "warn", halo=True, ha="left" if side > 0 else "right", shift=(5 * side, 4))


def _ticks(axis: Axis, count: int, *, whole: bool) -> None:
    axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 5, 10], integer=whole))


def _ends(held: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that holds some values, with a margin."""
    margin = 0.05 * (max(held) - min(held)) or 0.1
    return min(held) - margin, max(held) + margin
