"""The run's funnel: what each filter lets through, in sequence and alone, and why the rest stays out."""

from __future__ import annotations

from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.report.markup import compact, formula, percent, text
from nucleate.report.run_data import RunData
from nucleate.screening.filters import Filter
from nucleate.screening.funnel import Count, Funnel, FunnelResult, Step, apply_funnel

_STAGES = {
    "generated": "of the crystal as generated",
    "relaxed": "after relaxation; what did not converge is undefined",
    "final": "of the relaxed crystal, or as generated where there is none",
}


def declared_funnel(run: RunData) -> FunnelResult | None:
    """The funnel in the run's record applied to its candidates; None where there is none or it is damaged."""
    described = run.record.funnel
    if not described:
        return None
    try:
        return apply_funnel(Funnel.from_dict(described, "run.json, funnel"), run.candidates)
    except UserError:
        return None


def filters_section(run: RunData) -> str:
    """The funnel as a picture with its figures, or how to get one."""
    result = declared_funnel(run)
    if result is None:
        return '<p class="note">No funnel was asked for; <code>--funnel pigen</code> counts its filters.</p>'
    rows, stage = [], ""
    for step in result.steps:
        if step.filter.stage != stage:
            stage = step.filter.stage
            rows.append(f'<li class="stage-name">{text(_STAGES[stage])}</li>')
        rows.append(_row(step, result.total))
    notes = "".join(f'<p class="note">{text(note)}</p>' for note in result.funnel.notes)
    return (
        f'<p class="note"><b>{text(result.funnel.name)}</b>, {result.total} crystals. '
        '<span class="nowrap"><span class="key"></span>passes this filter and all before it, with its 95 % interval'
        '</span> <span class="nowrap"><span class="key before"></span>passes this filter alone</span></p>'
        f'<ol class="filters">{"".join(rows)}</ol>{_best(result, run)}{notes}'
    )


def condition(rule: Filter) -> str:
    """What a filter keeps, in words."""
    name = rule.column.replace("_", " ")
    match rule.threshold:
        case None:
            return f"{name} is known"
        case bool():
            return f"{name}: {'yes' if rule.threshold else 'no'}"
        case (low, high):
            sign = "≤" if "=" in rule.comparison else "<"
            words = f"{compact(low)} {sign} {name} {sign} {compact(high)}"
        case value:
            words = f"{name} {rule.comparison.replace('<=', '≤').replace('>=', '≥')} {compact(value)}"
    return f"{words} {rule.unit}".rstrip()


def _row(step: Step, total: int) -> str:
    share = [count.passed / max(total, 1) for count in (step.in_sequence, step.alone)]
    low, high = wilson(step.in_sequence.passed, total)
    bar = (
        '<svg class="passes" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="bar before" x="0" y="0" width="{100 * share[1]:.2f}" height="20"/>'
        f'<rect class="bar" x="0" y="5" width="{100 * share[0]:.2f}" height="10"/>'
        f'<rect class="whisker" x="{100 * low:.2f}" y="9" width="{100 * (high - low):.2f}" height="2"/></svg>'
    )
    levels = ""
    if step.levels:
        shown = "; ".join(f"{level.in_sequence} at {compact(level.threshold)}" for level in step.levels)
        levels = f"<span>{text(shown)} {text(step.filter.unit)}</span>"
    alone = f"<span>alone: {step.alone.passed} ({percent(share[1])})</span>"
    return (
        f'<li title="{text(step.filter.source)}"><span class="what"><b>{text(step.filter.label)}</b>'
        f"<small>{text(condition(step.filter))}</small></span>"
        f'<span class="bars">{bar}</span>'
        f'<span class="figure">{step.in_sequence.passed}<small> of {step.in_sequence.entered}</small> '
        f"<small>{percent(share[0])} of all</small></span>"
        f'<span class="why">{levels}{alone}{_why(step.in_sequence)}</span></li>'
    )


def _why(count: Count) -> str:
    """Why those that reached a filter did not pass."""
    parts = [f"{number} {'do not pass' if word == 'fails' else word}" for word, number in count.refused.items()]
    undefined = sum(count.undefined.values())
    if undefined:
        causes = ", ".join(f"{cause.replace('_', ' ')} {number}" for cause, number in count.undefined.items())
        parts.append(f"{undefined} undefined ({causes})")
    return "".join(f"<span>{text(part)}</span>" for part in parts)


def _best(result: FunnelResult, run: RunData) -> str:
    items = []
    for best in result.best:
        name, after = best.question.column.replace("_", " "), best.question.after
        if best.value is None or best.row is None:
            items.append(f"Largest {text(name)} among those that pass {text(after)} and all before: none passes.")
            continue
        row = run.candidates.iloc[best.row]
        items.append(
            f"Largest {text(name)} among those that pass {text(after)} and all before: <b>{best.value:.2f} "
            f"{text(best.unit)}</b>, {formula(row['formula'])} ({text(row['id'])})."
        )
    return "".join(f'<p class="note">{item}</p>' for item in items)
