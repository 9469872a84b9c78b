"""The hull of a chemical system with the candidates on it: binary, ternary, or a list where neither fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nucleate.crystal.elements import NUMBERS, SYMBOLS, parse_formula
from nucleate.errors import UserError
from nucleate.report.markup import formula_svg, number, text
from nucleate.report.svg import Scale, axes, figure, line, mark, ticks, words


@dataclass(frozen=True)
class Point:
    """A phase or a candidate in a chemical system.

    Attributes:
        label: Its formula.
        fractions: Atomic fraction of each element of the system, summing to 1.
        energy: Formation energy, eV/atom.
        distance: Energy above the reference hull, eV/atom; NaN where unknown or not a candidate.
        key: Candidate id; empty for a competing phase.
        note: More for the tooltip.
    """

    label: str
    fractions: tuple[float, ...]
    energy: float
    distance: float = math.nan
    key: str = ""
    note: str = ""


def fractions(formula: str, system: Sequence[str]) -> tuple[float, ...] | None:
    """Atomic fractions of a formula over a system's elements; None where it lies outside or is no formula."""
    try:
        counts = parse_formula(formula)
    except UserError:
        return None
    if not set(counts) <= {NUMBERS[symbol] for symbol in system}:
        return None
    total = sum(counts.values())
    return tuple(counts.get(NUMBERS[symbol], 0) / total for symbol in system)


def distance_class(distance: float, threshold: float) -> str:
    """CSS class of an energy above the hull: d0 (on or below) to d4 (far), dx (unknown)."""
    if not math.isfinite(distance):
        return "dx"
    bounds = (1e-6, threshold / 2, threshold, 2.5 * threshold)
    return f"d{sum(distance > bound for bound in bounds)}"


def distance_legend(threshold: float, phases: bool = True) -> str:
    """The classes of ``distance_class`` in words, and the marks of known phases where they are drawn."""
    half, far = threshold / 2, 2.5 * threshold
    names = ("on or below the hull", f"up to {half:g}", f"up to {threshold:g}", f"up to {far:g}", f"above {far:g}")
    keys = "".join(f'<span class="key dot d{i}"></span>{name} ' for i, name in enumerate(names))
    known = (
        '<span class="key dot known"></span>known, on the hull <span class="key dot unstable"></span>known, above it'
    )
    return f'<p class="legend">Candidates, energy above hull (eV/atom): {keys}{known if phases else ""}</p>'


def lower_hull(points: np.ndarray) -> list[tuple[int, ...]]:
    """Facets of the lower convex hull: index tuples into ``points`` (n, d), whose last column is the energy.

    Fewer than d points, or points that span no volume, give no facet.
    """
    from scipy.spatial import ConvexHull, QhullError

    if len(points) <= points.shape[1]:
        # The simplex itself where there are as many points as corners.
        return [tuple(range(len(points)))] if len(points) == points.shape[1] else []
    top = points[:, -1].max() + 1.0
    ceiling = points[points[:, -1].argmin()].copy()
    ceiling[:-1], ceiling[-1] = points[:, :-1].mean(axis=0), top + 1.0
    try:
        hull = ConvexHull(np.vstack([points, ceiling]))
    except QhullError:
        return []
    downward = hull.equations[:, points.shape[1] - 1] < -1e-9
    return [tuple(int(i) for i in facet) for facet in hull.simplices[downward] if max(facet) < len(points)]


def _lowest(points: list[Point]) -> list[Point]:
    """The lowest phase of each composition."""
    best: dict[tuple[float, ...], Point] = {}
    for point in points:
        key = tuple(round(x, 6) for x in point.fractions)
        if key not in best or point.energy < best[key].energy:
            best[key] = point
    return list(best.values())


def _tip(point: Point) -> str:
    shown = f"{point.label}, formation energy {number(point.energy)} eV/atom"
    if point.key:
        shown = f"{point.key}: {shown}, {number(point.distance)} eV/atom above hull"
    return shown + (f", {point.note}" if point.note else "")


def _candidate(x: float, y: float, point: Point, threshold: float, size: float = 5.5) -> str:
    css = distance_class(point.distance, threshold)
    shape = (
        f'<path class="candidate {css}" data-open="{text(point.key)}" '
        f'd="M{x:.1f} {y - size:.1f}l{size} {size}l-{size} {size}l-{size} -{size}z"'
    )
    return mark(shape, _tip(point))


