"""Screening: what each filter of the run's funnel lets through, and the figures that its columns allow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate

import pandas as pd

from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.matching.prototypes import OTHER, UNKNOWN, families_by, unmatched_curve
from nucleate.report.document import compact, percent, plural
from nucleate.report.plots import N_COLOURS, Series, Spread, compared_histogram, curves, scatter, stacked_bars
from nucleate.report.run_data import RunData
from nucleate.report.svg_figure import Plot
from nucleate.runs.columns import described
from nucleate.screening.filters import PASSES, Filter
from nucleate.screening.funnel import Count, Funnel, FunnelResult, Step, apply_funnel

M_LED = "local_environment_diversity"
SHOWN = ("compactness", M_LED)
CURVE_TO = 100
"""The commonest structure types that the curve goes through, as in the PIGEN paper's Fig. 3d."""
FAMILIES = 20
"""Structure types that count as families of their own, as in its Fig. 4d."""
HULL_UPPER = 1.0
"""eV/atom: the figure of compactness ends here."""
_PLAUSIBLE = ("proxy_potential", "formula_known", "compactness")
_STAGES = {
    "generated": "of the crystal as generated",
    "relaxed": "after relaxation; what did not converge is undefined",
    "final": "of the relaxed crystal, or as generated where there is none",
}


@dataclass(frozen=True)
class FilterRow:
    """A filter of the funnel as the page shows it; shares are of all rows, from 0 to 1.

    Attributes:
        stage: Which structure is judged, where that changes; else empty.
        label: Name of the filter.
        condition: What it keeps.
        source: Where its threshold comes from.
        passed: How many pass it and all before it.
        entered: How many reached it.
        alone: The share that passes it alone.
        share: The share that passes it and all before it.
        interval: 95 % interval of that share.
        remarks: Further thresholds, and why others do not pass.
    """

    stage: str
    label: str
    condition: str
    source: str
    passed: int
    entered: int
    alone: float
    share: float
    interval: tuple[float, float]
    remarks: tuple[str, ...]


def declared_funnel(run: RunData) -> FunnelResult | None:
    """The funnel in the run's record applied to its candidates; None where there is none or it is damaged."""
    described = run.record.funnel
    if not described:
        return None
    try:
        return apply_funnel(Funnel.from_dict(described, "run.json, funnel"), run.candidates)
    except UserError:
        return None


def filter_rows(result: FunnelResult) -> list[FilterRow]:
    """The filters of a funnel in their order."""
    rows, stage = [], ""
    for step in result.steps:
        new, stage = step.filter.stage != stage, step.filter.stage
        rows.append(_row(step, result.total, _STAGES[stage] if new else ""))
    return rows


def condition(rule: Filter) -> str:
    """The condition of a filter in words."""
    name = rule.column.replace("_", " ")
    match rule.threshold:
        case None:
            return f"{name} is known"
        case bool():
            return f"{name}: {'yes' if rule.threshold else 'no'}"
        case (low, high):
            sign = "≤" if "=" in rule.comparison else "<"
            words = f"{compact(low)} {sign} {name} {sign} {compact(high)}"
        case value:
            words = f"{name} {rule.comparison.replace('<=', '≤').replace('>=', '≥')} {compact(value)}"
    return f"{words} {rule.unit}".rstrip()


def _row(step: Step, total: int, stage: str) -> FilterRow:
    passed, alone = step.in_sequence.passed, step.alone.passed / max(total, 1)
    levels = "; ".join(f"{level.in_sequence} at {compact(level.threshold)}" for level in step.levels)
    remarks = [f"{levels} {step.filter.unit}".rstrip()] if levels else []
    remarks += [f"alone: {step.alone.passed} ({percent(alone)})", *_why(step.in_sequence)]
    return FilterRow(
        stage=stage,
        label=step.filter.label,
        condition=condition(step.filter),
        source=step.filter.source,
        passed=passed,
        entered=step.in_sequence.entered,
        alone=alone,
        share=passed / max(total, 1),
        interval=wilson(passed, total),
        remarks=tuple(remarks),
    )


