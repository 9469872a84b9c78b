"""Plots of one set beside another: histograms, curves with their intervals, stacked bars, points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nucleate.report.markup import compact, text
from nucleate.report.svg import Scale, axes, figure, line, mark, ticks, words

MAX_POINTS = 2000
"""Points in one plot; of more, every so many is drawn."""

N_COLOURS = 8


@dataclass(frozen=True)
class Spread:
    """A histogram: equal bins from ``low`` to ``high``; what lay beyond is in the ends."""

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
    interval: Sequence[tuple[float, float]] = field(default=())
    css: str = "c0"


def compared_histogram(
    values: Sequence[float],
    reference: Spread,
    x_label: str,
    names: tuple[str, str],
    lines: Sequence[tuple[float, str]] = (),
) -> str:
    """Shares of values in the bins of a reference, as bars, and the reference's as a stepped line.

    Arguments:
        values: Finite numbers.
        reference: The other set.
        x_label: Name and unit of the axis, plain text.
        names: What the bars and the line are called.
        lines: Where dashed lines stand, and what is written at them.
    """
    n_bins = len(reference.counts)
    width = (reference.high - reference.low) / n_bins
    counts = [0] * n_bins
    for value in values:
        counts[min(max(int((value - reference.low) / width), 0), n_bins - 1)] += 1
    held = [i for i in range(n_bins) if counts[i] or reference.counts[i]]
    first, last = (min(held), max(held) + 1) if held else (0, n_bins)
    ours = [count / max(len(values), 1) for count in counts]
    theirs = [count / max(reference.total, 1) for count in reference.counts]
    low, high = reference.low + first * width, reference.low + last * width
    x = Scale(low, high, 52, 540)
    y = Scale(0, 100 * max([*ours, *theirs, 0.01]) * 1.16, 206, 14)
    body = axes(x, y, text(x_label), "share (%)", ticks(low, high, 6), ticks(0, y.high, 5))
    for i in range(first, last):
        if counts[i]:
            left, right = reference.low + i * width, reference.low + (i + 1) * width
            top = y(100 * ours[i])
            shape = (
                f'<rect class="bar" x="{x(left) + 0.5:.1f}" y="{top:.1f}" width="{x(right) - x(left) - 1:.1f}" '
                f'height="{y(0) - top:.1f}" rx="1"'
            )
            body += mark(shape, f"{compact(left)} to {compact(right)}: {counts[i]} of {len(values)} {names[0]}")
    path = [f"M{x(low):.1f},{y(0):.1f}"]
    for i in range(first, last):
        left, right = reference.low + i * width, reference.low + (i + 1) * width
        path.append(f"L{x(left):.1f},{y(100 * theirs[i]):.1f}L{x(right):.1f},{y(100 * theirs[i]):.1f}")
    path.append(f"L{x(high):.1f},{y(0):.1f}")
    body += f'<path class="outline" d="{"".join(path)}"/>'
    for at, label in lines:
        if low <= at <= high:
            anchor, shift = ("start", 4) if at < (low + high) / 2 else ("end", -4)
            body += line(x(at), y.end - 2, x(at), y.start, "threshold")
            body += words(x(at) + shift, y.end + 5, text(label), "note halo", anchor)
    keys = (("", names[0]), ("outline", names[1]))
    return _legend(keys) + figure(body, 560, 244, f"Shares of {x_label}: {names[0]} and {names[1]}")


def curves(series: Sequence[Series], x_label: str, y_label: str) -> str:
    """Lines of shares from 0 to 100 %, each with its interval as a band."""
    right = max((x for one in series for x, _ in one.points), default=1.0)
    x, y = Scale(0, right or 1.0, 52, 540), Scale(0, 100, 256, 14)
    bands, drawn = "", ""
    for one in series:
        if one.interval:
            lower = [
                f"{x(at):.1f},{y(100 * low):.1f}" for (at, _), (low, _) in zip(one.points, one.interval, strict=True)
            ]
            upper = [
                f"{x(at):.1f},{y(100 * up):.1f}" for (at, _), (_, up) in zip(one.points, one.interval, strict=True)
            ]
            bands += f'<polygon class="band {one.css}" points="{" ".join(lower + upper[::-1])}"/>'
        path = " ".join(f"{x(at):.1f},{y(100 * share):.1f}" for at, share in one.points)
        drawn += f'<polyline class="curve {one.css}" points="{path}"/>'
        at, share = one.points[-1]
        tip = f"{one.name}: {100 * share:.0f} % at {compact(at)}"
        drawn += mark(f'<circle class="end {one.css}" cx="{x(at):.1f}" cy="{y(100 * share):.1f}" r="3.4"', tip)
    body = axes(x, y, text(x_label), text(y_label), ticks(0, right, 6), ticks(0, 100, 5)) + bands + drawn
    return figure(body, 560, 294, f"{y_label} against {x_label}") + _legend([(one.css, one.name) for one in series])


def stacked_bars(
    columns: Sequence[tuple[str, Sequence[int]]], names: Sequence[tuple[str, str]], x_label: str, what: str
) -> str:
    """A bar of 100 % for each column, in layers, with the number of crystals above it.

    Arguments:
        columns: Label of each bar and its counts by layer, from the bottom.
        names: Colour class and name of each layer.
        x_label: Name and unit of the horizontal axis.
        what: What is counted.
    """
    x, y = Scale(0, max(len(columns), 1), 52, 540), Scale(0, 100, 256, 26)
    body = axes(x, y, text(x_label), f"share of {text(what)} (%)", [], ticks(0, 100, 5))
    for i, (label, counts) in enumerate(columns):
        total = sum(counts)
        left, width = x(i) + 3, x(i + 1) - x(i) - 6
        body += words(left + width / 2, y.start + 16, text(label), "tick", "middle")
        body += words(left + width / 2, y.end - 6, str(total), "note", "middle")
        below = 0
        for (css, name), count in zip(names, counts, strict=True):
            if count:
                top, bottom = y(100 * (below + count) / total), y(100 * below / total)
                shape = (
                    f'<rect class="layer {css}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
                    f'height="{bottom - top:.1f}"'
                )
                body += mark(shape, f"{label}: {count} of {total} {what}, {name}")
            below += count
    return figure(body, 560, 294, f"Shares of {what} by {x_label}") + _legend(names)


def scatter(
    points: Sequence[tuple[float, float, str]],
    x_label: str,
    y_label: str,
    *,
    upper: float = math.inf,
    x_lines: Sequence[tuple[float, str]] = (),
    y_line: tuple[float, str] | None = None,
) -> str:
    """Points with a tip each; those above ``upper`` stand at the top edge as open marks.

    Arguments:
        points: Horizontal and vertical value, and what is said of it.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis.
        upper: Where the vertical axis ends at most.
        x_lines: Vertical dashed lines, each with its label.
        y_line: A horizontal dashed line with its label.
    """
    shown = points[:: max(1, math.ceil(len(points) / MAX_POINTS))]
    xs, ys = [at for at, _, _ in shown] + [at for at, _ in x_lines], [min(value, upper) for _, value, _ in shown]
    ys += [y_line[0]] if y_line else []
    margin = 0.04 * (max(xs) - min(xs)) or 0.1
    x = Scale(min(xs) - margin, max(xs) + margin, 52, 540)
    rise = 0.05 * (max(ys) - min(ys)) or 0.05
    y = Scale(min(ys) - rise, max(ys) + rise, 256, 14)
    body = axes(x, y, text(x_label), text(y_label), ticks(x.low, x.high, 7), ticks(y.low, y.high, 6))
    labels = ""
    for at, label in x_lines:
        body += line(x(at), y.end, x(at), y.start, "threshold")
        labels += words(x(at) + 4, y.start - 6, text(label), "note halo")
    if y_line:
        body += line(x.start, y(y_line[0]), x.end, y(y_line[0]), "threshold")
        labels += words(x.start + 4, y(y_line[0]) - 5, text(y_line[1]), "note halo")
    for at, value, tip in shown:
        css = "spot beyond" if value > upper else "spot"
        body += mark(f'<circle class="{css}" cx="{x(at):.1f}" cy="{y(min(value, upper)):.1f}" r="3"', tip)
    beyond = sum(value > upper for _, value, _ in shown)
    notes = [f"{beyond} above {compact(upper)} stand at the top as open circles"] if beyond else []
    notes += [f"{len(shown)} of {len(points)} drawn"] if len(shown) < len(points) else []
    note = f'<p class="note">{"; ".join(notes)}</p>' if notes else ""
    body += labels
    return figure(body, 560, 294, f"{y_label} against {x_label} of {len(points)} crystals") + note


def _legend(keys: Sequence[tuple[str, str]]) -> str:
    items = " ".join(f'<span class="nowrap"><span class="key {css}"></span>{text(name)}</span>' for css, name in keys)
    return f'<p class="legend">{items}</p>'
