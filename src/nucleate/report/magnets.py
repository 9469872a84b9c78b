"""The page of a search for magnets: what each step leaves beside the papers' counts, and what remains for DFT."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.io.writing import write_whole
from nucleate.report.document import (
    MISSING,
    Table,
    document,
    duration,
    formula,
    number,
    percent,
    plural,
    space_group_symbol,
    stated,
)
from nucleate.report.screening import condition
from nucleate.screening.filters import Filter
from nucleate.screening.magnet_funnel import PUBLISHED, Passed

_SECTIONS = {
    "steps": "Steps",
    "rates": "Rates",
    "symmetry": "Symmetry",
    "classes": "Chemistry",
    "finalists": "For DFT",
    "cost": "Cost",
}
SHOWN = 100
"""Rows of the final table on the page; the rest is in the CSV."""
_STAGES = {
    "generate": "generated or read",
    "prescreen": "prescreened",
    "magnetisation": "magnetisation after relaxation",
}


def build_magnets(folder: Path) -> Path:
    """Write ``magnets.html`` into the folder of a search; returns the page.

    Raises:
        UserError: The folder holds no search that came to its end.
    """
    try:
        record = json.loads((folder / "magnets.json").read_text(encoding="utf-8"))
        page = render(record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(str(folder), str(error), "a folder that `nucleate magnets` finished") from None
    path = folder / "magnets.html"
    write_whole(path, page.encode())
    return path


def render(record: Mapping[str, Any]) -> str:
    """The page as HTML."""
    counts = {step["filter"]: step["in_sequence"]["passed"] for step in record["counts"]["steps"]}
    return document(
        "magnets.html",
        "Magnets without rare earths",
        _SECTIONS,
        n=int(record["n"]),
        models={str(name): int(count) for name, count in record["models"].items()},
        n_finalists=len(record["finalists"]),
        warnings=_warnings(record),
        protocol=stated(record["protocol"]),
        notes=record["counts"]["funnel"]["notes"],
        base={name: record["base"][name] for name in ("total", "source", "said")},
        counted={"network": "the network's", "moments": "that of CHGNet's moments"}[record["magnetization"]],
        papers=[paper.title for paper in PUBLISHED],
        generated=[paper.generated for paper in PUBLISHED],
        steps=_steps(record),
        rates=_rates(record, int(list(counts.values())[-1])),
        symmetry=_symmetry(record),
        classes=_classes(record),
        finalists=_finalists(record["finalists"][:SHOWN]),
        n_more=len(record["finalists"]) - SHOWN,
        cost=_cost(record),
    )


@dataclass(frozen=True)
class StepRow:
    """A step of the search: what it keeps, what came and passed, the share with its interval, and what else is known.

    Attributes:
        label: Name of the step.
        source: Where its threshold comes from.
        condition: What it keeps.
        entered: How many came.
        passed: How many passed.
        levels: What passes at other thresholds.
        share: Of those that came.
        undefined: How many could not be judged.
        papers: What each paper counts at this step.
        base_rate: Share of known crystals that meet the condition by itself.
    """

    label: str
    source: str
    condition: str
    entered: int
    passed: int
    levels: tuple[str, ...]
    share: str
    undefined: int
    papers: tuple[Passed | None, ...]
    base_rate: str


def _warnings(record: Mapping[str, Any]) -> list[str]:
    end = record["dead_end"]
    said = []
    if end is not None:
        came = plural(int(end["entered"]), "crystal")
        said.append(f"Nothing passes the step “{end['label']}”, which {came} reached. To loosen: {end['advice']}.")
    if record["settings"]["predictor"] == "none":
        said.append("No property network was asked: every crystal with an allowed, new composition was relaxed.")
    return said


def _steps(record: Mapping[str, Any]) -> list[StepRow]:
    known = {step["filter"]: step for step in record["base"].get("counts", {}).get("steps", ())}
    rows = []
    for described, step in zip(record["counts"]["funnel"]["filters"], record["counts"]["steps"], strict=True):
        rule, count = Filter.from_dict(described), step["in_sequence"]
        rows.append(
            StepRow(
                label=rule.label,
                source=rule.source,
                condition=condition(rule),
                entered=count["entered"],
                passed=count["passed"],
                levels=tuple(
                    f"{level['in_sequence']:,} at {level['threshold']:g} {rule.unit}" for level in step["levels"]
                ),
                share=_share(count["passed"], count["entered"]),
                undefined=sum(count["undefined"].values()),
                papers=tuple(paper.steps.get(rule.name) for paper in PUBLISHED),
                base_rate=_alone(known.get(rule.name), int(record["base"]["total"])),
            )
        )
    return rows


def _share(count: int, total: int) -> str:
    """A share with its 95 % interval, which stands back."""
    if not total:
        return MISSING
    low, high = wilson(count, total)
    shown = Markup("{} <small>({} to {})</small>")
    return shown.format(percent(count / total), percent(low), percent(high))


def _alone(step: Mapping[str, Any] | None, total: int) -> str:
    if step is None or not total:
        return MISSING
    count = step["alone"]
    unknown = sum(count["undefined"].values())
    return MISSING if unknown == total else percent(count["passed"] / (total - unknown))


def _rates(record: Mapping[str, Any], end: int) -> Table:
    ours, base = record["success"], record["base"]
    tried, converged, both = (int(ours[name]) for name in ("tried", "converged", "both"))
    by_chance = base.get("targets", {})
    chance = by_chance.get("both", 0) / by_chance["converged"] if by_chance.get("converged") else None
    rate = both / tried if tried else None
    known = MISSING if chance is None else f"{percent(chance)} of {int(by_chance['converged']):,}"
    papers = PUBLISHED
    relaxed, met = "relaxations that converged (validity rate)", "both targets, of those relaxed (success rate)"
    rows = (
        (relaxed, _of(converged, tried), *(f"{h.validity:g} %" for h in papers)),
        (met, _of(both, tried), *(f"{h.success:g} %" for h in papers)),
        ("both targets among known crystals (base rate)", known, *(f"{h.base_rate:g} %" for h in papers)),
        (
            "improvement over the base rate",
            _improvement(rate, chance),
            *(_improvement(h.success / 100, h.base_rate / 100) for h in papers),
        ),
        ("finalists of all crystals", _of(end, int(record["n"])), *(MISSING for _ in papers)),
    )
    note = (
        "A paper's targets are its own: MagGen asks for ≤ 0 eV/atom and ≥ 0.5 T, and counts 0.43 T as met. Both relax "
        "with DFT, we with the potential above."
    )
    return Table(("rate", "this campaign", *(paper.title for paper in papers)), rows, note=note)


def _of(count: int, total: int) -> str:
    return Markup("{:,} of {:,}, {}").format(count, total, _share(count, total)) if total else MISSING


def _improvement(rate: float | None, chance: float | None) -> str:
    """(rate - chance) / chance, as MagGen defines it."""
    if rate is None or not chance:
        return MISSING
    return f"{100 * (rate - chance) / chance:,.0f} %".replace("-", "\N{MINUS SIGN}")


def _symmetry(record: Mapping[str, Any]) -> Table:
    found, base = record["symmetry"], record["base"].get("low_symmetry")
    made, kept = found["generated"], found["allowed_and_new"]
    nothing = [MISSING for _ in PUBLISHED]
    tolerance = float(record["settings"]["symmetrize"])
    in_p1, low = (f"{paper.in_p1:g} %" for paper in PUBLISHED), (f"{h.low_symmetry:g} %" for h in PUBLISHED)
    data = (MISSING if h.low_symmetry_data is None else f"{h.low_symmetry_data:g} %" for h in PUBLISHED)
    fell = _of(found["fell_to_low"], found["relaxed"])
    rows = [
        ("P1, as generated", _of(made["p1"], made["total"]), *nothing),
        ("triclinic or monoclinic, as generated", _of(made["low"], made["total"]), *nothing),
        ("P1, of those of allowed elements and new", _of(kept["p1"], kept["total"]), *in_p1),
        ("triclinic or monoclinic, of the same", _of(kept["low"], kept["total"]), *low),
        ("triclinic or monoclinic, known crystals", _of(base["low"], base["total"]) if base else MISSING, *data),
        ("lowered by relaxation", _of(found["lowered"], found["relaxed"]), *nothing),
        ("of these to triclinic or monoclinic", fell, "46 of 121, 38 %", MISSING),
    ]
    if tolerance:
        moved = f"moved onto symmetry within {tolerance:g} Å, where nothing else stopped them"
        rows.append((moved, f"{found['moved']:,}", *nothing))
        held = _of(found["moved_hold"], found["moved_relaxed"])
        rows.append(("of these relaxed: no higher in energy than as generated", held, *nothing))
    note = "MagGen's shares are of all that it generated; DiffCrysGen's of allowed elements and new compositions."
    return Table(("symmetry", "this campaign", *(paper.title for paper in PUBLISHED)), tuple(rows), note=note)


def _classes(record: Mapping[str, Any]) -> Table:
    names = {step["name"]: step["title"] for step in record["counts"]["funnel"]["filters"]}
    steps = [name for name in record["classes"][0] if name != "class"]
    rows = tuple((str(row["class"]), *(f"{int(row[step]):,}" for step in steps)) for row in record["classes"])
    heads = ("class", *("all" if step == "generated" else f"left after: {names[step]}" for step in steps))
    note = (
        "DiffCrysGen's 228,009 crystals of allowed elements and new composition: alloys of transition metals 41.5 %, "
        "halides 13.1 %, chalcogenides 7.2 %, oxides 5.9 %; binary 24.2 %, ternary 75.8 %."
    )
    return Table(heads, rows, note=note)


def _finalists(finalists: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for row in finalists:
        group = _whole(row["relaxed_space_group"])
        rows.append(
            (
                str(row["id"]),
                formula(row["formula"]),
                str(row["chemistry_class"]),
                space_group_symbol(group) + (f" {group}" if group else ""),
                number(row["formation_energy"]),
                number(row["energy_above_hull"]),
                str(_whole(row["n_competing_phases"]) or MISSING),
                number(row["network_magnetization"], 2),
                number(row["moments_magnetization"], 2),
                str(row["model"]),
            )
        )
    heads = (
        "id", "formula", "class", "space group", "formation energy (eV/atom)", "above the hull (eV/atom)",
        "competing phases", "Ms by network (T)", "Ms from moments (T)", "model",
    )  # fmt: skip
    return Table(heads, tuple(rows))


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _cost(record: Mapping[str, Any]) -> Table:
    rows = []
    for name, spent in record["timings"].items():
        count = int(spent["crystals"])
        each = 1000 * spent["core_seconds"] / count if count else float("nan")
        rows.append((_STAGES.get(name, name), f"{count:,}", duration(spent["core_seconds"]), f"{each:.1f} ms"))
    return Table(("stage", "crystals", "processor time", "each"), tuple(rows))
