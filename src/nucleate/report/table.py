"""The ranked table of candidates: complete as plain HTML, sorted and filtered by the page's own script."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from nucleate.report.hull_figure import distance_class
from nucleate.report.markup import MISSING, compact, formula, number, space_group_name, space_group_symbol, text
from nucleate.report.run_data import RunData, records

MAX_ROWS = 1000

_COLUMNS = (
    # heading markup, explanation, sort key kind, css
    ("#", "rank", "number", "num"),
    ("Formula", "reduced or cell formula, as the run writes it", "text", ""),
    ("Status", "outcome", "text", ""),
    ("Atoms", "atoms in the cell", "number", "num"),
    ("<i>E</i><sub>hull</sub> <small>eV/atom</small>", "energy above the hull of competing phases", "number", "num"),
    ("<i>E</i><sub>form</sub> <small>eV/atom</small>", "formation energy", "number", "num"),
    ("Rivals", "compounds of the reference that are made of the same elements", "number", "num"),
    ("Space group <small>generated</small>", "as generated", "number", ""),
    ("Space group <small>relaxed</small>", "after relaxation", "number", ""),
    ("RMSD <small>Å</small>", "root mean square displacement from generated to relaxed", "number", "num"),
    ("Stable", "at or under the threshold above the hull", "text", "flag"),
    ("Unique", "first of its kind in this run", "text", "flag"),
    ("Novel", "matches no known structure", "text", "flag"),
    ("Known formula", "the reference holds a phase of this composition", "text", "flag"),
)


def candidate_table(run: RunData, with_structure: set[str]) -> str:
    """The table with its controls; ``with_structure`` are the ids that the viewer can show."""
    if not len(run.candidates):
        return '<p class="note">There are no candidates in this run.</p>'
    shown = run.candidates.head(MAX_ROWS)
    columns = _funnel_columns(run)
    heads = "".join(_heading(*column) for column in _COLUMNS)
    heads += "".join(_heading(_label(name), name, "number", "num extra") for name in run.extra_columns)
    heads += "".join(_heading(*column, "text", "extra") for column in columns.values())
    rows = "".join(
        _row(rank, row, run, row["id"] in with_structure, columns) for rank, row in enumerate(records(shown), start=1)
    )
    left_out = len(run.candidates) - len(shown)
    note = (
        f'<p class="note">The best {len(shown)} of {len(run.candidates)} rows; all of them are in the run\'s Parquet '
        "files.</p>"
        if left_out
        else ""
    )
    return (
        _controls(run)
        + '<div class="scroll" tabindex="0" role="region" aria-label="Ranked candidates">'
        + f'<table id="ranked" class="ranked"><thead><tr>{heads}<th class="links"><span class="hidden">Structure'
        + f"</span></th></tr></thead><tbody>{rows}</tbody></table></div>"
        + f'<p class="note" id="nomatch" hidden>No candidate fits these filters.</p>{note}'
    )


def _funnel_columns(run: RunData) -> dict[str, tuple[str, str]]:
    """Columns that a funnel brought: heading and explanation by name."""
    found = {}
    if run.record.funnel:
        found["stopped_by"] = ("Stopped by", "the first filter of the funnel that it does not pass")
    if run.candidates["has_prototype"].notna().any():
        found["prototype"] = ("Structure type", "known structure type of its framework")
    return found


def _funnel_cells(row: dict[str, Any], names: Iterable[str]) -> list[str]:
    shown = {
        "stopped_by": row["stopped_by"] or "passes all",
        "prototype": row["prototype_name"] or row["prototype"] or MISSING,
    }
    return [_cell(shown[name], text(shown[name]), "extra") for name in names]


def _label(name: str) -> str:
    return text(name.replace("_", " "))


def _heading(label: str, explanation: str, kind: str, css: str) -> str:
    return (
        f'<th class="{css}" data-kind="{kind}" aria-sort="none" title="{text(explanation)}">'
        f'<button type="button">{label}</button></th>'
    )


def _controls(run: RunData) -> str:
    statuses = "".join(
        f'<option value="{text(name)}">{text(name)} ({count})</option>'
        for name, count in run.candidates["status"].value_counts().items()
    )
    flags = "".join(
        f'<label class="check"><input type="checkbox" data-flag="{name}"> {name}</label>'
        for name in ("stable", "unique", "novel")
    )
    more = (
        '<label class="check"><input type="checkbox" id="more"> descriptors and conditions</label>'
        if run.extra_columns or run.record.funnel
        else ""
    )
    return (
        '<div class="controls needs-script">'
        '<label>Find <input type="search" id="find" placeholder="formula, element, id" size="20"></label>'
        f'<label>Status <select id="status"><option value="">all</option>{statuses}</select></label>'
        '<label><i>E</i><sub>hull</sub> at most <input type="number" id="ehull" step="0.01" size="6"> eV/atom</label>'
        f'{flags}{more}<span class="count" id="count" role="status"></span>'
        '<button type="button" id="csv">CSV of shown rows</button>'
        '<button type="button" id="cifs">CIFs of shown rows</button></div>'
    )


def _row(rank: int, row: dict[str, Any], run: RunData, has_structure: bool, columns: Collection[str]) -> str:
    distance = _float(row["energy_above_hull"])
    css = distance_class(distance, run.threshold)
    dot = f'<span class="key dot {css}"></span>' if css != "dx" else ""
    reason = f' title="{text(row["reason"])}"' if row["reason"] else ""
    status = "good" if row["status"] == "ok" else "bad"
    cells = [
        _cell(rank, str(rank), "num"),
        _cell(row["formula"], f'<span class="formula">{formula(row["formula"])}</span>'),
        f'<td data-v="{text(row["status"])}"{reason}><span class="status {status}">{text(row["status"])}</span></td>',
        _cell(row["n_atoms"], _integer(row["n_atoms"]), "num"),
        _cell(distance, dot + number(distance), "num"),
        _cell(row["formation_energy"], number(_float(row["formation_energy"])), "num"),
        _cell(row["n_competing_phases"], _integer(row["n_competing_phases"]), "num"),
        _group(row["space_group"]),
        _group(row["relaxed_space_group"]),
        _cell(row["rmsd_to_relaxed"], number(_float(row["rmsd_to_relaxed"])), "num"),
        *(_flag(row[name]) for name in ("is_stable", "is_unique", "is_novel", "formula_known")),
        *(_cell(row[name], compact(_float(row[name])), "num extra") for name in run.extra_columns),
        *_funnel_cells(row, columns),
    ]
    links = (
        '<td class="links"><button type="button" class="view">View</button>'
        '<button type="button" class="cif">CIF</button></td>'
        if has_structure
        else '<td class="links"></td>'
    )
    flags = " ".join(name for name in ("stable", "unique", "novel") if _true(row, name))
    return (
        f'<tr data-id="{text(row["id"])}" data-status="{text(row["status"])}" data-flags="{flags}" '
        f'data-find="{text(row["id"])} {text(row["formula"])} {text(row["chemical_system"])}">'
        f"{''.join(cells)}{links}</tr>"
    )


def _true(row: dict[str, Any], name: str) -> bool:
    value = row[f"is_{name}"]
    return not pd.isna(value) and bool(value)


def _float(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)


def _integer(value: Any) -> str:
    return MISSING if pd.isna(value) else str(int(value))


def _cell(value: Any, shown: str, css: str = "") -> str:
    key = "" if pd.isna(value) else text(value)
    return f'<td class="{css}" data-v="{key}">{shown}</td>' if css else f'<td data-v="{key}">{shown}</td>'


def _group(value: Any) -> str:
    if pd.isna(value) or not 1 <= int(value) <= 230:
        return _cell(pd.NA, MISSING)
    group = int(value)
    return (
        f'<td data-v="{group}" data-csv="{group}" title="{text(space_group_name(group))}">'
        f'{space_group_symbol(group)} <span class="faint">{group}</span></td>'
    )


def _flag(value: Any) -> str:
    if pd.isna(value):
        return f'<td class="flag" data-v="">{MISSING}</td>'
    return '<td class="flag" data-v="yes">yes</td>' if value else '<td class="flag faint" data-v="no">no</td>'
