"""The comparison of models as a page and as Markdown, with its figures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nucleate.evaluation.benchmark import ALL, ALL_STAGES, COMMON, GENERATION
from nucleate.evaluation.summary import ATOM_BINS
from nucleate.io.writing import write_whole
from nucleate.report.comparison_tables import SIZES, Compared, costs, requests, tables_of
from nucleate.report.comparison_tables import headline as _headline
from nucleate.report.document import MISSING, Table, compact, document, environment, percent, plural
from nucleate.report.page import citations
from nucleate.report.plots import N_COLOURS, Series, curves, stacked_bars
from nucleate.report.svg_figure import Box, Plot, colour, standalone, svg_figure
from nucleate.symmetry.space_group import CRYSTAL_SYSTEMS, crystal_system

PAGE, MARKDOWN, FIGURES = "comparison.html", "comparison.md", "figures"
_TITLES = {
    "Summary": "Summary",
    "Rates": "Rates and distances",
    "Size": "By size",
    "Symmetry": "Symmetry",
    "Funnel": "Funnel",
    "Requests": "What was asked for",
    "Costs": "Time, size and training",
    "Common": "On what every family can represent",
    "Runs": "Runs",
    "Cite": "What to cite",
}
_ENOUGH = 5
"""A share of fewer crystals than this is not drawn."""
LETTER, LINE, GAP = 5.8, 12.0, 7.0
"""Width of a letter and height of a line of names, and the distance of a name from its point, in px."""
PRICE = 10.0
"""Px that a name rather moves than that it covers one px² of something else."""


def build_comparison(folder: Path) -> Path:
    """Write ``comparison.html``, ``comparison.md`` and ``figures/`` into a comparison's folder; returns the page.

    Raises:
        UserError: The folder holds no comparison.
    """
    found = Compared.read(folder)
    for name, drawn in _figures(found).items():
        write_whole(folder / FIGURES / name, standalone(drawn.svg).encode())
    write_whole(folder / MARKDOWN, markdown(found).encode())
    write_whole(folder / PAGE, page(found).encode())
    return folder / PAGE


def headline(folder: Path) -> Table:
    """The short table of a comparison.

    Raises:
        UserError: The folder holds no comparison.
    """
    return _headline(Compared.read(folder))


def page(found: Compared) -> str:
    """The comparison as HTML."""
    tables = {name: some for name, some in tables_of(found, ALL).items() if some}
    asked = requests(found)
    if asked:
        tables["Requests"] = asked
    tables["Costs"] = [costs(found)]
    names = [name for name in _TITLES if name in tables or name in ("Common", "Runs", "Cite")]
    return document(
        "comparison.html",
        _title(found),
        {name.lower(): name for name in names},
        subtitle=_subtitle(found),
        warnings=found.record.get("warnings", []),
        protocol=_protocol(found),
        names=names,
        titles=_TITLES,
        tables=tables,
        plots={
            "Summary": _titled(("S.U.N.", sun_figure(found)), ("Quality against speed", speed_figure(found))),
            "Size": _titled(("Valid", size_figure(found, "valid")), ("S.U.N.", size_figure(found, "S.U.N."))),
            "Symmetry": _titled(("Crystal systems", systems_figure(found))),
            "Common": _titled(
                ("S.U.N.", sun_figure(found, COMMON)), ("Crystal systems", systems_figure(found, COMMON))
            ),
        },
        subset=_subset_note(found),
        common=[table for some in tables_of(found, COMMON).values() for table in some],
        runs=[_run(one) for one in found.record["sources"]],
        citations=citations(found.record.get("citations") or ()),
    )


def markdown(found: Compared) -> str:
    """The comparison as Markdown, with the two figures beside it."""
    return (
        environment()
        .get_template("comparison.md")
        .render(
            title=_title(found),
            subtitle=_subtitle(found),
            protocol=_protocol(found),
            warnings=found.record.get("warnings", []),
            titles=_TITLES,
            tables={name: map(_plain, some) for name, some in tables_of(found, ALL).items() if some},
            figures={f"{FIGURES}/{name}": drawn.title for name, drawn in _figures(found).items()},
            requests=[_plain(table) for table in requests(found)],
            costs=_plain(costs(found)),
            subset=_subset_note(found),
            common={name: map(_plain, some) for name, some in tables_of(found, COMMON).items() if some},
        )
    )


def _plain(table: Table) -> str:
    """A table as Markdown."""

    def cell(value: str) -> str:
        return re.sub(r"\s+", " ", value.replace("|", "\\|").replace("<", "&lt;")).strip()

    lines = ["| " + " | ".join(map(cell, table.heads)) + " |", "|" + "---|" * len(table.heads)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in table.rows]
    parts = [f"**{table.title}**"] if table.title else []
    return "\n\n".join([*parts, "\n".join(lines), *([table.note] if table.note else [])])


def _figures(found: Compared) -> dict[str, Plot]:
    """Figures for documents, by the names of their files; the titles are what a reader without pictures reads."""
    sun = replace(sun_figure(found), title="S.U.N. of each source with its interval")
    speed = speed_figure(found)
    drawn = {"sun.svg": sun}
    if speed is not None:
        drawn["speed.svg"] = replace(speed, title="S.U.N. against S.U.N. crystals a core-hour")
    return drawn


def _titled(*figures: tuple[str, Plot | None]) -> list[Plot]:
    return [replace(drawn, title=title) for title, drawn in figures if drawn is not None]


def _title(found: Compared) -> str:
    return f"{plural(len(found.sources), 'source')} of crystals side by side"


def _subtitle(found: Compared) -> str:
    return f"{found.record['n']} crystals of each, seed {found.record['seed']}; 95 % intervals in brackets"


def _protocol(found: Compared) -> str:
    stated = found.record["protocol"]
    others = f"; judged again from the same relaxations with {', '.join(found.references[1:])}"
    below = found.record.get("draw_below")
    drawn = ", of models drawn until different and at most {:g} eV/atom above the hull as they came, or ten times"
    return (
        f"Potential {stated['potential']}; {stated['relaxation']}; reference {stated['reference']}"
        f"{others if len(found.references) > 1 else ''}; stable: at most {stated['stability_threshold']:g} eV/atom "
        f"above the hull; unique and novel: {stated['matcher']}; denominator: every crystal"
        f"{'' if below is None else drawn.format(below)}, unknown counts as no; Wilson intervals."
    )


def _subset_note(found: Compared) -> str:
    return (
        f"Crystals of {found.record['subset']}. Their S.U.N. a core-hour is that of all the time spent, since the "
        "others were paid for too."
    )


def _run(one: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Folder, label, description, number of crystals, training data and refused requests of a source."""
    size = str(one["n"]) + (f" of {one['drawn_from']}" if one.get("drawn_from") else "")
    refused = "; ".join(one.get("not_offered") or ()) or MISSING
    about = one.get("summary") or one.get("file") or one["kind"]
    return str(one["run"]), str(one["label"]), str(about), size, str(one.get("training_data") or MISSING), refused


