"""The page of a magnet hunt: what each step leaves beside the papers' counts, and what remains for DFT."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.io.writing import write_whole
from nucleate.report.document import document
from nucleate.report.funnel_section import condition
from nucleate.report.markup import (
    MISSING,
    duration,
    formula,
    number,
    percent,
    plain_table,
    plural,
    space_group_symbol,
    text,
)
from nucleate.report.sections import warnings_box
from nucleate.screening.filters import Filter
from nucleate.screening.magnet_funnel import PUBLISHED, Passed

_LINKS = [
    ("steps", "Steps"),
    ("rates", "Rates"),
    ("symmetry", "Symmetry"),
    ("classes", "Chemistry"),
    ("finalists", "For DFT"),
    ("cost", "Cost"),
]
SHOWN = 100
"""Rows of the final table on the page; the rest is in the CSV."""
_STAGES = {"generate": "generated or read", "sieve": "sieved", "magnetisation": "magnetisation after relaxation"}


def build_magnets(folder: Path) -> Path:
    """Write ``magnets.html`` into the folder of a hunt.

    Raises:
        UserError: The folder holds no hunt that came to its end.
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
    total, final = int(record["n"]), record["finalists"]
    origin = ", ".join(f"{count:,} from {name}" for name, count in record["models"].items())
    subtitle = f"{total:,} crystals ({origin}); {plural(len(final), 'finalist')} for DFT"
    protocol = record["protocol"]
    stated = f"{protocol['potential']}; {protocol['relaxation']}; reference {protocol['reference']}"
    notes = "".join(f'<p class="note">{text(note)}</p>' for note in record["counts"]["funnel"]["notes"])
    body = (
        f"<main><header><h1>Magnets without rare earths</h1><p>{text(subtitle)}</p></header>"
        f"{warnings_box(_warnings(record))}"
        f'<section id="steps"><h2>Steps</h2>{_steps(record)}{notes}<p class="protocol">{text(stated)}</p></section>'
        f'<section id="rates"><h2>Rates</h2>{_rates(record)}</section>'
        f'<section id="symmetry"><h2>Symmetry</h2>{_symmetry(record)}</section>'
        f'<section id="classes"><h2>Chemistry</h2>{_classes(record)}</section>'
        f'<section id="finalists"><h2>What remains for DFT</h2>{_finalists(record)}</section>'
        f'<section id="cost"><h2>Cost</h2>{_cost(record)}</section></main>'
        "<footer>Made by Nucleate; needs no network.</footer>"
    )
    return document("Magnets without rare earths", _LINKS, body)


def _warnings(record: Mapping[str, Any]) -> list[str]:
    end = record["dead_end"]
    said = []
    if end is not None:
        came = plural(int(end["entered"]), "crystal")
        said.append(f"Nothing passes the step “{end['label']}”, which {came} reached. To loosen: {end['advice']}.")
    if record["settings"]["predictor"] == "none":
        said.append("No property network was asked: every crystal with an allowed, new composition was relaxed.")
    return said


def _steps(record: Mapping[str, Any]) -> str:
    known = {step["filter"]: step for step in record["base"].get("counts", {}).get("steps", ())}
    heads = ["step", "keeps", "came", "passed", "of those that came", *(hunt.title for hunt in PUBLISHED)]
    heads.append(f"known crystals ({int(record['base']['total']):,})")
    rows = [["start", "", "", f"{int(record['n']):,}", "", *(f"{hunt.generated:,}" for hunt in PUBLISHED), ""]]
    for described, step in zip(record["counts"]["funnel"]["filters"], record["counts"]["steps"], strict=True):
        rule, count = Filter.from_dict(described), step["in_sequence"]
        levels = "".join(
            f'<br><small class="faint">{level["in_sequence"]:,} at {level["threshold"]:g} {text(rule.unit)}</small>'
            for level in step["levels"]
        )
        undefined = sum(count["undefined"].values())
        unknown = f'<br><small class="faint">{undefined:,} undefined</small>' if undefined else ""
        rows.append(
            [
                f'<span title="{text(rule.source)}">{text(rule.label)}</span>',
                text(condition(rule)),
                f"{count['entered']:,}",
                f"<b>{count['passed']:,}</b>{levels}",
                _share(count["passed"], count["entered"]) + unknown,
                *(_published(hunt.steps.get(rule.name)) for hunt in PUBLISHED),
                _alone(known.get(rule.name), int(record["base"]["total"])),
            ]
        )
    base = record["base"]
    note = (
        "Shares have 95 % intervals. The papers' columns are their own counts: DiffCrysGen's section III, MagGen's "
        "generation and validation by DFT. The last column is the base rate: what share of known crystals meets the "
        f"condition by itself ({base['source']}; {base['said']})."
    )
    return f'<div class="whole">{plain_table(heads, rows)}</div><p class="note">{text(note)}</p>'


