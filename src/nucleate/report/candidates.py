"""The candidates of a run: the ranked table, and the crystals that the page carries for its 3-D view and as CIF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from markupsafe import Markup
from pydantic import JsonValue

from nucleate.crystal.elements import COVALENT_RADII, SYMBOLS
from nucleate.report.document import MISSING, formula, number, space_group_symbol
from nucleate.report.phase_diagram import distance_class
from nucleate.report.run_data import CandidateRow, RunData, candidate_rows
from nucleate.runs.columns import COLUMNS, STOPPED_BY, Column, described

MAX_ROWS = 1000
"""Rows of the table; the rest is in the run's files."""
MAX_STRUCTURES = 200
MAX_ATOMS = 400
"""Structures in a page, and atoms in one of them."""
MAX_BYTES = 300_000
"""About what the structures and their CIFs may take in a page."""

# Colours by atomic number from hydrogen on, six hexadecimal digits and a space each: those that molecular
# viewers have in common (oxygen red, nitrogen blue, sulfur yellow, alkali metals violet, alkaline earths green).
_COLOURS = (
    "FFFFFF D9FFFF CC80FF C2FF00 FFB5B5 909090 3050F8 FF0D0D 90E050 B3E3F5 AB5CF2 8AFF00 BFA6A6 F0C8A0 FF8000 FFFF30 "
    "1FF01F 80D1E3 8F40D4 3DFF00 E6E6E6 BFC2C7 A6A6AB 8A99C7 9C7AC7 E06633 F090A0 50D050 C88033 7D80B0 C28F8F 668F8F "
    "BD80E3 FFA100 A62929 5CB8D1 702EB0 00FF00 94FFFF 94E0E0 73C2C9 54B5B5 3B9E9E 248F8F 0A7D8C 006985 C0C0C0 FFD98F "
    "A67573 668080 9E63B5 D47A00 940094 429EB0 57178F 00C900 70D4FF FFFFC7 D9FFC7 C7FFC7 A3FFC7 8FFFC7 61FFC7 45FFC7 "
    "30FFC7 1FFFC7 00FF9C 00E675 00D452 00BF38 00AB24 4DC2FF 4DA6FF 2194D6 267DAB 266696 175487 D0D0E0 FFD123 B8B8D0 "
    "A6544D 575961 9E4FB5 AB5C00 754F45 428296 420066 007D00 70ABFA 00BAFF 00A1FF 008FFF 0080FF 006BFF 545CF2 785CE3 "
    "8A4FE3 A136D4 B31FD4 B31FBA B30DA6 BD0D87 C70066"
)
_NONMETALS = frozenset({1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 33, 34, 35, 36, 52, 53, 54, 85, 86})


def carried(run: RunData) -> list[CandidateRow]:
    """The rows whose crystals go into the page: the best that have a drawable structure, as many as there is room."""
    rows: list[CandidateRow] = []
    size = 0
    for row in candidate_rows(run.candidates):
        numbers = row.array("numbers")
        if numbers is None or (_geometry(row, "relaxed_") is None and _geometry(row, "") is None):
            continue
        size += 60 * len(numbers) + len(run.cifs.get(row.text("id"), ""))
        if (rows and size > MAX_BYTES) or len(rows) == MAX_STRUCTURES:
            break
        rows.append(row)
    return rows


def viewer_payload(rows: list[CandidateRow], cifs: dict[str, str]) -> dict[str, JsonValue]:
    """The data of the page's script: structures in rank order, element looks, CIF texts.

    A structure has ``id``, ``formula`` (markup), ``numbers`` and up to two cells, ``relaxed`` and ``generated``, each
    with flat ``frac`` and ``lattice`` (Å, rows).
    """
    structures: list[JsonValue] = []
    seen: set[int] = set()
    for row in rows:
        found = row.array("numbers")
        numbers = [] if found is None else [int(z) for z in found]
        seen.update(numbers)
        structures.append(
            {
                "id": row.text("id"),
                "formula": formula(row.text("formula")),
                "numbers": [*numbers],
                "relaxed": _geometry(row, "relaxed_"),
                "generated": _geometry(row, ""),
            }
        )
    elements: dict[str, JsonValue] = {
        str(z): {
            "symbol": SYMBOLS[z],
            "colour": f"#{_COLOURS[7 * z - 7 : 7 * z - 1]}",
            "radius": COVALENT_RADII[z] if z < len(COVALENT_RADII) else 1.6,
            "metal": z not in _NONMETALS,
        }
        for z in sorted(seen)
    }
    return {"structures": structures, "elements": elements, "cifs": {**cifs}}


def _geometry(row: CandidateRow, prefix: str) -> dict[str, JsonValue] | None:
    numbers, frac, lattice = (row.array(name) for name in ("numbers", f"{prefix}frac", f"{prefix}lattice"))
    if numbers is None or frac is None or lattice is None or lattice.shape != (3, 3) or frac.shape != (len(numbers), 3):
        return None
    if len(numbers) > MAX_ATOMS or not ((numbers >= 1) & (numbers < len(SYMBOLS))).all():
        return None
    if not 1e-3 < abs(float(np.linalg.det(lattice))) < 1e6:
        return None
    return {
        "frac": [round(float(v), 5) for v in (frac % 1.0).ravel()],
        "lattice": [round(float(v), 4) for v in lattice.ravel()],
    }


@dataclass(frozen=True)
class Cell:
    """A cell of the table.

    Attributes:
        shown: What is read.
        css: Classes.
        key: What it sorts by and what the CSV has, where that is not what is shown; empty where unknown.
        title: More on hover.
        group: Number of a space group behind its symbol.
        dot: Class of the energy above the hull; empty for no dot.
    """

    shown: str
    css: str = ""
    key: str | None = None
    title: str = ""
    group: str = ""
    dot: str = ""


