"""How the candidates spread: distance to the hull, displacement, size, symmetry, elements; and beside the reference."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from nucleate.crystal.elements import NUMBERS, SYMBOLS
from nucleate.errors import RELAXED
from nucleate.intervals import Rate
from nucleate.report.document import MISSING, Table, compact, number, percent, space_group_text
from nucleate.report.plots import histogram, paired_bars
from nucleate.report.run_data import RunData
from nucleate.report.screening import beside_reference
from nucleate.report.svg_figure import Plot
from nucleate.runs.columns import described
from nucleate.symmetry.space_group import CRYSTAL_SYSTEMS, crystal_system

MAX_WHOLE = 30
"""Whole numbers up to here get a bar each."""
_MAX_BYTES = 2_000_000
_STATES = ("generated", "relaxed")


@dataclass(frozen=True)
class ElementCell:
    """An element in the periodic table: column and row from 1, the crystals that hold it, and 0 to 5 for its shade."""

    symbol: str
    column: int
    row: int
    count: int
    level: int


def distributions(run: RunData) -> list[Plot]:
    """All distribution plots of a run; a quantity without values says so."""
    table = run.candidates
    threshold = (run.threshold, "stability threshold")
    hull = "energy above hull (eV/atom)"
    plots = [
        _histogram(hull, table["energy_above_hull"], line=threshold, upper=max(1.0, 3 * run.threshold)),
        _histogram(
            "RMSD to the relaxed structure (Å)", table["rmsd_to_relaxed"], "Displacement on relaxation", upper=2.0
        ),
        _histogram("atoms in the cell", table["n_atoms"], "Cell size", whole=True),
    ]
    for name in run.extra_columns:
        target = run.conditions.targets.get(name)
        if target is None and name in beside_reference(run):
            continue
        asked = None
        if target is not None:
            asked = (sum(target) / 2, "asked" if target[0] == target[1] else "middle of the range asked")
        axis = described(name).heading
        whole = bool(table[name].dropna().mod(1).eq(0).all()) and bool(table[name].abs().max() < MAX_WHOLE)
        upper = _long_tail(table[name]) if asked is None else None
        plots.append(_histogram(axis.replace("hhi", "HHI"), table[name], line=asked, whole=whole, upper=upper))
    return [*plots, _crystal_systems(table), _space_groups(table)]


def _histogram(axis: str, values: pd.Series, title: str = "", **look: Any) -> Plot:
    """A histogram of what is known of a column; the title is the axis without its unit where there is no other."""
    title = title or axis[0].upper() + axis.split(" (")[0][1:]
    known = pd.to_numeric(values, errors="coerce").astype(float)
    known = known[known.notna() & known.abs().lt(float("inf"))]
    if not len(known):
        return Plot(title=title, notes=("No crystal has a known value.",))
    unknown = len(values) - len(known)
    median = f"median {known.median():g}" if look.get("whole") else f"median {compact(known.median())}"
    note = f"{median}, {len(known)} crystals{f', {unknown} without a value' if unknown else ''}"
    return Plot(histogram(known.tolist(), axis, "crystals", **look), title, notes=(note,))


def _long_tail(values: pd.Series) -> float | None:
    """Where the axis ends if a few values far above the others would squeeze them; None where none would."""
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    limit = middle + 8 * (high - low)
    return float(limit) if values.max() > limit > middle else None


def _groups(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Space groups before and after, of the crystals that were relaxed, so that the two columns compare."""
    both = table[table["status"].isin(RELAXED) & table["relaxed_space_group"].between(1, 230)]
    return both["space_group"].dropna().astype(int), both["relaxed_space_group"].dropna().astype(int)


def _crystal_systems(table: pd.DataFrame) -> Plot:
    before, after = _groups(table)
    if not len(after):
        return Plot(title="Crystal systems", notes=("No relaxed crystal has a space group.",))
    before = before[before.between(1, 230)]
    first, last = before.map(crystal_system).value_counts(), after.map(crystal_system).value_counts()
    rows = [(name, (int(first.get(name, 0)), int(last.get(name, 0)))) for name in reversed(CRYSTAL_SYSTEMS)]
    first_p1 = percent((before == 1).mean()) if len(before) else "unknown"
    note = f"P1 among relaxed crystals: {first_p1} as generated, {percent((after == 1).mean())} after relaxation"
    note = note.replace(" %", "\N{NO-BREAK SPACE}%")
    return replace(paired_bars(rows, _STATES, "crystals"), title="Crystal systems", notes=(note,))


def _space_groups(table: pd.DataFrame, limit: int = 8) -> Plot:
    before, after = _groups(table)
    if not len(after):
        return Plot(title="Space groups", notes=("No relaxed crystal has a space group.",))
    first, last = before.value_counts(), after.value_counts()
    most = last.add(first, fill_value=0).sort_values(ascending=False, kind="stable").index
    groups = [int(group) for group in most if 1 <= group <= 230][:limit]
    rows = [(f"{space_group_text(g)} ({g})", (int(first.get(g, 0)), int(last.get(g, 0)))) for g in groups]
    rest = len(set(before) | set(after)) - len(groups)
    notes = (f"and {rest} other groups",) if rest > 0 else ()
    return replace(paired_bars(rows, _STATES, "crystals"), title="Space groups", notes=notes)