def sun_figure(found: Compared, subset: str = ALL) -> Plot:
    """S.U.N. of each source with its interval, a mark for each reference."""
    names, n = found.references, len(found.sources)
    step = 14 * len(names) + 10
    label = "S.U.N. of each source with its 95 % interval"
    with svg_figure(560, step * n + 92, label, left=130, right=20, top=18, bottom=74) as made:
        axes = made.axes
        for k, name in enumerate(names):
            for i, source in enumerate(found.sources):
                row = found.get(source, "S.U.N.", subset, name)
                if row is None or not row["total"]:
                    continue
                at, shade = i + (k - (len(names) - 1) / 2) * 14 / step, colour(f"c{k % N_COLOURS}")
                axes.plot([100 * row["low"], 100 * row["high"]], [at, at], color=shade)
                (spot,) = axes.plot(100 * row["value"], at, "o", ms=8, color=shade, mec="none")
                low, high = percent(row["low"]), percent(row["high"])
                made.tip(spot, f"{source}, {name}: {percent(row['value'])} ({low} to {high})")
        axes.set(xlim=(0, 100), ylim=(n - 0.5, -0.5), xlabel="S.U.N. (%)")
        axes.set_yticks(range(n), found.sources)
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        made.legend([(f"c{k % N_COLOURS}", name) for k, name in enumerate(names)])
        return Plot(made.svg())


