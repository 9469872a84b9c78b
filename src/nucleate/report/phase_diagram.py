"""The page of an explored chemical system: its hull with what each method found, in a picture and in tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.io.writing import write_whole
from nucleate.report.document import document
from nucleate.report.hull_figure import Point, fractions, hull_figure, ordered_system
from nucleate.report.markup import formula, number, percent, plain_table, plural, text
from nucleate.report.sections import warnings_box

_LINKS = [("hull", "Hull"), ("methods", "Methods"), ("phases", "Phases"), ("runs", "Runs")]
SHOWN_WITHIN = 0.25
"""eV/atom above the hull: crystals farther off are not drawn."""


def build_phase_diagram(folder: Path) -> Path:
    """Write ``phase_diagram.html`` into the folder of ``nucleate phase-diagram``.

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
    """The page as HTML."""
    system = ordered_system(set(str(record["chemical_system"]).split("-")))
    name = "\N{EN DASH}".join(system)
    new = int(phases["is_new"].astype(str).eq("True").sum())
    subtitle = (
        f"{plural(len(methods), 'method')}, {record['n']} relaxations each; {plural(new, 'phase')} on the combined "
        "hull that the reference does not hold"
    )
    protocol = record["protocol"]
    stated = f"{protocol['potential']}; {protocol['relaxation']}; reference {protocol['reference']}"
    body = (
        f"<main><header><h1>Phase diagram of {text(name)}</h1><p>{text(subtitle)}</p></header>"
        f"{warnings_box(record['warnings'])}"
        f'<section id="hull"><h2>Hull</h2>{_hull(system, record, tables)}</section>'
        f'<section id="methods"><h2>Methods</h2>{_methods(methods)}<p class="protocol">{text(stated)}</p></section>'
        f'<section id="phases"><h2>On the combined hull</h2>{_phases(phases)}</section>'
        f'<section id="runs"><h2>Runs</h2>{_runs(record)}</section></main>'
        "<footer>Made by Nucleate; needs no network.</footer>"
    )
    return document(f"Phase diagram of {name}", _LINKS, body)


def _hull(system: tuple[str, ...], record: dict[str, Any], tables: dict[str, pd.DataFrame]) -> str:
    threshold = float(record["protocol"]["stability_threshold"])
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
    intro = (
        f"{plural(len(known), 'known phase')}; {plural(len(found), 'crystal')} within {SHOWN_WITHIN:g} eV/atom of it."
    )
    return f'<p class="note">{text(intro)}</p>' + hull_figure(system, known, found, threshold)


def _methods(methods: pd.DataFrame) -> str:
    rows = []
    for row in methods.to_dict("records"):
        total = int(row["crystals"])
        low, high = wilson(int(row["sun"]), total)
        share = f"{row['sun']} of {total}, {percent(row['sun'] / total)} ({percent(low)} to {percent(high)})"
        rows.append(
            (
                text(row["method"]),
                str(row["relaxed"]),
                str(row["meets_request"]),
                str(row["stable"]),
                share,
                str(row["on_hull"]),
                str(row["new_on_hull"]),
                f"{row['core_seconds']:.0f}",
            )
        )
    heads = (
        "method",
        "relaxed",
        "of the system",
        "stable",
        "S.U.N.",
        "on the combined hull",
        "new on it",
        "core-seconds",
    )
    return plain_table(heads, rows)


def _phases(phases: pd.DataFrame) -> str:
    rows = [
        (
            formula(str(row["formula"])),
            number(float(row["formation_energy"])),
            text(row["found_by"]),
            number(float(row["gain"])) if str(row["is_new"]) == "True" else "",
            text(row["ids"]),
        )
        for row in phases.to_dict("records")
    ]
    heads = ("phase", "formation energy (eV/atom)", "found by", "below the known hull (eV/atom)", "crystals")
    return plain_table(heads, rows)


def _runs(record: dict[str, Any]) -> str:
    rows = []
    for name, one in record["methods"].items():
        link = f'<a href="{text(one["run"])}/report.html">{text(name)}</a>'
        rows.append((link, text(", ".join(one["where"]))))
    return plain_table(("report", "asked for"), rows)
