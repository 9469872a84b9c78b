"""The report: one HTML file made from a run folder, with everything in it and nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nucleate.citations import CITATIONS, Citation
from nucleate.errors import Status, UserError
from nucleate.io.writing import write_whole
from nucleate.report.candidates import candidate_table, carried, viewer_payload
from nucleate.report.distributions import distributions, periodic_table, read_comparison, share
from nucleate.report.document import MISSING, Table, asset, compact, document, duration, plural, timestamp
from nucleate.report.phase_diagram import run_hull
from nucleate.report.rates import doubts, funnel, headline, measured, nothing_survived
from nucleate.report.run_data import RunData, read_run
from nucleate.report.screening import declared_funnel, filter_rows, largest, screening_figures
from nucleate.runs.record import Timing
from nucleate.screening.protocols import Outcome, outcome

_SCRIPTS = ("viewer.js", "table.js", "page.js")
_SECTIONS = {
    "summary": "Summary",
    "structures": "Structures",
    "candidates": "Candidates",
    "screening": "Screening",
    "hull": "Hull",
    "distributions": "Distributions",
    "comparison": "Comparison",
    "failures": "Failures",
    "timings": "Timings",
    "cite": "Cite",
    "setup": "Setup",
}
_FOLLOWED = ("follows", "source", "deviations")
"""Entries of the record on a published protocol, which the comparison shows."""
_STATUS_MEANING = {
    Status.OK: "relaxed and placed on the hull",
    Status.INVALID_INPUT: "the structure could not be read",
    Status.INVALID_GEOMETRY: "atoms too close or an implausible cell",
    Status.UNCONVERGED: "forces too large after the last step",
    Status.TIME_LIMIT: "stopped by the time limit",
    Status.EXPLODED: "the cell or the energy ran away",
    Status.NOT_FINITE: "energy, forces or stress are not finite",
    Status.NO_REFERENCE: "relaxed, but the reference lacks phases to place it",
    Status.REPEATED: "not relaxed: an earlier candidate has its protostructure",
    Status.KNOWN: "not relaxed: the reference has its protostructure",
    Status.ERROR: "an unexpected error",
}


@dataclass(frozen=True)
class Failure:
    """A status other than ok: its count, what it means, its commonest reasons with some ids, and how many more."""

    status: str
    count: int
    meaning: str
    reasons: tuple[tuple[str, str], ...]
    n_more: int


@dataclass(frozen=True)
class Spent:
    """A stage: its times in words, the crystals, the time of each, and its share of the wall time, from 0 to 1."""

    stage: str
    wall: str
    core: str
    crystals: str
    each: str
    share: float


@dataclass(frozen=True)
class CitedWork:
    """A work to cite, its text cut where its address begins; without ``work`` it is not known to this version."""

    name: str
    work: Citation | None
    text: str = ""
    address: str = ""


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
    ids = {row.text("id") for row in rows}
    cifs = {key: cif for key, cif in run.cifs.items() if key in ids}
    table = candidate_table(run, ids)
    steps = funnel(run)
    declared = declared_funnel(run)
    title, details = _title(run)
    return document(
        "run.html",
        title,
        _SECTIONS,
        script="\n".join(asset(name) for name in _SCRIPTS),
        details=details,
        folder=run.folder.resolve().name,
        warnings=list(dict.fromkeys([*run.warnings, *doubts(run), *summary.warnings])),
        cards=headline(run, summary),
        protocol={str(k).replace("_", " "): v for k, v in run.protocol.stated().items() if k not in _FOLLOWED},
        steps=steps,
        lost=nothing_survived(steps),
        n_structures=len(rows),
        n_rows=len(run.candidates),
        table=table,
        funnel=declared,
        filters=filter_rows(declared) if declared else [],
        largest=largest(declared, run) if declared else [],
        screening=screening_figures(run),
        hull=run_hull(run),
        distributions=distributions(run) if len(run.candidates) else [],
        elements=periodic_table(run.candidates),
        published=_published(run),
        comparison=read_comparison(run),
        failures=failures(run.candidates),
        timings=timings(run.record.timings),
        citations=citations(run.record.citations),
        versions=run.record.versions,
        record=run.record.to_json().rstrip(),
        payload=viewer_payload(rows, cifs) | {"columns": table.numbers},
    )


def _title(run: RunData) -> tuple[str, list[str]]:
    """Title of the page, and the parts of the line below it."""
    record = run.record
    conditions = dict(item.partition("=")[::2] for item in record.where)
    target = conditions.get("composition") or conditions.get("chemical_system", "").replace("-", "\N{EN DASH}")
    n = len(run.candidates)
    head = plural(n, "crystal") + (f" of {target}" if target else "")
    parts = [f"nucleate {record.command}", f"seed {record.seed}"]
    if record.where:
        parts.insert(1, "asked for " + ", ".join(record.where))
    if record.n != n:
        parts.append(f"{record.n} requested")
    parts.append(timestamp(record.created.isoformat()))
    return f"{head} from {Path(record.source).name}", parts


def _published(run: RunData) -> tuple[Outcome, Table] | str:
    """The published protocol's own rates, each with its definition; or why there are none."""
    try:
        found = outcome(run.protocol, run.candidates)
    except UserError as error:
        return str(error)
    if found is None:
        return ""
    words = {rate.name: rate.words for rate in found.definition.rates}
    rows = tuple((rate.name, share(rate), words[rate.name]) for rate in found.rates)
    return found, Table(("rate", "share", "definition"), rows)


def failures(table: pd.DataFrame, per_status: int = 5) -> list[Failure]:
    """Each status but ok with its count and its most frequent reasons."""
    found = []
    for status, rows in table[table["status"] != Status.OK].groupby("status", sort=False):
        reasons = rows["reason"].replace("", "no reason given")
        of_each = rows["id"].groupby(reasons).agg(list).sort_values(key=lambda ids: -ids.str.len(), kind="stable")
        shown = tuple((str(reason), _few(ids)) for reason, ids in of_each.head(per_status).items())
        more = max(len(of_each) - per_status, 0)
        found.append(Failure(str(status), len(rows), _STATUS_MEANING.get(status, ""), shown, more))
    return found


def _few(ids: list[str], most: int = 3) -> str:
    """Some ids and how many more there are."""
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def timings(spent: Mapping[str, Timing]) -> list[Spent]:
    """Wall time, core time and speed of each stage."""
    total = sum(one.seconds for one in spent.values()) or 1.0
    rows = []
    for name, one in spent.items():
        crystals, core = one.crystals, one.core_seconds
        each = f"{compact(core / crystals)} core-s" if crystals and core else MISSING
        times = duration(one.seconds), duration(core) if core else MISSING
        rows.append(Spent(name, *times, str(crystals or MISSING), each, one.seconds / total))
    return rows


def citations(keys: Iterable[str]) -> list[CitedWork]:
    """The works that a record names, in its order."""
    found = []
    for name in dict.fromkeys(keys):
        work = CITATIONS.get(name)
        if work is None:
            found.append(CitedWork(name, None))
            continue
        address = re.search(r"(?:doi:|arXiv:|https://)\S+$", work.text)
        text = work.text[: address.start()] if address else work.text
        found.append(CitedWork(name, work, text, address[0] if address else ""))
    return found