def _share(count: int, total: int) -> str:
    if not total:
        return MISSING
    low, high = wilson(count, total)
    return f'{percent(count / total)} <small class="faint">({percent(low)} to {percent(high)})</small>'


def _published(step: Passed | None) -> str:
    if step is None:
        return MISSING
    share = f" of {step.entered:,}, {percent(step.passed / step.entered)}" if step.entered else ""
    note = f'<br><small class="faint">{text(step.note)}</small>' if step.note else ""
    return f"{step.passed:,}{share}{note}"


def _alone(step: Mapping[str, Any] | None, total: int) -> str:
    if step is None or not total:
        return MISSING
    count = step["alone"]
    unknown = sum(count["undefined"].values())
    return MISSING if unknown == total else percent(count["passed"] / (total - unknown))


def _rates(record: Mapping[str, Any]) -> str:
    ours, base = record["success"], record["base"]
    tried, converged, both = (int(ours[name]) for name in ("tried", "converged", "both"))
    by_chance = base.get("targets", {})
    chance = by_chance.get("both", 0) / by_chance["converged"] if by_chance.get("converged") else None
    rate = both / tried if tried else None
    rows = [
        [
            "relaxations that converged (validity rate)",
            _of(converged, tried),
            *(f"{h.validity:g} %" for h in PUBLISHED),
        ],
        ["both targets, of those relaxed (success rate)", _of(both, tried), *(f"{h.success:g} %" for h in PUBLISHED)],
        [
            "both targets among known crystals (base rate)",
            MISSING if chance is None else f"{percent(chance)} of {int(by_chance['converged']):,}",
            *(f"{h.base_rate:g} %" for h in PUBLISHED),
        ],
        [
            "improvement over the base rate",
            _improvement(rate, chance),
            *(_improvement(h.success / 100, h.base_rate / 100) for h in PUBLISHED),
        ],
    ]
    counts = {step["filter"]: step["in_sequence"]["passed"] for step in record["counts"]["steps"]}
    end = int(list(counts.values())[-1])
    rows.append(["finalists of all crystals", _of(end, int(record["n"])), *(MISSING for _ in PUBLISHED)])
    note = (
        "A paper's targets are its own: MagGen asks for ≤ 0 eV/atom and ≥ 0.5 T, and counts 0.43 T as met. Both relax "
        "with DFT, we with the potential above."
    )
    heads = ["rate", "this hunt", *(hunt.title for hunt in PUBLISHED)]
    return plain_table(heads, rows) + f'<p class="note">{text(note)}</p>'


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,}, {_share(count, total)}" if total else MISSING


def _improvement(rate: float | None, chance: float | None) -> str:
    """(rate - chance) / chance, as MagGen defines it."""
    if rate is None or not chance:
        return MISSING
    return f"{100 * (rate - chance) / chance:,.0f} %".replace("-", "\N{MINUS SIGN}")


