"""The comparison of models as a page and as Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from nucleate.evaluation.benchmark import ALL, COMMON
from nucleate.io.writing import write_whole
from nucleate.report.document import document
from nucleate.report.markup import MISSING, plain_table, plural, text
from nucleate.report.sections import citations_section, warnings_box
from nucleate.report.side_by_side_figures import size_figure, speed_figure, standalone, sun_figure, systems_figure
from nucleate.report.side_by_side_tables import Compared, Table, costs, requests, tables_of
from nucleate.report.side_by_side_tables import headline as _headline

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
_ALT = {
    "sun.svg": "S.U.N. of each source with its interval",
    "speed.svg": "S.U.N. against S.U.N. crystals a core-hour",
}


def build_comparison(folder: Path) -> Path:
    """Write ``comparison.html``, ``comparison.md`` and ``figures/`` into a comparison's folder; returns the page.

    Raises:
        UserError: The folder holds no comparison.
    """
    found = Compared.read(folder)
    for name, drawn in _figures(found).items():
        write_whole(folder / FIGURES / name, standalone(drawn).encode())
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
    tables = tables_of(found, ALL)
    bodies = {name: "".join(map(_html, some)) for name, some in tables.items() if some}
    bodies["Summary"] += _cards([("S.U.N.", sun_figure(found)), ("Quality against speed", speed_figure(found))])
    both = [("Valid", size_figure(found, "valid")), ("S.U.N.", size_figure(found, "S.U.N."))]
    bodies["Size"] = _cards(both) + bodies["Size"]
    bodies["Symmetry"] += _cards([("Crystal systems", systems_figure(found))])
    asked = requests(found)
    if asked:
        bodies["Requests"] = "".join(map(_html, asked))
    bodies["Costs"] = _html(costs(found))
    subset = f'<p class="note">{text(_subset_note(found))}</p>'
    subset += _cards([("S.U.N.", sun_figure(found, COMMON)), ("Crystal systems", systems_figure(found, COMMON))])
    bodies["Common"] = subset + "".join(_html(table) for some in tables_of(found, COMMON).values() for table in some)
    bodies["Runs"] = _runs(found)
    bodies["Cite"] = citations_section(found.record.get("citations"))
    sections = "".join(
        f'<section id="{name.lower()}"><h2>{title}</h2>{bodies[name]}</section>'
        for name, title in _TITLES.items()
        if name in bodies
    )
    protocol = f'<p class="protocol">{text(_protocol(found))}</p>'
    body = (
        f"<main><header><h1>{text(_title(found))}</h1><p>{text(_subtitle(found))}</p></header>"
        f"{warnings_box(found.record.get('warnings', []))}{protocol}{sections}</main>"
        "<footer>Made by Nucleate; needs no network.</footer>"
    )
    return document(_title(found), [(name.lower(), name) for name in _TITLES if name in bodies], body)


def markdown(found: Compared) -> str:
    """The comparison as Markdown, with the two figures beside it."""
    parts = [f"# {_title(found)}", f"{_subtitle(found)}.", _protocol(found)]
    parts += [f"> {warning}" for warning in found.record.get("warnings", [])]
    for name, tables in tables_of(found, ALL).items():
        if tables:
            parts += [f"## {_TITLES[name]}", *(_plain(table) for table in tables)]
        if name == "Summary":
            parts += [f"![{_ALT[figure]}]({FIGURES}/{figure})" for figure in _figures(found)]
    asked = requests(found)
    if asked:
        parts += [f"## {_TITLES['Requests']}", *(_plain(table) for table in asked)]
    parts += [f"## {_TITLES['Costs']}", _plain(costs(found))]
    parts += [f"## {_TITLES['Common']}", _subset_note(found)]
    for name, tables in tables_of(found, COMMON).items():
        if tables:
            parts += [f"### {_TITLES[name]}", *(_plain(table) for table in tables)]
    return "\n\n".join(parts) + "\n"


def _figures(found: Compared) -> dict[str, str]:
    """Figures for documents, by the names of their files."""
    drawn = {"sun.svg": sun_figure(found), "speed.svg": speed_figure(found)}
    return {name: figure for name, figure in drawn.items() if figure}


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


def _html(table: Table) -> str:
    rows = [(f"<b>{text(row[0])}</b>", *map(text, row[1:])) for row in table.rows]
    title = f"<h3>{text(table.title)}</h3>" if table.title else ""
    note = f'<p class="note">{text(table.note)}</p>' if table.note else ""
    return title + plain_table(table.heads, rows) + note


def _plain(table: Table) -> str:
    def cell(value: str) -> str:
        return re.sub(r"\s+", " ", value.replace("|", "\\|").replace("<", "&lt;")).strip()

    lines = ["| " + " | ".join(map(cell, table.heads)) + " |", "|" + "---|" * len(table.heads)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in table.rows]
    parts = [f"**{table.title}**"] if table.title else []
    return "\n\n".join([*parts, "\n".join(lines), *([table.note] if table.note else [])])


def _cards(figures: list[tuple[str, str]]) -> str:
    cards = [
        f'<figure class="card"><figcaption>{text(title)}</figcaption>{drawn}</figure>'
        for title, drawn in figures
        if drawn
    ]
    return f'<div class="cards two">{"".join(cards)}</div>'


def _runs(found: Compared) -> str:
    rows = []
    for one in found.record["sources"]:
        link = f'<a href="{text(one["run"])}/report.html">{text(one["label"])}</a>'
        size = str(one["n"]) + (f" of {one['drawn_from']}" if one.get("drawn_from") else "")
        refused = "; ".join(one.get("not_offered") or ()) or MISSING
        about = one.get("summary") or one.get("file") or one["kind"]
        rows.append((link, text(about), text(size), text(one.get("training_data") or MISSING), text(refused)))
    return plain_table(("report", "what it is", "crystals", "trained on", "requests that it does not take"), rows)
