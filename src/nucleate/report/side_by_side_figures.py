"""The figures of a comparison: shares with their intervals, quality against speed, size, crystal systems."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nucleate.evaluation.benchmark import ALL, ALL_STAGES, GENERATION
from nucleate.evaluation.summary import ATOM_BINS
from nucleate.report.document import asset
from nucleate.report.markup import compact, percent, text
from nucleate.report.plots import N_COLOURS, Series, curves, stacked_bars
from nucleate.report.point_labels import point_labels
from nucleate.report.side_by_side_tables import SIZES, Compared
from nucleate.report.svg import Scale, axes, figure, line, mark, ticks, words
from nucleate.symmetry.space_group import CRYSTAL_SYSTEMS, crystal_system

_ROW, _STEP = 14, 10
_ENOUGH = 5
"""A share of fewer crystals than this is not drawn."""


def sun_figure(found: Compared, subset: str = ALL) -> str:
    """S.U.N. of each source with its interval, a mark for each reference."""
    names = found.references
    height = _ROW * len(names) + _STEP
    x = Scale(0, 100, 130, 540)
    bottom = 18 + height * len(found.sources)
    body = axes(x, Scale(0, 1, bottom, 14), "S.U.N. (%)", "", ticks(0, 100, 5), [])
    for value in ticks(0, 100, 5):
        body += line(x(value), 14, x(value), bottom, "grid")
    for i, source in enumerate(found.sources):
        top = 18 + i * height
        body += words(122, top + height / 2 + 1, text(source), "name", "end")
        for k, name in enumerate(names):
            row = found.get(source, "S.U.N.", subset, name)
            if row is None or not row["total"]:
                continue
            y = top + _ROW * (k + 0.5)
            tip = f"{source}, {name}: {percent(row['value'])} ({percent(row['low'])} to {percent(row['high'])})"
            body += f'<g class="c{k % N_COLOURS}">'
            ends = f'x1="{x(100 * row["low"]):.1f}" y1="{y:.1f}" x2="{x(100 * row["high"]):.1f}" y2="{y:.1f}"'
            body += f'<line {ends} class="curve"/>'
            body += mark(f'<circle class="end" cx="{x(100 * row["value"]):.1f}" cy="{y:.1f}" r="4"', tip) + "</g>"
    body += _keys([(f"c{k % N_COLOURS}", name) for k, name in enumerate(names)], bottom + 54)
    return figure(body, 560, bottom + 64, "S.U.N. of each source with its 95 % interval")


def speed_figure(found: Compared, subset: str = ALL) -> str:
    """S.U.N. against S.U.N. crystals a core-hour, without and with relaxation; empty where nothing was made here."""
    points = []
    for k, metric in enumerate((GENERATION, ALL_STAGES)):
        for source in found.sources:
            fast, good = found.get(source, metric, subset), found.get(source, "S.U.N.", subset)
            if fast is not None and good is not None and fast["value"] > 0:
                points.append((k, source, math.log10(fast["value"]), good))
    if not points:
        return ""
    low, high = math.floor(min(p[2] for p in points)), math.ceil(max(p[2] for p in points) + 1e-9)
    x, y = Scale(low, max(high, low + 1), 52, 540), Scale(0, 100, 256, 14)
    body = axes(x, y, "", "S.U.N. (%)", [], ticks(0, 100, 5))
    for power in range(low, max(high, low + 1) + 1):
        body += line(x(power), 14, x(power), 256, "grid")
        amount = f"{10**power:,}" if power >= 0 else compact(10.0**power)
        body += words(min(x(power), 558 - 3 * len(amount)), 272, amount, "tick", "middle")
    body += words(296, 289, "S.U.N. crystals a core-hour", "name", "middle")
    places = [(x(speed), y(100 * good["value"])) for _, _, speed, good in points]
    covered = [
        (at - 5, min(y(100 * good["high"]), level - 5), at + 5, max(y(100 * good["low"]), level + 5))
        for (at, level), (*_, good) in zip(places, points, strict=True)
    ]
    names = point_labels(places, [source for _, source, _, _ in points], covered, x, y)
    for (k, source, speed, good), (at, level), name in zip(points, places, names, strict=True):
        tip = f"{source}: {compact(10**speed)} a core-hour, {percent(good['value'])}"
        body += f'<g class="c{k}"><line x1="{at:.1f}" y1="{y(100 * good["low"]):.1f}" x2="{at:.1f}" '
        body += f'y2="{y(100 * good["high"]):.1f}" class="curve"/>'
        if name.is_far:
            body += line(at, level, name.x, name.y - 4, "axis")
        body += mark(f'<circle class="end" cx="{at:.1f}" cy="{level:.1f}" r="4"', tip) + "</g>"
        body += words(name.x, name.y, text(source), "note halo", name.anchor)
    body += _keys([("c0", "generation alone"), ("c1", "relaxation and judging included")], 310)
    return figure(body, 560, 320, "S.U.N. against S.U.N. crystals a core-hour")


def size_figure(found: Compared, metric: str, subset: str = ALL) -> str:
    """A rate against the number of atoms, at the middle of each bin."""
    series = []
    for k, source in enumerate(found.sources):
        points, interval = [], []
        for group, (low, high) in zip(SIZES, ATOM_BINS, strict=True):
            row = found.get(source, metric, subset, group=group)
            if row is not None and row["total"] >= _ENOUGH:
                points.append(((low + high) / 2, float(row["value"])))
                interval.append((float(row["low"]), float(row["high"])))
        if points:
            narrow = len(found.sources) <= 3
            series.append(Series(source, points, interval if narrow else (), f"c{k % N_COLOURS}"))
    if not series:
        return f'<p class="note">No bin of sizes holds {_ENOUGH} crystals.</p>'
    return curves(series, "atoms in the cell", f"{metric[0].upper()}{metric[1:]} (%)")


def systems_figure(found: Compared, subset: str = ALL) -> str:
    """Crystal systems of the relaxed crystals, the data last."""
    columns = []
    for source in found.sources:
        rows = [found.get(source, "crystal system", subset, group=name) for name in CRYSTAL_SYSTEMS]
        counts = [0 if row is None else int(row["count"]) for row in rows]
        if sum(counts):
            columns.append((_short(source), counts))
    known = dict.fromkeys(CRYSTAL_SYSTEMS, 0)
    for group, count in found.record["data_groups"].get(subset, {}).items():
        known[crystal_system(int(group))] += int(count)
    if any(known.values()):
        columns.append(("data", list(known.values())))
    names = [(f"c{k}", name) for k, name in enumerate(CRYSTAL_SYSTEMS)]
    return stacked_bars(columns, names, "source", "crystals")


def _short(label: str) -> str:
    return label if len(label) <= 12 else label[:11] + "\N{HORIZONTAL ELLIPSIS}"


def standalone(drawn: str) -> str:
    """A figure as a file of its own, with the colours of the page."""
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{asset('page.css')}</style>", 1
    )


def _keys(keys: Sequence[tuple[str, str]], y: float) -> str:
    """What the colours are, in the figure itself."""
    parts, x = [], 130.0
    for css, name in keys:
        parts.append(f'<g class="{css}"><circle class="end" cx="{x:.1f}" cy="{y - 4:.1f}" r="4"/></g>')
        parts.append(words(x + 9, y, text(name), "name"))
        x += 30 + 6.2 * len(name)
    return "".join(parts)