def _symmetry(record: Mapping[str, Any]) -> str:
    found, base = record["symmetry"], record["base"].get("low_symmetry")
    made, kept = found["generated"], found["allowed_and_new"]
    nothing = [MISSING for _ in PUBLISHED]
    tolerance = float(record["settings"]["symmetrize"])
    in_p1, low = (f"{hunt.in_p1:g} %" for hunt in PUBLISHED), (f"{h.low_symmetry:g} %" for h in PUBLISHED)
    data = (MISSING if h.low_symmetry_data is None else f"{h.low_symmetry_data:g} %" for h in PUBLISHED)
    rows = [
        ["P1, as generated", _of(made["p1"], made["total"]), *nothing],
        ["triclinic or monoclinic, as generated", _of(made["low"], made["total"]), *nothing],
        ["P1, of those of allowed elements and new", _of(kept["p1"], kept["total"]), *in_p1],
        ["triclinic or monoclinic, of the same", _of(kept["low"], kept["total"]), *low],
        ["triclinic or monoclinic, known crystals", _of(base["low"], base["total"]) if base else MISSING, *data],
        ["lowered by relaxation", _of(found["lowered"], found["relaxed"]), *nothing],
        [
            "of these to triclinic or monoclinic",
            _of(found["fell_to_low"], found["relaxed"]),
            "46 of 121, 38 %",
            MISSING,
        ],
    ]
    if tolerance:
        moved = f"moved onto symmetry within {tolerance:g} Å, where nothing else stopped them"
        rows.append([moved, f"{found['moved']:,}", *nothing])
        held = _of(found["moved_hold"], found["moved_relaxed"])
        rows.append(["of these relaxed: no higher in energy than as generated", held, *nothing])
    heads = ["symmetry", "this hunt", *(hunt.title for hunt in PUBLISHED)]
    note = "MagGen's shares are of all that it generated; DiffCrysGen's of allowed elements and new compositions."
    return plain_table(heads, rows) + f'<p class="note">{text(note)}</p>'


def _classes(record: Mapping[str, Any]) -> str:
    names = {step["name"]: step["title"] for step in record["counts"]["funnel"]["filters"]}
    steps = [name for name in record["classes"][0] if name != "class"]
    rows = [[text(row["class"]), *(f"{int(row[step]):,}" for step in steps)] for row in record["classes"]]
    heads = ["class", *("all" if step == "generated" else f"left after: {names[step]}" for step in steps)]
    note = (
        "DiffCrysGen's 228,009 crystals of allowed elements and new composition: alloys of transition metals 41.5 %, "
        "halides 13.1 %, chalcogenides 7.2 %, oxides 5.9 %; binary 24.2 %, ternary 75.8 %."
    )
    return plain_table(heads, rows) + f'<p class="note">{text(note)}</p>'


def _finalists(record: Mapping[str, Any]) -> str:
    todo = (
        "Left to do, in this order: a spin-polarised relaxation (with the Hubbard corrections of the reference), the "
        "energies of the orderings written to <code>orderings/</code>, which alone decide whether a crystal is a "
        "ferromagnet at all, the anisotropy constant <i>K</i><sub>1</sub> with spin-orbit coupling, and phonons."
    )
    if not record["finalists"]:
        return f'<p class="note">None. {todo}</p>'
    rows = [
        [
            text(row["id"]),
            formula(row["formula"]),
            text(row["chemistry_class"]),
            f"{space_group_symbol(_whole(row['relaxed_space_group']))} {_whole(row['relaxed_space_group']) or ''}",
            number(row["formation_energy"]),
            number(row["energy_above_hull"]),
            str(_whole(row["n_competing_phases"]) or MISSING),
            number(row["network_magnetization"], 2),
            number(row["moments_magnetization"], 2),
            text(row["model"]),
        ]
        for row in record["finalists"][:SHOWN]
    ]
    heads = [
        "id", "formula", "class", "space group", "formation energy (eV/atom)", "above the hull (eV/atom)", "rivals",
        "Ms by network (T)", "Ms from moments (T)", "model",
    ]  # fmt: skip
    more = len(record["finalists"]) - len(rows)
    note = f'<p class="note">{more} more are in finalists.csv.</p>' if more else ""
    counted = {"network": "the network's", "moments": "that of CHGNet's moments"}[record["magnetization"]]
    said = f"<p>{todo}</p><p class='note'>The magnetisation that counts is {counted}.</p>"
    return said + plain_table(heads, rows) + note


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _cost(record: Mapping[str, Any]) -> str:
    rows = []
    for name, spent in record["timings"].items():
        count = int(spent["crystals"])
        each = 1000 * spent["core_seconds"] / count if count else float("nan")
        rows.append([text(_STAGES.get(name, name)), f"{count:,}", duration(spent["core_seconds"]), f"{each:.1f} ms"])
    return plain_table(["stage", "crystals", "processor time", "each"], rows)
