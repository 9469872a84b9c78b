"""The run beside the structures of its reference, and under the published protocol that it follows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from nucleate.errors import UserError
from nucleate.intervals import Rate
from nucleate.report.markup import MISSING, number, percent, plain_table, text
from nucleate.report.run_data import RunData
from nucleate.screening.protocols import outcome

_MAX_BYTES = 2_000_000


def comparison_section(run: RunData) -> str:
    """Rates of the protocol followed, rates against the number of samples, and distances to the reference."""
    content = _read(run)
    try:
        stored = _curves(content.get("curves", ())) + _beside(content.get("beside"))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, StopIteration):
        stored = '<p class="note">comparison.json is damaged, so the run is not shown beside its reference.</p>'
    return _published(run) + stored


def _published(run: RunData) -> str:
    """The published protocol's own rates, each with its definition, and where the run departs from it."""
    try:
        found = outcome(run.protocol, run.candidates)
    except UserError as error:
        return f'<p class="note">{text(error)}</p>'
    if found is None:
        return '<p class="note">No published protocol was followed; <code>--protocol mattergen</code> does.</p>'
    words = {share.name: share.words for share in found.definition.rates}
    rows = [(text(rate.name), _rate(rate), text(words[rate.name])) for rate in found.rates]
    lines = "".join(f"<li>{text(line)}</li>" for line in found.deviations)
    return (
        f"<h3>As {text(found.definition.title)} counts</h3>"
        f'<p class="note">{text(found.definition.source)}</p>'
        + plain_table(("rate", "share", "definition"), rows)
        + f'<p class="note">Departures from it:</p><ul class="note">{lines}</ul>'
    )


def _curves(points: Iterable[Mapping[str, Any]]) -> str:
    """Uniqueness and novelty of the first k crystals in the order in which they were drawn."""
    rates = [Rate(str(one["name"]), "all", int(one["count"]), int(one["total"])) for one in points]
    counts = sorted({rate.total for rate in rates})
    if len(counts) < 2:
        return ""
    values = {(rate.name, rate.total): percent(rate.value) for rate in rates}
    names = dict.fromkeys(rate.name for rate in rates)
    rows = [(text(name), *(values[name, k] for k in counts)) for name in names]
    return "<h3>Against the number of samples</h3>" + plain_table(("of the first", *map(str, counts)), rows)


def _beside(content: Mapping[str, Any] | None) -> str:
    if content is None:
        return '<p class="note">The reference holds no structures to compare the run with.</p>'
    numbers = [
        (text(one["name"]), _unit(one["distance"], one["unit"]), number(one["found"][2]), number(one["expected"][2]))
        for one in content["numbers"]
    ]
    kinds = [
        (
            text(one["name"]),
            number(one["distance"]),
            number(one["chi_squared"]) if one["name"].startswith("space groups") else MISSING,
        )
        for one in content["kinds"]
    ]
    classes = next(one for one in content["kinds"] if one["name"] == "classes of chemistry")
    names = dict.fromkeys([*classes["found"], *classes["expected"]])
    chemistry = [
        (text(name), percent(classes["found"].get(name, 0.0)), percent(classes["expected"].get(name, 0.0)))
        for name in names
    ]
    near = content["coverage"]
    shares = [
        (text(one["name"]), _rate(Rate(one["name"], "all", int(one["count"]), int(one["total"]))))
        for one in (*content["p1"], near["recall"], near["precision"], near["reference_by_itself"])
    ]
    head = f"<h3>Beside {text(content['reference'])} ({int(content['n_reference']):,} structures)</h3>"
    return (
        head
        + plain_table(("number", "Wasserstein distance", "median", "median there"), numbers)
        + plain_table(("kinds", "Jensen-Shannon distance", "chi-squared"), kinds)
        + plain_table(("class of chemistry", "share", "share there"), chemistry)
        + plain_table(("P1 and coverage", "share"), shares)
    )


def _read(run: RunData) -> dict[str, Any]:
    """The stored comparison; empty where there is none."""
    path = run.folder / "comparison.json"
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _unit(value: float | None, unit: str) -> str:
    return number(value) + (f" {text(unit)}" if unit and value is not None else "")


def _rate(rate: Rate) -> str:
    if not rate.total:
        return MISSING
    low, high = rate.interval
    return f"{percent(rate.value)} ({rate.count} of {rate.total}; {percent(low)[:-2]} to {percent(high)})"