def _why(count: Count) -> list[str]:
    """Why those that reached a filter did not pass."""
    parts = [f"{number} {'do not pass' if word == 'fails' else word}" for word, number in count.refused.items()]
    undefined = sum(count.undefined.values())
    if undefined:
        causes = ", ".join(f"{cause.replace('_', ' ')} {number}" for cause, number in count.undefined.items())
        parts.append(f"{undefined} undefined ({causes})")
    return parts


def largest(result: FunnelResult, run: RunData) -> list[tuple[str, str, str, str]]:
    """Answers to the funnel's questions: which column after which filter, value, formula and id of the crystal."""
    found = []
    for best in result.best:
        asked = f"{best.question.column.replace('_', ' ')} among those that pass {best.question.after} and all before"
        if best.value is None or best.row is None:
            found.append((asked, "", "", ""))
        else:
            row = run.candidates.iloc[best.row]
            found.append((asked, f"{best.value:.2f} {best.unit}".rstrip(), str(row["formula"]), str(row["id"])))
    return found


def screening_figures(run: RunData) -> list[Plot]:
    """The figures that the run has the columns for."""
    result = declared_funnel(run)
    drawn = [_unmatched(run, result), _families(run), _compactness_and_hull(run, result)]
    drawn += [_beside_reference(run, result, name) for name in SHOWN]
    return [plot for plot in drawn if plot is not None]


def _matched(run: RunData) -> pd.DataFrame:
    """The candidates' structure types as :func:`nucleate.matching.prototypes.match_prototypes` gives them."""
    return run.candidates.rename(columns={"prototype_rank": "rank"})


def _unmatched(run: RunData, result: FunnelResult | None) -> Plot | None:
    counts, structures = _types(run)
    matched = _matched(run)
    if not counts or matched["has_prototype"].isna().all():
        return None
    total = min(CURVE_TO, len(counts))
    known = list(accumulate(counts[:total], initial=0))
    series = [_curve("all crystals", matched, total, "c0")]
    plausible, names = _plausible(matched, result)
    if names:
        series.append(_curve(f"those that pass {', '.join(names)}", matched[plausible], total, "c1"))
    series.append(Series("the reference", [(n, 1 - count / structures) for n, count in enumerate(known)], colour="c8"))
    none = int(matched["has_prototype"].eq(False).sum())
    note = (
        f"{none} of {plural(len(matched), 'crystal')} ({percent(none / max(len(matched), 1))}) match none of all "
        f"{len(counts):,} types: those of the reference, then AFLOW's. Bands are 95 % intervals; what could not be "
        "compared stays in the denominator and is not counted as a miss."
    )
    drawn = curves(series, "number of commonest structure types N", "matches none of them (%)")
    return replace(drawn, title="Known structure types", notes=(note,))


def _types(run: RunData) -> tuple[list[int], int]:
    """How many structures of the reference have each known type, and how many structures there are."""
    try:
        return [int(count) for count in run.reference["types"]], max(int(run.reference["structures"]), 1)
    except (KeyError, TypeError, ValueError):
        return [], 1


def _curve(name: str, matched: pd.DataFrame, total: int, colour: str) -> Series:
    ranks = matched.assign(rank=matched["rank"].where(matched["rank"] < total))
    table = unmatched_curve(ranks, total)
    points = list(zip(table["n"].astype(float), table["unmatched"].fillna(0.0), strict=True))
    return Series(f"{name} ({len(matched)})", points, list(zip(table["low"], table["high"], strict=True)), colour)


def _plausible(matched: pd.DataFrame, result: FunnelResult | None) -> tuple[pd.Series, list[str]]:
    """Rows that pass the filters on distances, formula and compactness, and the names of those that there are."""
    rows, names = pd.Series(True, index=matched.index), []
    for step in result.steps if result else ():
        if step.filter.column in _PLAUSIBLE:
            rows &= step.filter.verdicts(matched) == PASSES
            names.append(step.filter.name)
    return rows, names


