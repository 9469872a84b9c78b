"""The report: one HTML file made from a run folder, with everything in it and nothing fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nucleate.io.writing import write_whole
from nucleate.report.comparison_section import comparison_section
from nucleate.report.distributions import distributions
from nucleate.report.document import asset, document
from nucleate.report.funnel_section import filters_section
from nucleate.report.hull_section import hull_section
from nucleate.report.markup import formula, text, timestamp
from nucleate.report.rates import doubts, funnel, measured
from nucleate.report.run_data import RunData, read_run
from nucleate.report.screening_figures import screening_figures
from nucleate.report.sections import (
    citations_section,
    configuration_section,
    failures_section,
    funnel_section,
    headline_section,
    timings_section,
    warnings_box,
)
from nucleate.report.structures import carried, viewer_payload
from nucleate.report.table import candidate_table
from nucleate.report.viewer import viewer_section

_SCRIPTS = ("viewer.js", "table.js", "page.js")
_SECTIONS = (
    "Summary",
    "Structures",
    "Candidates",
    "Screening",
    "Hull",
    "Distributions",
    "Comparison",
    "Failures",
    "Timings",
    "Cite",
    "Setup",
)


def build_report(run_folder: Path) -> Path:
    """Write ``report.html`` into a run folder from what lies there; a finished part of a run is enough.

    Arguments:
        run_folder: A folder with ``run.json`` and, as far as they are there, ``candidates/*.parquet``, ``hull.json``
            and ``cifs/*.cif``.

    Returns:
        The path of the page.

    Raises:
        UserError: The folder is no run, or of another version, or the page cannot be written.
    """
    run_folder = Path(run_folder)
    page = render(read_run(run_folder))
    path = run_folder / "report.html"
    write_whole(path, page.encode())
    return path


def render(run: RunData) -> str:
    """The page of a run as HTML."""
    summary = measured(run)
    rows = carried(run)
    ids = {row["id"] for row in rows}
    payload = viewer_payload(rows, {key: cif for key, cif in run.cifs.items() if key in ids})
    script = "\n".join(asset(name) for name in _SCRIPTS)
    warnings = list(dict.fromkeys([*run.warnings, *doubts(run), *summary.warnings]))
    bodies = {
        "Summary": headline_section(run, summary) + funnel_section(funnel(run)),
        "Structures": viewer_section(len(rows), len(run.candidates)),
        "Candidates": candidate_table(run, ids),
        "Screening": filters_section(run) + screening_figures(run),
        "Hull": hull_section(run),
        "Distributions": distributions(run) if len(run.candidates) else '<p class="note">There are no rows.</p>',
        "Comparison": comparison_section(run),
        "Failures": failures_section(run.candidates),
        "Timings": timings_section(run.record.timings),
        "Cite": citations_section(run.record.citations),
        "Setup": _versions(run.record.versions) + configuration_section(run.record),
    }
    titles = {
        "Summary": "Summary",
        "Structures": "Best structures",
        "Candidates": "Candidates",
        "Screening": "Screening",
        "Hull": "Convex hull",
        "Distributions": "Distributions",
        "Comparison": "Comparison",
        "Failures": "Failures",
        "Timings": "Timings",
        "Cite": "What to cite",
        "Setup": "Configuration",
    }
    sections = "".join(
        f'<section id="{name.lower()}"><h2>{titles[name]}</h2>{bodies[name]}</section>' for name in _SECTIONS
    )
    links = [(name.lower(), name) for name in _SECTIONS]
    title, subtitle = _title(run)
    body = (
        f"<main><header><h1>{formula(title)}</h1><p>{subtitle}</p></header>{warnings_box(warnings)}{sections}</main>"
        f"<footer>Made by Nucleate from {text(run.folder.resolve().name)}; needs no network.</footer>"
        f'<div id="tip" role="tooltip" hidden></div>'
        f'<script type="application/json" id="payload">{_embedded(payload)}</script>'
    )
    return document(title, links, body, script)


def _embedded(payload: dict[str, Any]) -> str:
    """JSON that no content can turn into markup."""
    plain = json.dumps(payload, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _title(run: RunData) -> tuple[str, str]:
    record = run.record
    conditions = dict(item.partition("=")[::2] for item in record.where)
    target = conditions.get("composition") or conditions.get("chemical_system", "").replace("-", "\N{EN DASH}")
    n = len(run.candidates)
    head = f"{n} crystal{'' if n == 1 else 's'}" + (f" of {target}" if target else "")
    title = f"{head} from {Path(record.source).name}"
    parts = [f"nucleate {record.command}", f"seed {record.seed}"]
    if record.where:
        parts.insert(1, "asked for " + ", ".join(text(item) for item in record.where))
    if record.n != n:
        parts.append(f"{record.n} requested")
    parts.append(timestamp(record.created.isoformat()))
    return title, " · ".join(parts)


def _versions(versions: Mapping[str, str]) -> str:
    items = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in versions.items())
    return f'<dl class="versions">{items}</dl>'
