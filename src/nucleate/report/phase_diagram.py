"""The hull of a chemical system with crystals on it: in the report of a run, and the page of an explored system."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from scipy.spatial import ConvexHull, QhullError

from nucleate.crystal.elements import NUMBERS, SYMBOLS, parse_formula
from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.io.writing import write_whole
from nucleate.report.document import Table, document, formula, formula_text, number, percent, plural, stated
from nucleate.report.run_data import RunData
from nucleate.report.svg_figure import Name, Plot, SvgFigure, colour, svg_figure

SHOWN_WITHIN = 0.25
"""eV/atom above the hull: crystals farther off are not drawn on the page of a system."""
MAX_DRAWN = 300
"""Candidates in a figure of the hull."""
LEAD = "Candidates, energy above hull (eV/atom):"
CLASSES = ("d0", "d1", "d2", "d3", "d4", "dx")
"""Colours of energies above the hull, from on it to far and unknown."""


@dataclass(frozen=True)
class Point:
    """A phase or a candidate in a chemical system.

    Attributes:
        label: Its formula.
        fractions: Atomic fraction of each element of the system, summing to 1.
        energy: Formation energy, eV/atom.
        distance: Energy above the reference hull, eV/atom; NaN where unknown or not a candidate.
        key: Candidate id; empty for a competing phase.
        note: More for the tip.
    """

    label: str
    fractions: tuple[float, ...]
    energy: float
    distance: float = math.nan
    key: str = ""
    note: str = ""

    @property
    def tip(self) -> str:
        shown = f"{self.label}, formation energy {number(self.energy)} eV/atom"
        if self.key:
            shown = f"{self.key}: {shown}, {number(self.distance)} eV/atom above hull"
        return shown + (f", {self.note}" if self.note else "")


def build_phase_diagram(folder: Path) -> Path:
    """Write ``phase_diagram.html`` into the folder of ``nucleate phase-diagram``; returns the page.

    Raises:
        UserError: The folder holds no such exploration.
    """
    try:
        record = json.loads((folder / "phase_diagram.json").read_text(encoding="utf-8"))
        phases = pd.read_csv(folder / "phases.csv", keep_default_na=False)
        methods = pd.read_csv(folder / "methods.csv")
        tables = {
            name: pd.read_csv(folder / str(one["run"]) / "ranked.csv", keep_default_na=False, na_values=[""])
            for name, one in record["methods"].items()
        }
    except (OSError, ValueError, KeyError) as error:
        raise UserError(str(folder), str(error), "a folder that `nucleate phase-diagram` finished") from None
    path = folder / "phase_diagram.html"
    write_whole(path, render(record, phases, methods, tables).encode())
    return path


def render(record: dict[str, Any], phases: pd.DataFrame, methods: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> str:
    """The page of an explored system as HTML."""
    system = ordered_system(set(str(record["chemical_system"]).split("-")))
    name = "\N{EN DASH}".join(system)
    new = int(phases["is_new"].astype(str).eq("True").sum())
    return document(
        "phase_diagram.html",
        f"Phase diagram of {name}",
        {"hull": "Hull", "methods": "Methods", "phases": "Phases", "runs": "Runs"},
        subtitle=f"{plural(len(methods), 'method')}, {record['n']} relaxations each; {plural(new, 'phase')} on the "
        "combined hull that the reference does not hold",
        warnings=record["warnings"],
        protocol=stated(record["protocol"]),
        hull=_explored(system, record, tables),
        methods=_methods(methods),
        phases=_phases(phases),
        runs={name: (one["run"], ", ".join(one["where"])) for name, one in record["methods"].items()},
    )


def run_hull(run: RunData) -> Plot | None:
    """The phases of the run's chemical system with its candidates; without phases, the candidates' distances."""
    known = run.candidates[run.candidates["formation_energy"].notna() | run.candidates["energy_above_hull"].notna()]
    if not len(known) and not len(run.phases):
        return None
    asked = run.conditions.chemical_system or tuple(run.conditions.composition or ())
    system = ordered_system(set(run.hull_system) or {SYMBOLS[z] for z in asked})

    def points(symbols: tuple[str, ...]) -> list[Point]:
        found = []
        columns = known[["formula", "formation_energy", "energy_above_hull", "id"]]
        for text, energy, above, name in columns.itertuples(index=False):
            place = fractions(text, symbols) if symbols else ()
            if place is not None:
                found.append(Point(text, place, energy, above, name))
        return found

    if len(system) not in (2, 3) or not len(run.phases):
        drawn = distance_bars(points(()), run.threshold)
        keys = distance_keys(run.threshold)
        return replace(drawn, keys=keys, lead=LEAD, title="The candidates nearest to their hull.")
    phases = [
        Point(label, place, energy, note=source)
        for label, energy, source in run.phases[["formula", "formation_energy", "source"]].itertuples(index=False)
        if (place := fractions(label, system)) is not None
    ]
    inside = [p for p in points(system) if p.energy == p.energy]
    outside = len(known) - len(inside)
    drawn = hull_plot(system, phases, inside, run.threshold)
    name = "\N{EN DASH}".join(system)
    title = f"{name}: {plural(len(phases), 'known phase')}, {plural(len(inside), 'candidate')}."
    notes = (f"Outside this system: {plural(outside, 'candidate')}.",) if outside else ()
    return replace(drawn, title=title, notes=(*drawn.notes, *notes))


def ordered_system(symbols: set[str]) -> tuple[str, ...]:
    """Elements of a system from the least to the most electronegative looking: by group, metals first."""
    last = {SYMBOLS[z] for z in (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 52, 53)}
    return tuple(sorted(symbols, key=lambda s: (s in last, NUMBERS[s])))


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
    """Colour of an energy above the hull in eV/atom: d0 (on or below) to d4 (far), dx (unknown)."""
    if not math.isfinite(distance):
        return "dx"
    bounds = (1e-6, threshold / 2, threshold, 2.5 * threshold)
    return f"d{sum(distance > bound for bound in bounds)}"


def distance_keys(threshold: float) -> tuple[tuple[str, str, str], ...]:
    """The classes of :func:`distance_class` in words, by a threshold in eV/atom."""
    half, far = threshold / 2, 2.5 * threshold
    names = ("on or below the hull", f"up to {half:g}", f"up to {threshold:g}", f"up to {far:g}", f"above {far:g}")
    return tuple((shade, "diamond", name) for shade, name in zip(CLASSES, names, strict=False))


def lower_hull(points: np.ndarray) -> list[tuple[int, ...]]:
    """Facets of the lower convex hull: index tuples into ``points`` (n, d), whose last column is the energy.

    Fewer than d points, or points that span no volume, give no facet.
    """
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


def hull_plot(system: Sequence[str], phases: list[Point], candidates: list[Point], threshold: float) -> Plot:
    """The figure (eV/atom) that fits the number of elements, and a note of elements that have no phase."""
    missing = [symbol for i, symbol in enumerate(system) if not any(p.fractions[i] > 1 - 1e-9 for p in phases)]
    note = (
        f"No reference phase for {', '.join(missing)}: the hull is drawn without it, and distances that need it are "
        "unknown."
    )
    notes = (note,) if missing else ()
    if len(system) not in (2, 3):
        return replace(distance_bars(candidates, threshold), notes=notes)
    shown = candidates if len(system) == 2 else _lowest(candidates)  # in a triangle the others lie below it
    shown = sorted(shown, key=lambda p: p.distance if math.isfinite(p.distance) else math.inf)[:MAX_DRAWN]
    if len(shown) < len(candidates):
        which = "nearest to the hull" if len(system) == 2 else "lowest of each composition"
        notes = (*notes, f"Drawn: {len(shown)} of {len(candidates)} candidates, those {which}.")
    svg = (_binary if len(system) == 2 else _ternary)(system, phases, shown, threshold)
    known = (("ink", "dot", "known, on the hull"), ("faint", "ring", "known, above it"))
    return Plot(svg, keys=(*distance_keys(threshold), *known), lead=LEAD, notes=notes)


def _binary(system: Sequence[str], phases: list[Point], candidates: list[Point], threshold: float) -> Markup:
    lowest = _lowest(phases)
    facets = lower_hull(np.array([(p.fractions[1], p.energy) for p in lowest]).reshape(-1, 2))
    on_hull = [lowest[i] for i in sorted({i for facet in facets for i in facet}, key=lambda i: lowest[i].fractions[1])]
    low, high = min([*(p.energy for p in [*candidates, *on_hull]), 0.0]), max([*(p.energy for p in candidates), 0.0])
    margin = max(high - low, 0.1) * 0.08
    with svg_figure(720, 388, f"Formation energy against composition of {'-'.join(system)}", 66, 16, 16, 42) as made:
        made.axes.set(xlim=(0, 1), ylim=(low - 1.6 * margin, high + margin), ylabel="formation energy (eV/atom)")
        made.axes.set_xlabel(f"atomic fraction x of {system[1]} in {system[0]}₁₋ₓ{system[1]}ₓ")
        _segments(made, [[(lowest[i].fractions[1], lowest[i].energy) for i in facet] for facet in facets], "soft", 1.1)
        above = [p for p in phases if low - 1.6 * margin <= p.energy <= high + margin]
        _marks(made, above, on_hull, candidates, threshold, [lambda p: p.fractions[1], lambda p: p.energy])
        new = [Name(p.fractions[1], p.energy, formula_text(p.label), is_new=True) for p in _on_hull(candidates)]
        known = [Name(p.fractions[1], p.energy, formula_text(p.label)) for p in on_hull]
        made.names([*new, *known], [(p.fractions[1], p.energy) for p in [*on_hull, *candidates]])
        return made.svg()


def _ternary(system: Sequence[str], phases: list[Point], candidates: list[Point], threshold: float) -> Markup:
    lowest = _lowest(phases)
    facets = lower_hull(np.array([(p.fractions[1], p.fractions[2], p.energy) for p in lowest]).reshape(-1, 3))
    on_hull = [lowest[i] for i in sorted({i for facet in facets for i in facet})]
    corners = np.array([(85.0, 28.0), (635.0, 28.0), (360.0, 28.0 + 550.0 * math.sqrt(3) / 2)])
    spots = [tuple(np.asarray(p.fractions) @ corners) for p in lowest]
    with svg_figure(720, 540, f"Phase diagram of {'-'.join(system)}", 0.01, 0, 0, 0) as made:
        made.axes.set(xlim=(0, 720), ylim=(0, 540))
        made.axes.set_axis_off()
        turns = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        grid = [
            [corners[a] + (corners[b] - corners[a]) * i / 10, corners[c] + (corners[b] - corners[c]) * i / 10]
            for i in range(1, 10)
            for a, b, c in turns
        ]
        edges = {tuple(sorted((f[i], f[j]))) for f in facets for i, j in ((0, 1), (1, 2), (0, 2))}
        _segments(made, grid, "rule", 0.7)
        _segments(made, [[corners[a], corners[b]] for a, b, _ in turns], "soft", 1.2)
        _segments(made, [[spots[a], spots[b]] for a, b in sorted(edges)], "soft", 1.1)
        place = [lambda p, k=k: float(np.asarray(p.fractions) @ corners[:, k]) for k in (0, 1)]
        above = [p for p in lowest if p not in on_hull]
        _marks(made, above, on_hull, candidates, threshold, place)
        for (x, y), symbol, side, shift in zip(
            corners, system, ("right", "left", "center"), ((-12, -10), (12, -10), (0, 12)), strict=True
        ):
            made.words(x, y, symbol, "ink", size=15, ha=side, shift=shift, weight="bold")
        inner = [p for p in on_hull if max(p.fractions) < 1 - 1e-9]
        inner.sort(key=lambda p: (sum(f > 1e-9 for f in p.fractions), p.energy))
        new = [Name(place[0](p), place[1](p), formula_text(p.label), is_new=True) for p in _on_hull(candidates)]
        known = [Name(place[0](p), place[1](p), formula_text(p.label)) for p in inner]
        made.names([*new, *known], [(place[0](p), place[1](p)) for p in [*on_hull, *candidates]])
        return made.svg()


def _segments(made: SvgFigure, lines: Iterable[Sequence[Any]], shade: str, width: float) -> None:
    """Straight lines as one path."""
    ends = [point for line in lines for point in (*line, (math.nan, math.nan))]
    if ends:
        made.axes.plot(*np.asarray(ends, dtype=float).T, color=colour(shade), linewidth=width)


def _marks(
    made: SvgFigure,
    above: list[Point],
    on_hull: list[Point],
    candidates: list[Point],
    threshold: float,
    place: list[Any],
) -> None:
    """Rings and dots for known phases; diamonds for candidates, those nearest to the hull on top."""
    by_class = {shade: [p for p in candidates if distance_class(p.distance, threshold) == shade] for shade in CLASSES}
    looks: list[tuple[list[Point], dict[str, Any]]] = [
        (above, {"marker": "o", "ms": 6, "mfc": colour("paper"), "mec": colour("faint"), "mew": 1}),
        (on_hull, {"marker": "o", "ms": 9, "mfc": colour("ink"), "mec": "none"}),
    ]
    for shade in ("dx", "d4", "d3", "d2", "d1", "d0"):
        diamond = {"marker": "D", "ms": 7.6, "mfc": colour(shade), "mec": colour("paper"), "mew": 0.8}
        looks.append((by_class[shade], diamond))
    for points, look in looks:
        if points:
            xs, ys = ([at(p) for p in points] for at in place)
            (spots,) = made.axes.plot(xs, ys, linestyle="none", **look)
            made.tip(spots, [p.tip for p in points], [p.key for p in points])


def _lowest(points: list[Point]) -> list[Point]:
    """The lowest phase of each composition."""
    best: dict[tuple[float, ...], Point] = {}
    for point in points:
        key = tuple(round(x, 6) for x in point.fractions)
        if key not in best or point.energy < best[key].energy:
            best[key] = point
    return list(best.values())


def _on_hull(candidates: list[Point], most: int = 8) -> list[Point]:
    """The lowest candidates on or below the hull, one of each composition."""
    lowest = _lowest([p for p in candidates if p.distance <= 0])
    return sorted(lowest, key=lambda p: p.distance)[:most]


def distance_bars(candidates: list[Point], threshold: float, limit: int = 24) -> Plot:
    """The candidates nearest to the hull as bars of their energy above it in eV/atom."""
    known = sorted((p for p in candidates if math.isfinite(p.distance)), key=lambda p: p.distance)[:limit]
    if not known:
        return Plot(notes=("No candidate has a known energy above the hull.",))
    low, high = min(known[0].distance, 0.0), max(known[-1].distance, threshold) * 1.05
    label = f"Energy above hull of the {len(known)} best candidates"
    with svg_figure(720, 22 * len(known) + 52, label, 170, 60, 6, 42) as made:
        for i, p in enumerate(known):
            shade = colour(distance_class(p.distance, threshold))
            (bar,) = made.axes.barh(i, p.distance, 0.72, color=shade, ec=shade, lw=1)
            made.tip(bar, p.tip, [p.key])
            made.words(max(p.distance, 0), i, number(p.distance), va="center", shift=(5, -0.5))
        made.threshold(threshold)
        made.axes.set(xlim=(low, high), ylim=(len(known) - 0.5, -0.5), xlabel="energy above hull (eV/atom)")
        made.axes.set_yticks(range(len(known)), [formula_text(p.label) for p in known])
        made.axes.grid(visible=True, axis="x")
        made.axes.grid(visible=False, axis="y")
        return Plot(made.svg())


def _explored(system: tuple[str, ...], record: dict[str, Any], tables: dict[str, pd.DataFrame]) -> Plot:
    """The known phases of a system and what each method found near the hull."""
    known = [
        Point(str(row["formula"]), place, float(row["formation_energy"]), note=str(row["source"]))
        for row in record["reference_phases"]
        if (place := fractions(str(row["formula"]), system)) is not None
    ]
    found = []
    for method, table in tables.items():
        near = table[table["energy_above_hull"].le(SHOWN_WITHIN)]
        columns = near[["id", "formula", "formation_energy", "energy_above_hull"]]
        for id_, label, energy, distance in columns.itertuples(index=False):
            place = fractions(str(label), system)
            if place is not None:
                found.append(Point(str(label), place, float(energy), float(distance), f"{method}, {id_}"))
    counts = f"{plural(len(known), 'known phase')}; {plural(len(found), 'crystal')}"
    title = f"{counts} within {SHOWN_WITHIN:g} eV/atom of it."
    return replace(hull_plot(system, known, found, float(record["protocol"]["stability_threshold"])), title=title)


def _methods(methods: pd.DataFrame) -> Table:
    rows = []
    for row in methods.to_dict("records"):
        total = int(row["crystals"])
        low, high = wilson(int(row["sun"]), total)
        share = f"{row['sun']} of {total}, {percent(row['sun'] / total)} ({percent(low)} to {percent(high)})"
        counts = [str(row[name]) for name in ("method", "relaxed", "meets_request", "stable")]
        rows.append((*counts, share, str(row["on_hull"]), str(row["new_on_hull"]), f"{row['core_seconds']:.0f}"))
    heads = ("method", "relaxed", "of the system", "stable", "S.U.N.", "on the combined hull", "new on it")
    return Table((*heads, "core-seconds"), tuple(rows))


def _phases(phases: pd.DataFrame) -> Table:
    rows = tuple(
        (
            formula(str(row["formula"])),
            number(float(row["formation_energy"])),
            str(row["found_by"]),
            number(float(row["gain"])) if str(row["is_new"]) == "True" else "",
            str(row["ids"]),
        )
        for row in phases.to_dict("records")
    )
    heads = ("phase", "formation energy (eV/atom)", "found by", "below the known hull (eV/atom)", "crystals")
    return Table(heads, rows)