def periodic_table(table: pd.DataFrame) -> list[ElementCell]:
    """All elements with the number of crystals that hold each, shaded by it."""
    counts = element_counts(list(table["formula"]))
    top = max(counts.values(), default=0)
    cells = []
    for z in range(1, len(SYMBOLS)):
        count = counts.get(SYMBOLS[z], 0)
        level = min(1 + int(4 * (count - 1) / max(top - 1, 1) + 0.5), 5) if count else 0
        column, row = position(z)
        cells.append(ElementCell(SYMBOLS[z], column + 1, row + 1, count, level))
    return cells


def element_counts(formulas: list[str]) -> dict[str, int]:
    """How many of the formulas hold each element."""
    seen = Counter(symbol for formula in formulas for symbol in set(re.findall(r"[A-Z][a-z]?", formula)))
    return {symbol: count for symbol, count in seen.items() if symbol in NUMBERS}


def position(z: int) -> tuple[int, int]:
    """Column and row of an element, from 0, in the usual 18 columns; lanthanides and actinides below."""
    if 57 <= z <= 71:
        return z - 57 + 2, 8
    if 89 <= z <= 103:
        return z - 89 + 2, 9
    starts = (1, 3, 11, 19, 37, 55, 87)
    row = max(i for i, start in enumerate(starts) if z >= start)
    step = z - starts[row]
    if row == 0:
        return (0, 0) if z == 1 else (17, 0)
    if row <= 2:
        return (step, row) if step < 2 else (step + 10, row)
    if row >= 5 and step > 2:
        return step - 14, row
    return step, row


@dataclass(frozen=True)
class Comparison:
    """The content of ``comparison.json``: a run beside its reference.

    Attributes:
        curves: Rates of the first crystals, by their number; None where there are too few.
        reference: Name and number of structures of the reference.
        tables: Distances and shares; empty where the reference holds no structures.
        is_damaged: The file is not what it should be.
    """

    curves: Table | None = None
    reference: str = ""
    tables: tuple[Table, ...] = ()
    is_damaged: bool = False


def read_comparison(run: RunData) -> Comparison:
    """The stored comparison of a run with its reference; an empty one where there is none."""
    content = _stored(run)
    try:
        curves, beside = _curves(content.get("curves", ())), content.get("beside")
        if beside is None:
            return Comparison(curves)
        return Comparison(curves, f"{beside['reference']} ({int(beside['n_reference']):,} structures)", _beside(beside))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, StopIteration):
        return Comparison(is_damaged=True)


def _curves(points: Iterable[Mapping[str, Any]]) -> Table | None:
    """Uniqueness and novelty of the first k crystals in the order in which they were drawn."""
    rates = [Rate(str(one["name"]), "all", int(one["count"]), int(one["total"])) for one in points]
    counts = sorted({rate.total for rate in rates})
    if len(counts) < 2:
        return None
    values = {(rate.name, rate.total): percent(rate.value) for rate in rates}
    rows = tuple((name, *(values[name, k] for k in counts)) for name in dict.fromkeys(rate.name for rate in rates))
    return Table(("of the first", *map(str, counts)), rows)


def _beside(content: Mapping[str, Any]) -> tuple[Table, ...]:
    numbers = tuple(
        (
            str(one["name"]),
            number(one["distance"]) + (f" {one['unit']}" if one["unit"] and one["distance"] is not None else ""),
            number(one["found"][2]),
            number(one["expected"][2]),
        )
        for one in content["numbers"]
    )
    kinds = tuple(
        (
            str(one["name"]),
            number(one["distance"]),
            number(one["chi_squared"]) if one["name"].startswith("space groups") else MISSING,
        )
        for one in content["kinds"]
    )
    classes = next(one for one in content["kinds"] if one["name"] == "classes of chemistry")
    found, expected = classes["found"], classes["expected"]
    chemistry = tuple(
        (str(name), percent(found.get(name, 0.0)), percent(expected.get(name, 0.0)))
        for name in dict.fromkeys([*found, *expected])
    )
    near = content["coverage"]
    shares = tuple(
        (str(one["name"]), share(Rate(one["name"], "all", int(one["count"]), int(one["total"]))))
        for one in (*content["p1"], near["recall"], near["precision"], near["reference_by_itself"])
    )
    return (
        Table(("number", "Wasserstein distance", "median", "median there"), numbers),
        Table(("kinds", "Jensen-Shannon distance", "chi-squared"), kinds),
        Table(("class of chemistry", "share", "share there"), chemistry),
        Table(("P1 and coverage", "share"), shares),
    )


def _stored(run: RunData) -> dict[str, Any]:
    """The content of ``comparison.json``; empty where there is none."""
    path = run.folder / "comparison.json"
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def share(rate: Rate) -> str:
    """A rate with its counts and its interval in percent."""
    if not rate.total:
        return MISSING
    low, high = rate.interval
    return f"{percent(rate.value)} ({rate.count} of {rate.total}; {percent(low)[:-2]} to {percent(high)})"