def speed_figure(found: Compared, subset: str = ALL) -> Plot | None:
    """S.U.N. against S.U.N. crystals a core-hour, without and with relaxation; None where nothing was made here."""
    points = []
    for k, metric in enumerate((GENERATION, ALL_STAGES)):
        for source in found.sources:
            fast, good = found.get(source, metric, subset), found.get(source, "S.U.N.", subset)
            if fast is not None and good is not None and fast["value"] > 0:
                points.append((f"c{k}", source, float(fast["value"]), good))
    if not points:
        return None
    with svg_figure(560, 330, "S.U.N. against S.U.N. crystals a core-hour", top=14, bottom=74) as made:
        axes = made.axes
        axes.set_xscale("log")
        speeds = [speed for _, _, speed, _ in points]
        low, high = math.floor(math.log10(min(speeds))), math.ceil(math.log10(max(speeds)) + 1e-9)
        axes.set(xlim=(10.0**low, 10.0 ** max(high, low + 1)), ylim=(0, 100))
        axes.set(xlabel="S.U.N. crystals a core-hour", ylabel="S.U.N. (%)")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else compact(value))
        axes.tick_params(which="minor", length=0, labelbottom=False)
        axes.grid(visible=True, axis="both")
        places = [made.place(speed, 100 * good["value"]) for _, _, speed, good in points]
        covered = []
        for (_, _, speed, good), (across, down) in zip(points, places, strict=True):
            top, bottom = made.place(speed, 100 * good["high"])[1], made.place(speed, 100 * good["low"])[1]
            covered.append((across - 5, min(top, down - 5), across + 5, max(bottom, down + 5)))
        room = (56.0, 14.0, 540.0, 256.0)
        labels = point_labels(places, [source for _, source, _, _ in points], covered, room)
        for (shade, source, speed, good), (across, down), name in zip(points, places, labels, strict=True):
            axes.plot([speed, speed], [100 * good["low"], 100 * good["high"]], color=colour(shade))
            (spot,) = axes.plot(speed, 100 * good["value"], "o", ms=8, color=colour(shade), mec="none", zorder=4)
            made.tip(spot, f"{source}: {compact(speed)} a core-hour, {percent(good['value'])}")
            shift = (name.x - across, down - name.y)
            end = (0.0 if name.anchor == "left" else 1.0, 0.5)
            line = {"arrowstyle": "-", "color": colour("faint"), "lw": 0.8, "relpos": end} if name.is_far else None
            words: dict[str, Any] = {"ha": name.anchor, "shift": shift, "arrowprops": line}
            made.words(speed, 100 * good["value"], source, halo=True, **words)
        made.legend([("c0", "generation alone"), ("c1", "relaxation and judging included")])
        return Plot(made.svg())


class PointLabel(NamedTuple):
    """Where a name stands: its base line in px, "left" or "right" as its anchor, and whether a line leads there."""

    x: float
    y: float
    anchor: str
    is_far: bool


def point_labels(
    points: Sequence[tuple[float, float]], names: Sequence[str], covered: Sequence[Box], room: Box
) -> list[PointLabel]:
    """A place for each name: right or left of its point, as near to its height as others leave room.

    Arguments:
        points: In px.
        names: One for each.
        covered: What each point and its interval cover.
        room: What no name leaves.
    """
    taken = list(covered)
    found: dict[int, PointLabel] = {}
    for i in sorted(range(len(points)), key=lambda k: points[k][1]):
        (px, py), width = points[i], LETTER * len(names[i])
        best, least = PointLabel(px + GAP, py + LINE / 3, "left", is_far=False), float("inf")
        for step in range(12):
            for shift in (step * LINE / 2, -step * LINE / 2):
                for anchor in ("left", "right"):
                    left = px + GAP if anchor == "left" else px - GAP - width
                    box = (left, py + shift - LINE / 2, left + width, py + shift + LINE / 2)
                    outside = left < room[0] or left + width > room[2] or box[1] < room[1] or box[3] > room[3]
                    cost = 1e6 * outside + PRICE * sum(_overlap(box, other) for other in taken) + abs(shift)
                    if cost < least:
                        at = px + GAP if anchor == "left" else px - GAP
                        best, least = PointLabel(at, py + shift + LINE / 3, anchor, abs(shift) > LINE), cost
        found[i] = best
        left = best.x if best.anchor == "left" else best.x - width
        taken.append((left, best.y - LINE * 5 / 6, left + width, best.y + LINE / 6))
    return [found[i] for i in range(len(points))]


def _overlap(one: Box, other: Box) -> float:
    """Area that two boxes share, in px²."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def size_figure(found: Compared, metric: str, subset: str = ALL) -> Plot:
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
        return Plot(notes=(f"No bin of sizes holds {_ENOUGH} crystals.",))
    return curves(series, "atoms in the cell", f"{metric[0].upper()}{metric[1:]} (%)")


def systems_figure(found: Compared, subset: str = ALL) -> Plot:
    """Crystal systems of the relaxed crystals, the data last."""
    columns = []
    for source in found.sources:
        rows = [found.get(source, "crystal system", subset, group=name) for name in CRYSTAL_SYSTEMS]
        counts = [0 if row is None else int(row["count"]) for row in rows]
        if sum(counts):
            columns.append((source if len(source) <= 12 else source[:11] + "\N{HORIZONTAL ELLIPSIS}", counts))
    known = dict.fromkeys(CRYSTAL_SYSTEMS, 0)
    for group, count in found.record["data_groups"].get(subset, {}).items():
        known[crystal_system(int(group))] += int(count)
    if any(known.values()):
        columns.append(("data", list(known.values())))
    return stacked_bars(columns, [(f"c{k}", name) for k, name in enumerate(CRYSTAL_SYSTEMS)], "source", "crystals")