def _missing(system: Sequence[str], phases: list[Point]) -> list[str]:
    return [symbol for i, symbol in enumerate(system) if not any(p.fractions[i] > 1 - 1e-9 for p in phases)]


def hull_figure(system: Sequence[str], phases: list[Point], candidates: list[Point], threshold: float) -> str:
    """The figure that fits the number of elements; markup."""
    missing = _missing(system, phases)
    note = ""
    if missing:
        note = (
            f'<p class="note">No reference phase for {text(", ".join(missing))}: the hull is drawn '
            "without it, and distances that need it are unknown.</p>"
        )
    if len(system) == 2:
        return _binary(system, phases, candidates, threshold) + distance_legend(threshold) + note
    if len(system) == 3:
        return _ternary(system, phases, candidates, threshold) + distance_legend(threshold) + note
    return distance_bars(candidates, threshold) + note


def _binary(system: Sequence[str], phases: list[Point], candidates: list[Point], threshold: float) -> str:
    lowest = _lowest(phases)
    spots = np.array([(p.fractions[1], p.energy) for p in lowest]).reshape(-1, 2)
    facets = lower_hull(spots)
    on_hull = {i for facet in facets for i in facet}
    lows = [p.energy for p in candidates if math.isfinite(p.energy)] + [lowest[i].energy for i in on_hull]
    low, high = min([*lows, 0.0]), max([*(p.energy for p in candidates), 0.0])
    margin = max(high - low, 0.1) * 0.08
    x, y = Scale(0, 1, 66, 704), Scale(low - margin * 1.6, high + margin, 344, 16)
    body = axes(
        x,
        y,
        f'atomic fraction of {text(system[1])} in {text(system[0])}<tspan dy="0.28em" font-size="75%">1−x</tspan>'
        f'<tspan dy="-0.28em">{text(system[1])}</tspan><tspan dy="0.28em" font-size="75%">x</tspan>',
        "formation energy (eV/atom)",
        ticks(0, 1, 5),
        ticks(y.low, y.high, 6),
    )
    for a, b in facets:
        body += line(x(spots[a, 0]), y(spots[a, 1]), x(spots[b, 0]), y(spots[b, 1]), "tie")
    for p in phases:
        if y.low <= p.energy <= y.high:
            body += mark(f'<circle class="unstable" cx="{x(p.fractions[1]):.1f}" cy="{y(p.energy):.1f}" r="3"', _tip(p))
    for i in on_hull:
        body += mark(
            f'<circle class="known" cx="{x(spots[i, 0]):.1f}" cy="{y(spots[i, 1]):.1f}" r="4.5"', _tip(lowest[i])
        )
    for p in sorted(candidates, key=lambda p: -p.energy):
        body += _candidate(x(p.fractions[1]), y(p.energy), p, threshold)
    spots_on = sorted(on_hull, key=lambda i: spots[i, 0])
    found = [(x(p.fractions[1]), y(p.energy) - 10, p.label, "phase new") for p in _on_hull(candidates)]
    known = [(x(spots[i, 0]), y(spots[i, 1]) + 17, lowest[i].label, "phase") for i in spots_on]
    body += _labels([*found, *known], 66, 704)
    return figure(body, 720, 384, f"Formation energy against composition of {'-'.join(system)}", "hull")


