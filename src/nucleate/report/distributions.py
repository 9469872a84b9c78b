"""How the candidates spread: distance to the hull, displacement, size, symmetry, descriptors."""

from __future__ import annotations

import pandas as pd

from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.errors import RELAXED
from nucleate.report.elements_figure import element_counts, periodic_table
from nucleate.report.markup import compact, percent, space_group_name, space_group_symbol, text
from nucleate.report.run_data import RunData
from nucleate.report.screening_figures import beside_reference
from nucleate.report.svg import histogram, paired_bars
from nucleate.symmetry.space_group import CRYSTAL_SYSTEMS, crystal_system

MAX_WHOLE = 30
"""Whole numbers up to here get a bar each."""


def distributions(run: RunData) -> str:
    """All distribution plots of a run as a grid of cards; a quantity without values says so."""
    table = run.candidates
    cards = [
        _histogram_card(
            "Energy above hull",
            table["energy_above_hull"],
            "energy above hull (eV/atom)",
            line_at=run.threshold,
            line_label="stability threshold",
            upper=max(1.0, 3 * run.threshold),
        ),
        _histogram_card(
            "Displacement on relaxation", table["rmsd_to_relaxed"], "RMSD to the relaxed structure (Å)", upper=2.0
        ),
        _histogram_card("Cell size", table["n_atoms"], "atoms in the cell", whole=True),
    ]
    for name in run.extra_columns:
        target = run.conditions.targets.get(name)
        if target is None and name in beside_reference(run):
            continue
        middle = sum(target) / 2 if target else None
        label = "asked" if target and target[0] == target[1] else "middle of the range asked"
        axis = DESCRIPTORS[name].label if name in DESCRIPTORS else name.replace("_", " ")
        axis = axis.replace("hhi", "HHI")
        title = axis.split(" (")[0]
        whole = bool(table[name].dropna().mod(1).eq(0).all()) and bool(table[name].abs().max() < MAX_WHOLE)
        upper = _long_tail(table[name]) if middle is None else None
        cards.append(
            _histogram_card(
                title[0].upper() + title[1:],
                table[name],
                axis,
                line_at=middle,
                line_label=label,
                whole=whole,
                upper=upper,
            )
        )
    cards.append(_card("Crystal systems", _crystal_systems(table)))
    cards.append(_card("Space groups", _space_groups(table)))
    counts = element_counts(list(table["formula"]))
    cards.append(_card("Elements", periodic_table(counts, len(table)), "wide"))
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(title: str, body: str, css: str = "") -> str:
    return f'<figure class="card {css}"><figcaption>{text(title)}</figcaption>{body}</figure>'


def _histogram_card(
    title: str,
    values: pd.Series,
    label: str,
    *,
    line_at: float | None = None,
    line_label: str = "",
    whole: bool = False,
    upper: float | None = None,
) -> str:
    known = pd.to_numeric(values, errors="coerce").astype(float)
    known = known[known.notna() & known.abs().lt(float("inf"))]
    if not len(known):
        return _card(title, '<p class="note">No crystal has a known value.</p>')
    shown = histogram(
        known.tolist(), label, "crystals", line_at=line_at, line_label=line_label, whole=whole, upper=upper
    )
    unknown = len(values) - len(known)
    median = f"median {compact(known.median())}" if not whole else f"median {known.median():g}"
    note = f'<p class="note">{median}, {len(known)} crystals{f", {unknown} without a value" if unknown else ""}</p>'
    return _card(title, shown + note)


def _long_tail(values: pd.Series) -> float | None:
    """Where the axis ends if a few values far above the others would squeeze them; None where none would."""
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    limit = middle + 8 * (high - low)
    return float(limit) if values.max() > limit > middle else None


def _groups(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Space groups before and after, of the crystals that were relaxed, so that the two columns compare."""
    both = table[table["status"].isin(RELAXED) & table["relaxed_space_group"].between(1, 230)]
    return both["space_group"].dropna().astype(int), both["relaxed_space_group"].dropna().astype(int)


def _crystal_systems(table: pd.DataFrame) -> str:
    before, after = _groups(table)
    if not len(after):
        return '<p class="note">No relaxed crystal has a space group.</p>'
    before = before[before.between(1, 230)]
    first, last = before.map(crystal_system).value_counts(), after.map(crystal_system).value_counts()
    rows = [(name, name, int(first.get(name, 0)), int(last.get(name, 0))) for name in reversed(CRYSTAL_SYSTEMS)]
    first_p1 = percent((before == 1).mean()) if len(before) else "unknown"
    note = f"P1 among relaxed crystals: {first_p1} as generated, {percent((after == 1).mean())} after relaxation"
    note = note.replace(" %", "\N{NO-BREAK SPACE}%")
    return paired_bars(rows, ("generated", "relaxed"), "crystals") + f'<p class="note">{note}</p>'


def _space_groups(table: pd.DataFrame, limit: int = 8) -> str:
    before, after = _groups(table)
    if not len(after):
        return '<p class="note">No relaxed crystal has a space group.</p>'
    first, last = before.value_counts(), after.value_counts()
    most = last.add(first, fill_value=0).sort_values(ascending=False, kind="stable").index
    groups = [int(group) for group in most if 1 <= group <= 230][:limit]
    rows = [
        (
            f"{_svg_symbol(group)} ({group})",
            f"{space_group_name(group)} ({group})",
            int(first.get(group, 0)),
            int(last.get(group, 0)),
        )
        for group in groups
    ]
    rest = len(set(before) | set(after)) - len(groups)
    note = f'<p class="note">and {rest} other groups</p>' if rest > 0 else ""
    return paired_bars(rows, ("generated", "relaxed"), "crystals") + note


def _svg_symbol(group: int) -> str:
    """The space-group symbol with SVG's markup for italics and subscripts."""
    markup = space_group_symbol(group)
    markup = markup.replace("<sub>", '<tspan dy="0.28em" font-size="75%">')
    markup = markup.replace('<span class="over">', '<tspan text-decoration="overline">').replace("</span>", "</tspan>")
    markup = markup.replace("</sub>", '</tspan><tspan dy="-0.2em">\N{ZERO WIDTH SPACE}</tspan>')
    return markup.replace("<i>", '<tspan font-style="italic">').replace("</i>", "</tspan>")
