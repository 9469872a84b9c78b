"""Figures of screening: structure types, the run beside its reference, compactness against the hull distance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pandas as pd

from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.matching.prototypes import OTHER, UNKNOWN, families_by, unmatched_curve
from nucleate.report.funnel_section import declared_funnel
from nucleate.report.markup import percent, plural, text
from nucleate.report.plots import N_COLOURS, Series, Spread, compared_histogram, curves, scatter, stacked_bars
from nucleate.report.run_data import RunData, records
from nucleate.screening.filters import PASSES
from nucleate.screening.funnel import FunnelResult

M_LED = "local_environment_diversity"
SHOWN = ("compactness", M_LED)
CURVE_TO = 100
"""The commonest structure types that the curve goes through, as in the PIGEN paper's Fig. 3d."""

FAMILIES = 20
"""Structure types that count as families of their own, as in its Fig. 4d."""

HULL_UPPER = 1.0
_PLAUSIBLE = ("proxy_potential", "formula_known", "compactness")


def screening_figures(run: RunData) -> str:
    """The figures that the run has the columns for, as cards."""
    result = declared_funnel(run)
    cards = [
        _card("Known structure types", _unmatched(run, result)),
        _card("Structure types by local environment diversity", _families(run)),
        _card("Compactness and distance to the hull", _compactness_and_hull(run, result)),
        *(_card(DESCRIPTORS[name].label, _beside_reference(run, result, name)) for name in SHOWN),
    ]
    shown = "".join(card for card in cards if card)
    return f'<div class="cards two">{shown}</div>' if shown else ""


def _card(title: str, body: str) -> str:
    if not body:
        return ""
    title = title[0].upper() + title[1:]
    return f'<figure class="card"><figcaption>{text(title)}</figcaption>{body}</figure>'


def _matched(run: RunData) -> pd.DataFrame:
    """The candidates' structure types as :func:`nucleate.matching.prototypes.match_prototypes` gives them."""
    return run.candidates.rename(columns={"prototype_rank": "rank"})


def _unmatched(run: RunData, result: FunnelResult | None) -> str:
    counts, structures = _types(run)
    matched = _matched(run)
    if not counts or matched["has_prototype"].isna().all():
        return ""
    total = min(CURVE_TO, len(counts))
    known = list(accumulate(counts[:total], initial=0))
    series = [_curve("all crystals", matched, total, "c0")]
    plausible, names = _plausible(matched, result)
    if names:
        series.append(_curve(f"those that pass {', '.join(names)}", matched[plausible], total, "c1"))
    series.append(Series("the reference", [(n, 1 - count / structures) for n, count in enumerate(known)], css="c8"))
    none = int(matched["has_prototype"].eq(False).sum())
    note = (
        f"{none} of {plural(len(matched), 'crystal')} ({percent(none / max(len(matched), 1))}) match none of all "
        f"{len(counts):,} types: those of the reference, then AFLOW's. Bands are 95 % intervals; what could not be "
        "compared stays in the denominator and is not counted as a miss."
    )
    axis = "number of commonest structure types N"
    return curves(series, axis, "matches none of them (%)") + f'<p class="note">{text(note)}</p>'


def _types(run: RunData) -> tuple[list[int], int]:
    """How many structures of the reference have each known type, and how many structures there are."""
    try:
        return [int(count) for count in run.reference["types"]], max(int(run.reference["structures"]), 1)
    except (KeyError, TypeError, ValueError):
        return [], 1


def _curve(name: str, matched: pd.DataFrame, total: int, css: str) -> Series:
    ranks = matched.assign(rank=matched["rank"].where(matched["rank"] < total))
    table = unmatched_curve(ranks, total)
    points = list(zip(table["n"].astype(float), table["unmatched"].fillna(0.0), strict=True))
    return Series(f"{name} ({len(matched)})", points, list(zip(table["low"], table["high"], strict=True)), css)


def _plausible(matched: pd.DataFrame, result: FunnelResult | None) -> tuple[pd.Series, list[str]]:
    """Rows that pass the filters on distances, formula and compactness, and the names of those that there are."""
    rows, names = pd.Series(True, index=matched.index), []
    for step in result.steps if result else ():
        if step.filter.column in _PLAUSIBLE:
            rows &= step.filter.verdicts(matched) == PASSES
            names.append(step.filter.name)
    return rows, names


def _families(run: RunData) -> str:
    matched = _matched(run)
    if M_LED not in matched or matched["has_prototype"].isna().all() or matched[M_LED].isna().all():
        return ""
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
    layers.append(("cx", "none of them", table[OTHER]))
    if table[UNKNOWN].any():
        layers.append(("cu", "could not be compared", table[UNKNOWN]))
    columns = [
        (f"{interval.left:g}\N{EN DASH}{interval.right:g}", [int(counts.iloc[i]) for _, _, counts in layers])
        for i, interval in enumerate(table.index)
    ]
    names = [(css, name) for css, name, _ in layers]
    note = '<p class="note">Above each bar: its crystals. M_LED as generated, type after relaxation.</p>'
    return stacked_bars(columns, names, "local environment diversity M_LED (bits)", "crystals") + note


def _compactness_and_hull(run: RunData, result: FunnelResult | None) -> str:
    table = run.candidates
    if "compactness" not in table:
        return ""
    rows = table[table["compactness"].notna() & table["energy_above_hull"].notna()]
    if not len(rows):
        return ""
    points = [
        (
            float(row["compactness"]),
            float(row["energy_above_hull"]),
            f"{row['formula']} ({row['id']}): C {row['compactness']:.2f}, {row['energy_above_hull']:.3f} eV/atom",
        )
        for row in records(rows)
    ]
    return scatter(
        points,
        "compactness C as generated",
        "energy above hull (eV/atom)",
        upper=HULL_UPPER,
        x_lines=[(at, "filter") for at in _ends(result, "compactness")],
        y_line=(run.threshold, "stability threshold"),
    )


def _beside_reference(run: RunData, result: FunnelResult | None, name: str) -> str:
    spread = _spread(run, name)
    if spread is None or name not in run.candidates or run.candidates[name].isna().all():
        return ""
    values = [float(value) for value in run.candidates[name].dropna()]
    words = "M_LED" if name == M_LED else "C"
    label = f"{DESCRIPTORS[name].name.replace('_', ' ')} {words}" + (" (bits)" if name == M_LED else "")
    names = (f"this run ({len(values)})", f"{run.reference.get('name', 'the reference')} (sample of {spread.total})")
    lines = [(at, "filter") for at in _ends(result, name)]
    return compared_histogram(values, spread, label, names, lines)


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


def _ends(result: FunnelResult | None, column: str) -> Sequence[float]:
    """The finite ends of the window that the run's funnel has for a column."""
    rules = [step.filter for step in result.steps if step.filter.column == column] if result else []
    return [end for rule in rules for end in rule.window if abs(end) < float("inf")]
