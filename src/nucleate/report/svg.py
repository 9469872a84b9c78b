"""Small plots as inline SVG: no library in the page, colours from the page's own variables, a title on every mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nucleate.report.markup import compact, text


@dataclass(frozen=True)
class Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values within [low, high], about ``count`` of them, steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def figure(body: str, width: float, height: float, label: str, css: str = "") -> str:
    """An SVG that scales with the page; ``label`` is what a screen reader says."""
    return (
        f'<svg class="plot {css}" viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px" role="img" '
        f'aria-label="{text(label)}">{body}</svg>'
    )


def mark(shape: str, tip: str) -> str:
    """A shape (without its closing) that shows ``tip`` on hover and to screen readers."""
    name = shape[1:].split(" ", 1)[0]
    return f"{shape}><title>{text(tip)}</title></{name}>"


def words(x: float, y: float, content: str, css: str = "", anchor: str = "start") -> str:
    """A text; ``content`` is markup, already escaped."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{content}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def axes(x: Scale, y: Scale, x_label: str, y_label: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
    """Horizontal grid lines, tick labels and axis names (names are markup)."""
    parts = []
    for value in y_ticks:
        parts.append(line(x.start, y(value), x.end, y(value), "grid"))
        parts.append(words(x.start - 6, y(value) + 3.5, compact(value), "tick", "end"))
    for value in x_ticks:
        parts.append(line(x(value), y.start, x(value), y.start + 4, "axis"))
        parts.append(words(x(value), y.start + 16, compact(value), "tick", "middle"))
    parts.append(line(x.start, y.start, x.end, y.start, "axis"))
    parts.append(words((x.start + x.end) / 2, y.start + 33, x_label, "name", "middle"))
    middle = (y.start + y.end) / 2
    turn = f'transform="rotate(-90 {x.start - 40:.1f} {middle:.1f})"'
    parts.append(f'<text x="{x.start - 40:.1f}" y="{middle:.1f}" class="name" text-anchor="middle" {turn}>')
    parts.append(f"{y_label}</text>")
    return "".join(parts)


def histogram(
    values: Sequence[float],
    x_label: str,
    what: str,
    *,
    line_at: float | None = None,
    line_label: str = "",
    whole: bool = False,
    upper: float | None = None,
) -> str:
    """Counts of values in equal bins.

    Arguments:
        values: Finite numbers.
        x_label: Name and unit of the axis, plain text.
        what: What is counted, for the labels ('crystals').
        line_at: Where a dashed line stands.
        line_label: What is written beside that line.
        whole: The values are integers: one bin each where that is not too many.
        upper: Values above go into the last bin, which says so.
    """
    low, high, n_bins = _bins(values, whole, upper, line_at)
    width = (high - low) / n_bins
    counts = [0] * n_bins
    for value in values:
        counts[min(max(int((value - low) / width), 0), n_bins - 1)] += 1
    beyond = upper is not None and any(value > high for value in values)
    x = Scale(low, high, 52, 392)
    y = Scale(0, max([*counts, 1]) * 1.08, 176, 14)
    bars = []
    for i, count in enumerate(counts):
        if not count:
            continue
        left, right = low + i * width, low + (i + 1) * width
        label = compact(math.ceil(left)) if whole and width == 1 else f"{compact(left)} to {compact(right)}"
        if beyond and i == n_bins - 1:
            label = f"{compact(left)} and more"
        bars.append(
            mark(
                f'<rect class="bar" x="{x(left) + 0.75:.1f}" y="{y(count):.1f}" '
                f'width="{max(x(right) - x(left) - 1.5, 0.8):.1f}" height="{y(0) - y(count):.1f}" rx="1.5"',
                f"{label}: {count} {what}",
            )
        )
    whole_ticks = [value for value in ticks(0, y.high, 5) if value == int(value)]
    x_ticks = ticks(math.ceil(low), math.floor(high), 7) if whole else ticks(low, high, 6)
    x_ticks = [value for value in x_ticks if not whole or value == int(value)]
    body = axes(x, y, text(x_label), text(f"number of {what}"), x_ticks, whole_ticks) + "".join(bars)
    if beyond:
        body += words(x.end, y.start - y(0) + y(counts[-1]) - 4, "and more", "note", "end")
    if line_at is not None and low <= line_at <= high:
        at = x(line_at)
        anchor, shift = ("start", 5) if at < 280 else ("end", -5)
        body += line(at, y.end - 4, at, y.start, "threshold")
        body += words(at + shift, y.end + 5, text(line_label), "note", anchor)
    return figure(body, 412, 214, f"Histogram of {x_label} of {len(values)} {what}")


def _bins(values: Sequence[float], whole: bool, upper: float | None, line_at: float | None) -> tuple[float, float, int]:
    low, high = min(values), max(values)
    if upper is not None:
        high = min(high, upper)
    if line_at is not None:
        low, high = min(low, line_at), max(high, line_at)
    if whole:
        step = max(1, math.ceil((high - low + 1) / 40))
        return low - 0.5, low - 0.5 + step * math.ceil((high - low + 1) / step), math.ceil((high - low + 1) / step)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):  # equal but for rounding
        margin = abs(high) * 0.1 if abs(high) > 1e-6 else 0.05
        low, high = low - margin, high + margin
    rounded = ticks(0, high - low, 24)
    size = rounded[1] if len(rounded) > 1 else (high - low) / 20
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return first * size, last * size, max(last - first, 1)


def paired_bars(rows: Sequence[tuple[str, str, int, int]], names: tuple[str, str], what: str) -> str:
    """Two horizontal bars a row (before, after): rows of (label markup, plain label, count, count)."""
    top = max((max(a, b) for _, _, a, b in rows), default=0) or 1
    x = Scale(0, top * 1.12, 112, 392)
    parts = []
    for i, (label, plain, before, after) in enumerate(rows):
        y = 8 + i * 30
        parts.append(words(104, y + 15, label, "tick", "end"))
        for offset, count, css, name in ((0, before, "bar before", names[0]), (11, after, "bar", names[1])):
            size = f'width="{x(count) - x(0):.1f}" height="10" rx="1.5"'
            shape = f'<rect class="{css}" x="{x(0):.1f}" y="{y + offset}" {size}'
            parts.append(mark(shape, f"{plain}, {name}: {count} {what}"))
            parts.append(words(x(count) + 4, y + offset + 8.5, str(count), "note"))
    height = 16 + len(rows) * 30
    legend = f'<p class="legend"><span class="key before"></span>{names[0]} <span class="key"></span>{names[1]}</p>'
    return legend + figure("".join(parts), 400, height, f"Number of {what}, {names[0]} and {names[1]}")