def _families(run: RunData) -> Plot | None:
    matched = _matched(run)
    if M_LED not in matched or matched["has_prototype"].isna().all() or matched[M_LED].isna().all():
        return None
    low, high = int(matched[M_LED].min()), int(matched[M_LED].max()) + 1
    step = 0.5 if high - low <= 6 else 1.0
    edges = [low + i * step for i in range(round((high - low) / step) + 1)]
    table = families_by(matched, matched[M_LED], edges, FAMILIES)
    table = table[table.index.notna() & (table.sum(axis=1) > 0)]
    named = [name for name in table if name not in (OTHER, UNKNOWN)]
    named.sort(key=lambda name: -int(table[name].sum()))
    kept, rest = named[:N_COLOURS], named[N_COLOURS:]
    layers = [(f"c{i}", str(name), table[name]) for i, name in enumerate(kept)]
    if rest:
        layers.append(("c8", f"{len(rest)} more of the {FAMILIES} commonest", table[rest].sum(axis=1)))
    layers.append(("bar-before", "none of them", table[OTHER]))
    if table[UNKNOWN].any():
        layers.append(("rule", "could not be compared", table[UNKNOWN]))
    columns = [
        (f"{interval.left:g}\N{EN DASH}{interval.right:g}", [int(counts.iloc[i]) for _, _, counts in layers])
        for i, interval in enumerate(table.index)
    ]
    axis = "local environment diversity M_LED (bits)"
    drawn = stacked_bars(columns, [(colour, name) for colour, name, _ in layers], axis, "crystals")
    note = "Above each bar: its crystals. M_LED as generated, type after relaxation."
    return replace(drawn, title="Structure types by local environment diversity", notes=(note,))


def _compactness_and_hull(run: RunData, result: FunnelResult | None) -> Plot | None:
    table = run.candidates
    if "compactness" not in table:
        return None
    rows = table[table["compactness"].notna() & table["energy_above_hull"].notna()]
    if not len(rows):
        return None
    points = [
        (compactness, above, f"{text} ({name}): C {compactness:.2f}, {above:.3f} eV/atom")
        for text, name, compactness, above in rows[["formula", "id", "compactness", "energy_above_hull"]]
        .astype({"compactness": float, "energy_above_hull": float})
        .itertuples(index=False)
    ]
    drawn = scatter(
        points,
        "compactness C as generated",
        "energy above hull (eV/atom)",
        upper=HULL_UPPER,
        x_lines=[(at, "filter") for at in _ends(result, "compactness")],
        y_line=(run.threshold, "stability threshold"),
    )
    return replace(drawn, title="Compactness and distance to the hull")


def _beside_reference(run: RunData, result: FunnelResult | None, name: str) -> Plot | None:
    spread = _spread(run, name)
    if spread is None or name not in run.candidates or run.candidates[name].isna().all():
        return None
    values = [float(value) for value in run.candidates[name].dropna()]
    label = "local environment diversity M_LED (bits)" if name == M_LED else "compactness C"
    names = (f"this run ({len(values)})", f"{run.reference.get('name', 'the reference')} (sample of {spread.total})")
    drawn = compared_histogram(values, spread, label, names, [(at, "filter") for at in _ends(result, name)])
    title = described(name).heading
    return replace(drawn, title=title[0].upper() + title[1:])


def beside_reference(run: RunData) -> set[str]:
    """Descriptors that are drawn beside the reference's."""
    return {name for name in SHOWN if _spread(run, name) is not None}


def _spread(run: RunData, name: str) -> Spread | None:
    """The stored histogram with bins twice as wide, which suits runs of hundreds; None where there is none."""
    try:
        stored = run.reference["spread"][name]
        counts = [int(count) for count in stored["counts"]]
        merged = tuple(sum(counts[i : i + 2]) for i in range(0, len(counts), 2))
        return Spread(float(stored["low"]), float(stored["high"]), merged) if sum(counts) else None
    except (KeyError, TypeError, ValueError):
        return None


def _ends(result: FunnelResult | None, column: str) -> Iterable[float]:
    """The finite ends of the window that the run's funnel has for a column."""
    rules = [step.filter for step in result.steps if step.filter.column == column] if result else []
    return [end for rule in rules for end in rule.window if abs(end) < float("inf")]