def _ternary(system: Sequence[str], phases: list[Point], candidates: list[Point], threshold: float) -> str:
    lowest = _lowest(phases)
    corners = np.array([(85.0, 512.0), (635.0, 512.0), (360.0, 512.0 - 550.0 * math.sqrt(3) / 2)])

    def place(p: Point) -> np.ndarray:
        return np.asarray(p.fractions) @ corners

    spots = np.array([(p.fractions[1], p.fractions[2], p.energy) for p in lowest]).reshape(-1, 3)
    facets = lower_hull(spots)
    on_hull = sorted({i for facet in facets for i in facet})
    outline = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    body = f'<polygon class="frame" points="{outline}"/>'
    for i in range(1, 10):
        for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            start = corners[a] + (corners[b] - corners[a]) * i / 10
            end = corners[c] + (corners[b] - corners[c]) * i / 10
            body += _between(start, end, "grid")
    edges = {tuple(sorted((f[i], f[j]))) for f in facets for i, j in ((0, 1), (1, 2), (0, 2))}
    for a, b in sorted(edges):
        body += _between(place(lowest[a]), place(lowest[b]), "tie")
    for i, p in enumerate(lowest):
        if i not in on_hull:
            px, py = place(p)
            body += mark(f'<circle class="unstable" cx="{px:.1f}" cy="{py:.1f}" r="2.8"', _tip(p))
    for i in on_hull:
        px, py = place(lowest[i])
        body += mark(f'<circle class="known" cx="{px:.1f}" cy="{py:.1f}" r="4.5"', _tip(lowest[i]))
    for p in sorted(candidates, key=lambda p: -p.distance if math.isfinite(p.distance) else -math.inf):
        px, py = place(p)
        body += _candidate(px, py, p, threshold)
    for (cx, cy), symbol, anchor, dx, dy in zip(
        corners, system, ("end", "start", "middle"), (-12, 12, 0), (10, 10, -14), strict=True
    ):
        body += words(cx + dx, cy + dy, text(symbol), "corner", anchor)
    inner = [i for i in on_hull if max(lowest[i].fractions) < 1 - 1e-9]
    spots_on = sorted(inner, key=lambda i: (sum(f > 1e-9 for f in lowest[i].fractions), lowest[i].energy))
    found = [(place(p)[0], place(p)[1] - 10, p.label, "phase new") for p in _on_hull(candidates)]
    known = [(place(lowest[i])[0], place(lowest[i])[1] + 17, lowest[i].label, "phase") for i in spots_on]
    body += _labels([*found, *known], 0, 720)
    return figure(body, 720, 540, f"Phase diagram of {'-'.join(system)}", "hull")


def _between(start: np.ndarray, end: np.ndarray, css: str) -> str:
    return line(float(start[0]), float(start[1]), float(end[0]), float(end[1]), css)


def _on_hull(candidates: list[Point], most: int = 8) -> list[Point]:
    """The lowest candidates on or below the hull, one of each composition."""
    lowest = _lowest([p for p in candidates if p.distance <= 0])
    return sorted(lowest, key=lambda p: p.distance)[:most]


def _labels(wanted: list[tuple[float, float, str, str]], left: float, right: float) -> str:
    """Formula labels (place, text, class) in order of importance; one that would cover an earlier one is left out."""
    placed: list[tuple[float, float, float, float]] = []
    parts = []
    for x, y, label, css in wanted:
        half = 3.6 * len(label) + 3
        x = min(max(x, left + half), right - half)
        box = (x - half, y - 11, x + half, y + 4)
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in placed):
            continue
        placed.append(box)
        parts.append(words(x, y, formula_svg(label), css, "middle"))
    return "".join(parts)


def distance_bars(candidates: list[Point], threshold: float, limit: int = 24) -> str:
    """The candidates nearest to the hull as bars of their energy above it."""
    known = sorted((p for p in candidates if math.isfinite(p.distance)), key=lambda p: p.distance)[:limit]
    if not known:
        return '<p class="note">No candidate has a known energy above the hull.</p>'
    low, high = min(known[0].distance, 0.0), max(known[-1].distance, threshold) * 1.05
    x = Scale(low, high, 170, 660)
    bottom = 22 * len(known) + 8
    body = "".join(line(x(t), 4, x(t), bottom, "grid") for t in ticks(low, high, 6))
    for i, p in enumerate(known):
        y = 8 + 22 * i
        body += words(162, y + 12, formula_svg(p.label), "phase", "end")
        left, right = sorted((x(0.0), x(p.distance)))
        css = distance_class(p.distance, threshold)
        shape = (
            f'<rect class="candidate {css}" data-open="{text(p.key)}" x="{left:.1f}" y="{y}" '
            f'width="{max(right - left, 2):.1f}" height="16" rx="2"'
        )
        body += mark(shape, _tip(p)) + words(right + 6, y + 12, number(p.distance), "note")
    body += line(x(threshold), 0, x(threshold), bottom, "threshold")
    body += "".join(words(x(t), bottom + 16, f"{t:g}", "tick", "middle") for t in ticks(low, high, 6))
    body += words((170 + 660) / 2, bottom + 34, "energy above hull (eV/atom)", "name", "middle")
    return figure(body, 720, bottom + 42, f"Energy above hull of the {len(known)} best candidates", "hull")


def ordered_system(symbols: set[str]) -> tuple[str, ...]:
    """Elements of a system from the least to the most electronegative looking: by group, metals first."""
    last = {SYMBOLS[z] for z in (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 52, 53)}
    return tuple(sorted(symbols, key=lambda s: (s in last, NUMBERS[s])))
