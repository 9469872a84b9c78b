"""Exploring a chemical system: several generators, a run each, and the hull that they make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from nucleate.campaign.design import design
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import SYMBOLS, atomic_number, parse_formula
from nucleate.data.reference import Reference
from nucleate.errors import Status, UserError
from nucleate.evaluation.phase_diagram import combined_hull
from nucleate.execution.executor import Progress, silent
from nucleate.families.registry import find_model
from nucleate.io.writing import write_json, write_whole
from nucleate.runs.run import Run, held_run
from nucleate.screening.ranking import is_sun
from nucleate.screening.stages import new_record
from nucleate.settings import DesignSettings, ExploreSettings

if TYPE_CHECKING:
    from nucleate.evaluation.phase_diagram import PhaseDiagram
    from nucleate.runs.record import Timing

NEAR_HULL = "energy_above_hull"
RECORD, PHASES, METHODS = "phase_diagram.json", "phases.csv", "methods.csv"


def phase_diagram(
    settings: ExploreSettings,
    folder: Path,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> PhaseDiagram:
    """Generate ``n`` crystals of a chemical system with each model, relax them all, and draw the combined hull.

    A model that can be asked for a distance from the hull is asked for 0 eV/atom, unless ``where`` says otherwise.

    Arguments:
        settings: The system, the models, each of which gets the same number of relaxations, and how all are screened.
        folder: Holds a run for each model, ``phases.csv``, ``methods.csv`` and ``phase_diagram.json``.
        resume: Go on with what lies in the folder.
        workers: Worker processes for relaxation.
        progress: Called with how far each stage of each run is.

    Raises:
        UserError: The system or a model is not usable, or the folder holds other runs.
    """
    elements = _elements(settings.system)
    names = list(dict.fromkeys(settings.models))
    if not names:
        raise UserError("--model", "none", "at least one model or searcher")
    labels = [Path(name).name for name in names]
    if len(set(labels)) < len(labels):
        raise UserError("--model", "two of one name: " + ", ".join(labels), "a name for each")
    if settings.where.chemical_system is not None:
        raise UserError("condition chemical_system", "it twice", "each condition once")
    reference = Reference.load(settings.screen.reference)
    runs: dict[str, Run] = {}
    with held_run(folder, new_record(settings, settings.screen, reference, ()), resume) as whole:
        for name, label in zip(names, labels, strict=True):
            runs[label] = design(_of_model(settings, name, elements), folder / label, resume, workers, progress)
        inside = [{SYMBOLS[z] for z in formula} <= set(elements) for formula in reference.compositions]
        phases = reference.phases[inside]
        tables = {name: run.candidates() for name, run in runs.items()}
        relaxed = {name: table[table["status"].eq(Status.OK)] for name, table in tables.items()}
        diagram = combined_hull(elements, (phases["formula"].tolist(), phases["formation_energy"].tolist()), relaxed)
        summary = methods_table(diagram, tables, {name: run.record.timings for name, run in runs.items()})
        write_whole(folder / PHASES, diagram.phases.to_csv(index=False, float_format="%.6g").encode())
        write_whole(folder / METHODS, summary.to_csv(index=False, float_format="%.6g").encode())
        record = {
            "command": "phase-diagram",
            "chemical_system": "-".join(elements),
            "n": settings.n,
            "seed": settings.screen.seed,
            "methods": {name: {"run": name, "where": list(run.record.where)} for name, run in runs.items()},
            "protocol": next(iter(runs.values())).record.protocol.stated(),
            "draw_below": settings.draw_below,
            "reference_phases": phases[["formula", "formation_energy", "source"]].to_dict("records"),
            "warnings": _warnings(diagram, phases["formula"].tolist()),
        }
        write_json(folder / RECORD, record)
        cited = {work for run in runs.values() for work in run.record.citations}
        whole.update(citations=sorted(cited), warnings=record["warnings"])
    return diagram


def _of_model(settings: ExploreSettings, name: str, elements: Sequence[str]) -> DesignSettings:
    """Request to one of the models."""
    entry = find_model(name)
    learned = entry.folder is not None
    targets = dict(settings.where.targets)
    if NEAR_HULL in entry.conditions:
        targets.setdefault(NEAR_HULL, (0.0, 0.0))
    system = tuple(sorted(atomic_number(symbol) for symbol in elements))
    return DesignSettings.checked(
        {
            "model": name,
            "n": settings.n,
            "where": replace(settings.where, chemical_system=system, targets=targets),
            "allow_subsystems": settings.allow_subsystems,
            "guidance": settings.guidance if learned else (),
            "sampler": settings.sampler if learned else "default",
            "draw_below": settings.draw_below if learned else None,
            "device": settings.device,
            "screen": settings.screen,
        }
    )


def methods_table(
    diagram: PhaseDiagram, tables: Mapping[str, pd.DataFrame], timings: Mapping[str, Mapping[str, Timing]]
) -> pd.DataFrame:
    """Outcome of each method: a row each, rates as counts of its crystals.

    Columns: ``method``, ``crystals``, ``relaxed``, ``meets_request``, ``stable``, ``sun``, ``on_hull`` and
    ``new_on_hull`` (phases on the combined hull), ``core_seconds`` (all stages).
    """
    rows = []
    for name, table in tables.items():
        rows.append(
            {
                "method": name,
                "crystals": len(table),
                "relaxed": int(table["status"].eq(Status.OK).sum()),
                "meets_request": int(table["meets_request"].eq(True).sum()),
                "stable": int(table["is_stable"].eq(True).sum()),
                "sun": int(is_sun(table).sum()),
                "on_hull": diagram.found(name),
                "new_on_hull": diagram.found(name, new=True),
                "core_seconds": sum(stage.core_seconds for stage in timings.get(name, {}).values()),
            }
        )
    return pd.DataFrame(rows)


def _elements(system: str) -> list[str]:
    asked = Conditions.parse({"chemical_system": system}).chemical_system
    if not asked or len(asked) < 2:
        raise UserError("chemical system", repr(system), "two elements or more, such as V-Sr-O")
    order = [symbol.strip() for symbol in system.split("-")]
    return sorted({SYMBOLS[z] for z in asked}, key=order.index)


def _warnings(diagram: PhaseDiagram, formulas: Sequence[str]) -> list[str]:
    pure = {SYMBOLS[next(iter(f))] for f in map(parse_formula, formulas) if len(f) == 1}
    missing = [symbol for symbol in diagram.system if symbol not in pure]
    if not missing:
        return []
    return [f"the reference has no phase of {', '.join(missing)}: the hull is open there"]
