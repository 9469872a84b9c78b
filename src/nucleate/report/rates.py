"""The headline figures of a run: shares with intervals, the funnel, and what to loosen where nothing is left."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from nucleate.errors import RELAXED, Status
from nucleate.evaluation.summary import RATES, Protocol, Summary, summarise
from nucleate.intervals import Rate
from nucleate.report.document import MISSING, number, percent
from nucleate.report.run_data import RunData
from nucleate.screening.filters import Filter
from nucleate.screening.funnel import Funnel, apply_funnel
from nucleate.screening.funnels import sun


def measured(run: RunData) -> Summary:
    """The averages of a run, as ``nucleate.evaluation`` defines them."""
    stated = run.protocol
    return summarise(
        run.candidates,
        Protocol(
            potential=stated.potential,
            reference=stated.reference,
            relaxation=stated.relaxation,
            threshold=run.threshold,
            matcher=stated.matcher,
            n_requested=run.record.n,
        ),
    )


@dataclass(frozen=True)
class Card:
    """A figure that the page opens with.

    Attributes:
        name: What it is called.
        value: The figure, ready to be read.
        meaning: What it means in a few words.
        unit: Of the value.
        counts: What the share is made of.
        interval: Low end, share and high end of its 95 % interval, from 0 to 1.
    """

    name: str
    value: str
    meaning: str
    unit: str = ""
    counts: str = ""
    interval: tuple[float, float, float] | None = None


def headline(run: RunData, summary: Summary) -> list[Card]:
    """Rates with intervals, the two central distances and the share without symmetry."""
    rates = [rate for rate in summary.rates if rate.group == "all"]
    named = {rate.name: rate for rate in rates}
    cards = [
        _rate_card(named[name], meaning) if _is_measured(name, run) else Card(name, MISSING, "not measured in this run")
        for name, meaning in _meanings(run).items()
        if name in named
    ]
    cards.append(_rate_card(relaxed_rate(run), "the relaxation converged"))
    cards += _distances(summary)
    p1 = [rate for rate in rates if rate.name.startswith("P1") and rate.total]
    if p1:
        shown = " → ".join(percent(rate.value) for rate in p1)
        cards.append(Card("P1", shown, "share without symmetry" + (", generated → relaxed" if len(p1) == 2 else "")))
    return cards


def _meanings(run: RunData) -> dict[str, str]:
    """The rates that the page opens with, by name, each with its definition in a few words."""
    limit = f"{run.threshold:g} eV/atom"
    return {
        "S.U.N.": "stable, unique and novel at once",
        "stable": f"relaxed, and at most {limit} above the hull",
        "novel": "matches no known structure of the reference",
        "unique": "first of its kind in this run",
        "valid": "no atoms too close, plausible density",
        "meets request": "has the elements, size and space group asked for",
    }


def _is_measured(name: str, run: RunData) -> bool:
    """Whether any row says yes or no; a rate of nothing but unknown values would read as 0 %."""
    columns = ["is_stable", "is_unique", "is_novel"] if name == "S.U.N." else [RATES[name]]
    return not len(run.candidates) or all(bool(run.candidates[column].notna().any()) for column in columns)


def _rate_card(rate: Rate, meaning: str) -> Card:
    if not rate.total:
        return Card(rate.name, MISSING, meaning)
    low, high = rate.interval
    counts = f"{rate.count} of {rate.total} (95 % CI {percent(low)[:-2]} to {percent(high)})"
    return Card(rate.name, percent(rate.value), meaning, counts=counts, interval=(low, rate.value, high))


def _distances(summary: Summary) -> list[Card]:
    wanted = {
        "energy above hull (eV/atom)": ("eV/atom", "energy above hull, median"),
        "RMSD to the relaxed structure (Å)": ("Å", "RMSD to the relaxed structure, median"),
    }
    cards = []
    for mean in summary.means:
        if mean.group == "all" and mean.name in wanted and mean.count:
            unit, name = wanted[mean.name]
            spread = f"mean {number(mean.value)} ± {number(mean.standard_error)} {unit} (standard error)"
            cards.append(Card(name, number(mean.median), f"{spread}, {mean.count} crystals", unit))
    return cards


def doubts(run: RunData) -> list[str]:
    """Sentences on what the rates leave open because nothing measured it."""
    table = run.candidates
    found = []
    if len(table) and table["is_novel"].isna().all():
        found.append("Novelty is unknown for every crystal (the reference holds no structures), so there is no S.U.N.")
    if len(table) and (table["status"] == Status.OK).any() and table["energy_above_hull"].isna().all():
        found.append("No crystal has a known energy above the hull, so none is shown to be stable.")
    return found


def relaxed_rate(run: RunData) -> Rate:
    """Share of rows whose relaxation converged, placed on a hull or not."""
    return Rate("relaxed", "all", int(_relaxed(run.candidates).sum()), len(run.candidates))


def _relaxed(table: pd.DataFrame) -> pd.Series:
    return table["status"].isin(RELAXED)


def nothing_survived(steps: list[Step]) -> tuple[str, str] | None:
    """The step where the last crystal was lost, and what to loosen; None where some survive."""
    for step in steps:
        if step.count == 0:
            where = "Nothing was generated" if step is steps[0] else f"Nothing survived the step “{step.name}”"
            return where, step.advice
    return None


@dataclass(frozen=True)
class Step:
    """A step of the funnel: how many rows pass it and all before it, and what to loosen if none does."""

    name: str
    count: int
    advice: str


def funnel(run: RunData) -> list[Step]:
    """Rows left after each test, in the order in which they are applied; a test without any result is left out."""
    table = run.candidates.assign(is_relaxed=_relaxed(run.candidates))  # by status, whether or not energies are there
    steps = [Step("generated", len(table), "Nothing was generated: the run stopped early, or its shards are missing.")]
    advice = {
        "request": _REQUEST_ADVICE,
        "valid": _VALID_ADVICE,
        "relaxed": _relaxation_advice(table),
        "placed": _PLACED_ADVICE,
        "stable": _stable_advice(run),
        "unique": "All that is stable repeats itself: ask for more crystals or another seed.",
        "novel": _NOVEL_ADVICE,
    }
    asked = Filter.parse("request", "meets_request = true", title="meet the request")
    relaxed = Filter.parse("relaxed", "is_relaxed = true", title="relaxed")
    rules = [relaxed if rule.name == "relaxed" else rule for rule in sun().filters]
    made = [rule for rule in (asked, *rules) if rule.comparison == "known" or table[rule.column].notna().any()]
    result = apply_funnel(Funnel("sun", tuple(made)), table)
    return steps + [Step(s.filter.label, s.in_sequence.passed, advice[s.filter.name]) for s in result.steps]


_REQUEST_ADVICE = (
    "No crystal met what was asked. Allow subsystems (--allow-subsystems), widen the ranges, or take a model that "
    "knows this condition (nucleate models)."
)
_VALID_ADVICE = (
    "Every crystal has atoms too close together or an implausible density. Ask for smaller cells (n_atoms), or take "
    "another model."
)
_PLACED_ADVICE = (
    "The reference lacks phases that the hull needs, so no distance is known. Build a reference that has them "
    "(nucleate data reference) or leave those elements out."
)
_NOVEL_ADVICE = (
    "All that is stable is known already: a rediscovery speaks for the model, and more crystals, another seed or a "
    "less explored system bring new ones."
)


def _relaxation_advice(table: pd.DataFrame) -> str:
    failed = table.loc[table["status"] != Status.OK, "status"]
    if not len(failed):
        return ""
    worst = str(failed.mode().iloc[0])
    help_for: dict[str, str] = {
        Status.TIME_LIMIT: "Give each relaxation more time.",
        Status.UNCONVERGED: "Allow more steps, or ask for smaller cells.",
        Status.INVALID_GEOMETRY: _VALID_ADVICE,
        Status.EXPLODED: "The starting points are poor: take another model, or ask for smaller cells.",
        Status.NO_REFERENCE: _PLACED_ADVICE,
        Status.REPEATED: "Ask for a wider request, or relax every candidate (--labels all).",
        Status.KNOWN: "Ask for a wider request, or relax every candidate (--labels all).",
    }
    advice = help_for.get(worst, "The reasons are listed under Failures.")
    return f"No crystal was relaxed; the most frequent outcome is '{worst}'. {advice}"


def _stable_advice(run: RunData) -> str:
    best = run.candidates["energy_above_hull"].min()
    return (
        f"The best candidate lies {number(best)} eV/atom above the hull and the threshold is {run.threshold:g}. Ask "
        "for more crystals, raise the threshold for a first look, or check how many phases compete in this system."
    )
