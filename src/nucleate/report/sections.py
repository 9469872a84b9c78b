"""The parts of the page that are mostly words: headline, funnel, failures, timings, citations, configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nucleate.citations import CITATIONS
from nucleate.errors import Status
from nucleate.evaluation.summary import RATES, Summary
from nucleate.intervals import Rate
from nucleate.report.markup import MISSING, compact, duration, number, percent, text
from nucleate.report.rates import Step, meanings, relaxed_rate
from nucleate.report.run_data import RunData
from nucleate.runs.record import RunRecord, Timing

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


_FOLLOWED = ("follows", "source", "deviations")
"""What the record says of a published protocol, which the comparison shows."""


def headline_section(run: RunData, summary: Summary) -> str:
    """Rates with intervals and the two central distances, then the protocol they were made under."""
    defined = meanings(run)
    rates = [rate for rate in summary.rates if rate.group == "all"]
    named = {rate.name: rate for rate in rates}
    cards = [
        _rate_card(named[name], meaning)
        if _is_measured(name, run)
        else _card(MISSING, name, "not measured in this run")
        for name, meaning in defined.items()
        if name in named
    ]
    cards.append(_rate_card(relaxed_rate(run), "the relaxation converged"))
    cards += _value_cards(summary)
    p1 = [rate for rate in rates if rate.name.startswith("P1") and rate.total]
    if p1:
        shown = " → ".join(percent(rate.value) for rate in p1)
        cards.append(_card(shown, "P1", "share without symmetry" + (", generated → relaxed" if len(p1) == 2 else "")))
    return f'<div class="stats">{"".join(cards)}</div>{_protocol(run)}'


def _is_measured(name: str, run: RunData) -> bool:
    """Whether any row says yes or no; a rate of nothing but unknown values would read as 0 %."""
    columns = ["is_stable", "is_unique", "is_novel"] if name == "S.U.N." else [RATES[name]]
    return not len(run.candidates) or all(bool(run.candidates[column].notna().any()) for column in columns)


def _rate_card(rate: Rate, meaning: str) -> str:
    if not rate.total:
        return _card(MISSING, rate.name, meaning)
    low, high = rate.interval
    css = " lead" if rate.name == "S.U.N." else ""
    bar = (
        f'<svg class="interval" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" x="0" y="3" width="100" height="2"/>'
        f'<rect class="range" x="{100 * low:.2f}" y="2" width="{100 * (high - low):.2f}" height="4"/>'
        f'<rect class="point" x="{100 * rate.value - 0.6:.2f}" y="0" width="1.2" height="8"/></svg>'
    )
    counts = f"{rate.count} of {rate.total} (95 % CI {percent(low)[:-2]} to {percent(high)})"
    return _card(percent(rate.value), rate.name, meaning, f'{bar}<p class="counts">{counts}</p>', css)


def _value_cards(summary: Summary) -> list[str]:
    wanted = {
        "energy above hull (eV/atom)": ("eV/atom", "energy above hull, median"),
        "RMSD to the relaxed structure (Å)": ("Å", "RMSD to the relaxed structure, median"),
    }
    cards = []
    for mean in summary.means:
        if mean.group == "all" and mean.name in wanted and mean.count:
            unit, name = wanted[mean.name]
            spread = f"mean {number(mean.value)} ± {number(mean.standard_error)} {unit} (standard error)"
            cards.append(
                _card(f"{number(mean.median)} <small>{unit}</small>", name, f"{spread}, {mean.count} crystals")
            )
    return cards


def _card(value: str, name: str, meaning: str, more: str = "", css: str = "") -> str:
    """A figure with its name; ``value`` and ``more`` are markup."""
    return (
        f'<div class="stat{css}"><p class="value">{value}</p><p class="label">{text(name)}</p>{more}'
        f'<p class="meaning">{text(meaning)}</p></div>'
    )


def _protocol(run: RunData) -> str:
    items = [
        f"<b>{text(str(name).replace('_', ' '))}</b> {text(value)}"
        for name, value in run.protocol.stated().items()
        if name not in _FOLLOWED
    ]
    return (
        f'<p class="protocol">Protocol: {"; ".join(items)}. Rates count all {len(run.candidates)} rows, what is '
        "unknown counts as no; intervals are Wilson's at 95 %.</p>"
    )


def funnel_section(steps: list[Step]) -> str:
    """What is left after each step, as bars; where nothing is left, at which step and what to loosen."""
    top = max(steps[0].count, 1)
    rows = "".join(
        f'<li><span class="name">{text(step.name)}</span><span class="track"><span class="fill" '
        f'style="width:{100 * step.count / top:.2f}%"></span></span><span class="figure">{step.count}'
        f"<small> {percent(step.count / top)}</small></span></li>"
        for step in steps
    )
    return f'{nothing_survived(steps)}<ol class="funnel">{rows}</ol>'


def nothing_survived(steps: list[Step]) -> str:
    """A box that names the step where the last crystal was lost; empty where some survive."""
    for step in steps:
        if step.count == 0:
            where = "Nothing was generated" if step is steps[0] else f"Nothing survived the step “{step.name}”"
            return f'<div class="empty" role="note"><b>{text(where)}.</b> {text(step.advice)}</div>'
    return ""


def warnings_box(warnings: list[str]) -> str:
    """What a reader must know first; empty where there is nothing."""
    if not warnings:
        return ""
    items = "".join(f"<li>{text(item)}</li>" for item in warnings)
    return f'<div class="warnings" role="note"><b>Read this first</b><ul>{items}</ul></div>'


def failures_section(table: pd.DataFrame, per_status: int = 5) -> str:
    """Each status with its count and its most frequent reasons."""
    if not len(table):
        return '<p class="note">There are no rows.</p>'
    if (table["status"] == Status.OK).all():
        return '<p class="note">No crystal failed.</p>'
    parts = []
    for status, rows in table[table["status"] != Status.OK].groupby("status", sort=False):
        meaning = _STATUS_MEANING.get(status, "")
        reasons = rows["reason"].replace("", "no reason given")
        of_each = rows["id"].groupby(reasons).agg(list).sort_values(key=lambda ids: -ids.str.len(), kind="stable")
        items = "".join(
            f"<li>{text(reason)} <span class=faint>({text(_few(ids))})</span></li>"
            for reason, ids in of_each.head(per_status).items()
        )
        if len(of_each) > per_status:
            items += f'<li class="faint">and {len(of_each) - per_status} other reasons, in the table above</li>'
        parts.append(
            f'<tr><th scope="row"><span class="status bad">{text(status)}</span></th><td class="num">{len(rows)}</td>'
            f"<td>{text(meaning)}</td><td><ul>{items}</ul></td></tr>"
        )
    return (
        '<div class="scroll"><table><thead><tr><th>Status</th><th class="num">Crystals</th><th>Meaning</th>'
        f"<th>Reasons</th></tr></thead><tbody>{''.join(parts)}</tbody></table></div>"
    )


def _few(ids: Sequence[str], most: int = 3) -> str:
    """Some ids and how many more there are."""
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def timings_section(timings: Mapping[str, Timing]) -> str:
    """Wall time, core time and speed of each stage."""
    if not timings:
        return '<p class="note">This run holds no timings.</p>'
    total = sum(spent.seconds for spent in timings.values()) or 1.0
    rows = []
    for name, spent in timings.items():
        crystals, core = spent.crystals, spent.core_seconds
        rate = f"{compact(core / crystals)} core-s" if crystals and core else MISSING
        bar = f'<span class="fill" style="width:{100 * spent.seconds / total:.1f}%"></span>'
        rows.append(
            f'<tr><th scope="row">{text(name)}</th><td class="num">{duration(spent.seconds)}</td>'
            f'<td class="num">{duration(core) if core else MISSING}</td>'
            f'<td class="num">{crystals or MISSING}</td><td class="num">{rate}</td>'
            f'<td class="barcell"><span class="track">{bar}</span></td></tr>'
        )
    return (
        '<div class="scroll"><table><thead><tr><th>Stage</th><th class="num">Wall time</th>'
        '<th class="num">Core time</th><th class="num">Crystals</th><th class="num">Per crystal</th>'
        "<th>Share of wall time</th></tr></thead><tbody>"
        f"{''.join(rows)}</tbody></table></div>"
    )


def citations_section(keys: Any) -> str:
    """The works that this run rests on, and their BibTeX to copy."""
    names = list(dict.fromkeys(str(key) for key in keys)) if isinstance(keys, list | tuple) else []
    if not names:
        return '<p class="note">This run does not say what to cite.</p>'
    items, entries = [], []
    for name in names:
        work = CITATIONS.get(name)
        if work is None:
            items.append(f'<li>{text(name)} <span class="faint">(not in the table of this version)</span></li>')
            continue
        entries.append(work.bibtex)
        link = f'<a href="{text(work.url)}" rel="noreferrer">\\1</a>' if work.url else r"\1"
        shown = re.sub(r"((?:doi:|arXiv:|https://)\S+)$", link, text(work.text))
        items.append(f'<li>{shown}. <span class="faint">For: {text(work.used_for)}.</span></li>')
    bibtex = "\n\n".join(entries)
    return (
        f'<ul class="works">{"".join(items)}</ul><details><summary>BibTeX</summary>'
        '<button type="button" class="copy needs-script" data-copy="bibtex">Copy</button>'
        f'<pre id="bibtex">{text(bibtex)}</pre></details>'
    )


def configuration_section(record: RunRecord) -> str:
    """The whole ``run.json``, as it is."""
    return (
        "<details><summary>run.json, all of it</summary>"
        '<button type="button" class="copy needs-script" data-copy="configuration">Copy</button>'
        f'<pre id="configuration">{text(record.to_json().rstrip())}</pre></details>'
    )