@dataclass(frozen=True)
class Heading:
    """A column of the table.

    Attributes:
        label: Its name.
        cell: Makes its cell of a row and the run's stability threshold.
        help: What it means.
        small: Unit, or what tells it from a neighbour of the same name.
        kind: "number" or "text", by which it sorts.
        css: Classes of the heading.
    """

    label: str
    cell: Callable[[CandidateRow, float], Cell]
    help: str
    small: str = ""
    kind: str = "number"
    css: str = ""


@dataclass(frozen=True)
class Row:
    """A candidate in the table."""

    id: str
    system: str
    cells: tuple[Cell, ...]
    has_structure: bool


@dataclass(frozen=True)
class CandidateTable:
    """The ranked table.

    Attributes:
        headings: Of the columns whose cells are in the page.
        columns: Further columns, hidden at first; the page's script makes their cells.
        numbers: Their values by name, None where unknown.
        rows: The best candidates in rank order.
        statuses: Each status with its count.
        n_candidates: How many the run has.
    """

    headings: tuple[Heading, ...]
    columns: tuple[Column, ...]
    numbers: dict[str, list[float | None]]
    rows: tuple[Row, ...]
    statuses: tuple[tuple[str, int], ...]
    n_candidates: int


def candidate_table(run: RunData, with_structure: set[str]) -> CandidateTable:
    """The table of a run; ``with_structure`` are the ids that the viewer can show."""
    shown = run.candidates.head(MAX_ROWS)
    headings = (*_HEADINGS, *_extra(run))
    rows = []
    for row in candidate_rows(shown.assign(rank=range(1, len(shown) + 1))):
        cells = tuple(heading.cell(row, run.threshold) for heading in headings)
        rows.append(Row(row.text("id"), row.text("chemical_system"), cells, row.text("id") in with_structure))
    numbers = {
        name: [None if not np.isfinite(value) else float(f"{value:.5g}") for value in shown[name]]
        for name in run.extra_columns
    }
    statuses = tuple((str(name), int(count)) for name, count in run.candidates["status"].value_counts().items())
    columns = tuple(described(name) for name in run.extra_columns)
    return CandidateTable(headings, columns, numbers, tuple(rows), statuses, len(run.candidates))


def _heading(name: str, cell: Callable[..., Cell], label: str = "", small: str = "", css: str = "") -> Heading:
    """A column of runs as a column of the page."""
    column = COLUMNS[name]
    kind = "text" if column.dtype in ("string", "bool") else "number"
    label = label or column.label[0].upper() + column.label[1:]
    return Heading(label, partial(cell, name), column.help, small or column.unit, kind, css)


def _extra(run: RunData) -> list[Heading]:
    """Columns that a funnel brought; hidden at first."""
    found = []
    if run.record.funnel:
        found.append(_heading(STOPPED_BY, _stopped_by, css="extra"))
    if run.candidates["has_prototype"].notna().any():
        found.append(_heading("prototype", _structure_type, css="extra"))
    return found


def _formula(_name: str, row: CandidateRow, _threshold: float) -> Cell:
    return Cell(formula(row.text("formula")), "formula")


def _status(_name: str, row: CandidateRow, _threshold: float) -> Cell:
    return Cell(row.text("status"), "good" if row.text("status") == "ok" else "bad", title=row.text("reason"))


def _whole(name: str, row: CandidateRow, _threshold: float) -> Cell:
    value = row.whole(name)
    return Cell(MISSING if value is None else str(value), "num")


def _fixed(name: str, row: CandidateRow, threshold: float) -> Cell:
    value = row.number(name)
    if value is None:
        return Cell(MISSING, "num")
    dot = distance_class(value, threshold) if name == "energy_above_hull" else ""
    return Cell(number(value), "num", key=f"{value:.6g}", dot=dot)


def _group(name: str, row: CandidateRow, _threshold: float) -> Cell:
    group = row.whole(name)
    if group is None or not 1 <= group <= 230:
        return Cell(MISSING)
    return Cell(space_group_symbol(group), key=str(group), group=str(group))


def _flag(name: str, row: CandidateRow, _threshold: float) -> Cell:
    value = row.flag(name)
    if value is None:
        return Cell(MISSING, "flag")
    return Cell("yes", "flag") if value else Cell("no", "flag faint")


def _stopped_by(_name: str, row: CandidateRow, _threshold: float) -> Cell:
    return Cell(row.text("stopped_by") or "passes all", "extra")


def _structure_type(_name: str, row: CandidateRow, _threshold: float) -> Cell:
    return Cell(row.text("prototype_name") or row.text("prototype") or MISSING, "extra")


_HEADINGS = (
    Heading("#", partial(_whole, "rank"), COLUMNS["rank"].help, css="num"),
    _heading("formula", _formula),
    _heading("status", _status),
    _heading("n_atoms", _whole, css="num"),
    _heading("energy_above_hull", _fixed, Markup("<i>E</i><sub>hull</sub>"), css="num"),
    _heading("formation_energy", _fixed, Markup("<i>E</i><sub>form</sub>"), css="num"),
    _heading("n_competing_phases", _whole, css="num"),
    _heading("space_group", _group, small="generated"),
    _heading("relaxed_space_group", _group, "Space group", "relaxed"),
    _heading("rmsd_to_relaxed", _fixed, "RMSD", css="num"),
    _heading("is_stable", _flag, css="flag"),
    _heading("is_unique", _flag, css="flag"),
    _heading("is_novel", _flag, css="flag"),
    _heading("formula_known", _flag, css="flag"),
)
