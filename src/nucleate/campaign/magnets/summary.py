"""Summary of a campaign for magnets: counts at each step, rates beside the papers', classes, finalists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import JsonValue

from nucleate.campaign.magnets.columns import MAGNETIZATIONS, Prescreen, labelled
from nucleate.data.dataset import known_labels
from nucleate.descriptors.composition import CLASSES
from nucleate.errors import RELAXED
from nucleate.io.writing import write_json, write_whole
from nucleate.runs.candidates import Candidates
from nucleate.screening.filters import PASSES
from nucleate.screening.funnel import apply_funnel, stopped_by
from nucleate.screening.magnet_funnel import BEFORE_RELAXATION, TARGETS, dead_end, for_known

if TYPE_CHECKING:
    from nucleate.data.dataset import Dataset
    from nucleate.data.reference import Reference
    from nucleate.runs.run import Run
    from nucleate.screening.funnel import Funnel

RECORD, BASE, FINALISTS_TABLE, RELAXED_TABLE = "magnets.json", "base_rate.json", "finalists.csv", "relaxed.csv"
LAST_MONOCLINIC = 15
"""Space groups up to here are triclinic or monoclinic."""
KNOWN_TOGETHER = 512
"""Known crystals whose columns are computed at once."""
_COLUMNS = (
    "id", "model", "formula", "chemistry_class", "n_atoms", "stopped_by", "status", "space_group",
    "relaxed_space_group", "predicted_formation_energy", "formation_energy", "energy_above_hull",
    "n_competing_phases", "predicted_saturation_magnetization", "saturation_magnetization", *MAGNETIZATIONS,
    "rmsd_to_relaxed", "is_symmetrized", "symmetry_holds", "is_novel", "duplicate_of", "reason",
)  # fmt: skip


def write_summary(
    run: Run,
    funnel: Funnel,
    table: pd.DataFrame,
    screened: Candidates | None,
    base: Callable[[], dict[str, Any]],
) -> tuple[dict[str, Any], Candidates]:
    """Write ``magnets.json``, ``relaxed.csv`` and ``finalists.csv`` of a campaign.

    Arguments:
        run: The campaign.
        funnel: Its filters.
        table: A row a crystal with all that is known of it.
        screened: The candidates that were relaxed, with their structures; None where none was.
        base: Counts the base rate; called once in the life of a campaign.

    Returns:
        The content of ``magnets.json``, and the finalists with their structures, the nearest to the hull first.
    """
    result = apply_funnel(funnel, table)
    tried = table["id"].isin([] if screened is None else screened.ids)
    table = table.assign(stopped_by=stopped_by(funnel, table), tried=tried)
    found = [name for name in _COLUMNS if name in table]
    relaxed = table[tried][found]
    if "energy_above_hull" in relaxed:
        relaxed = relaxed.sort_values("energy_above_hull", kind="stable", na_position="last")
    final = relaxed[relaxed["stopped_by"].isna()].drop(columns=["stopped_by", "status", "reason"])
    for name, rows in ((RELAXED_TABLE, relaxed), (FINALISTS_TABLE, final)):
        write_whole(run.folder / name, rows.to_csv(index=False, float_format="%.6g").encode())
    path = run.folder / BASE
    if not path.exists():
        write_json(path, base())
    end = dead_end(result, table)
    content = {
        "command": "magnets",
        "n": len(table),
        "models": table["model"].value_counts(sort=False).to_dict(),
        "settings": run.record.settings.model_dump(mode="json"),
        "magnetization": run.record.magnetization,
        "protocol": run.record.protocol.stated(),
        "timings": {name: spent.model_dump() for name, spent in run.record.timings.items()},
        "counts": result.to_dict(),
        "base": json.loads(path.read_text()),
        "success": success(table, funnel),
        "symmetry": symmetry(table, funnel),
        "classes": classes(table, funnel),
        "dead_end": None if end is None else {**vars(end)},
        "relaxed": json.loads(relaxed.to_json(orient="records")),
        "finalists": json.loads(final.to_json(orient="records")),
    }
    write_json(run.folder / RECORD, content)
    if screened is None:
        return content, Candidates.concatenate([])
    rows = {name: i for i, name in enumerate(screened.ids)}
    return content, screened[[rows[name] for name in final["id"]]]


def success(table: pd.DataFrame, funnel: Funnel) -> dict[str, int]:
    """Counts behind the papers' rates: relaxations tried and converged, and the converged that meet each target."""
    tried = table["tried"]
    converged = tried & _there(table, "energy_per_atom") & table["status"].isin(RELAXED)
    meets = {rule.name: converged & (rule.verdicts(table) == PASSES) for rule in funnel.filters if rule.name in TARGETS}
    counts = {"tried": tried, "converged": converged, **meets, "both": meets[TARGETS[0]] & meets[TARGETS[1]]}
    return {name: int(rows.sum()) for name, rows in counts.items()}


def symmetry(table: pd.DataFrame, funnel: Funnel) -> dict[str, JsonValue]:
    """Shares of low symmetry as generated, and what relaxation did to the symmetry of what was relaxed."""
    chosen = {rule.name: rule.verdicts(table) == PASSES for rule in funnel.filters[:2]}
    allowed = chosen["elements"] & chosen["new_composition"]
    before, after = _groups(table, "space_group"), _groups(table, "relaxed_space_group")
    both = table["tried"] & (before > 0) & (after > 0)
    return {
        "generated": {**_low(before[before > 0])},
        "allowed_and_new": {**_low(before[allowed & (before > 0)])},
        "without": int((before == 0).sum()),
        "relaxed": int(both.sum()),
        "lowered": int((both & (after < before)).sum()),
        "fell_to_low": int((both & (before > LAST_MONOCLINIC) & (after <= LAST_MONOCLINIC)).sum()),
        "kept": int((both & (after == before)).sum()),
        "moved": int(_flags(table, "is_symmetrized").sum()),
        "moved_relaxed": int((_flags(table, "is_symmetrized") & _there(table, "symmetry_holds")).sum()),
        "moved_hold": int((_flags(table, "is_symmetrized") & _flags(table, "symmetry_holds")).sum()),
    }


def classes(table: pd.DataFrame, funnel: Funnel) -> list[dict[str, Any]]:
    """Each class of chemistry, and each number of elements, with its crystals at the steps that tell most."""
    left = pd.Series(True, index=table.index)
    at: dict[str, pd.Series] = {"generated": _there(table, "chemistry_class")}
    for rule in funnel.filters:
        left = left & (rule.verdicts(table) == PASSES)
        at[rule.name] = left
    before = [rule.name for rule in funnel.filters if rule.name in BEFORE_RELAXATION]
    steps = ["generated", "new_composition", before[-1], "magnetization", "hull", funnel.filters[-1].name]
    groups = {name: table["chemistry_class"].eq(name) for name in CLASSES}
    for count in sorted({int(n) for n in table["n_elements"].dropna()}):
        name = {1: "elements", 2: "binary", 3: "ternary"}.get(count, f"{count} elements")
        groups[name] = table["n_elements"].eq(count)
    return [{"class": name, **{step: int((at[step] & rows).sum()) for step in steps}} for name, rows in groups.items()]


def base_rate(funnel: Funnel, prescreen: Prescreen, reference: Reference, data: Dataset | None) -> dict[str, Any]:
    """The steps on known crystals: how many of them a campaign would find without generating anything.

    Arguments:
        funnel: The filters; those that ask for something new are left out.
        prescreen: Fills the columns of the structures.
        reference: Its known structures count where there is no table.
        data: Crystals with labels of formation energy, magnetisation and distance to the hull, as far as there are any.
    """
    crystals = reference.structures if data is None else data.crystals
    columns: dict[str, list[Any]] = {}
    for start in range(0, len(crystals), KNOWN_TOGETHER):
        for name, values in prescreen.columns(crystals[start : start + KNOWN_TOGETHER]).items():
            columns.setdefault(name, []).extend(values)
    if data is None:
        energies = dict(zip(reference.phases["id"], reference.phases["formation_energy"], strict=True))
        labels: dict[str, Any] = {"formation_energy": [energies.get(name) for name in reference.structure_ids]}
        told = columns.get("predicted_saturation_magnetization")
        labels |= {} if told is None else {"saturation_magnetization": told}
        source, said = f"known structures of the reference {reference.name}", "energies of the reference"
        said += "" if told is None else ", magnetisations of the network"
    else:
        wanted = ("formation_energy", "saturation_magnetization", "energy_above_hull")
        labels = {name: values.numpy() for name, values in known_labels(data, wanted).items()}
        source, said = Path(data.source).name, f"its labels of {', '.join(labels) or 'nothing'}"
    if not len(crystals):
        return {"source": source, "said": said, "total": 0}
    table = labelled(columns, labels).assign(tried=True, energy_per_atom=0.0)
    both = _there(table, "formation_energy") & _there(table, "saturation_magnetization")
    return {
        "source": source,
        "said": said,
        "total": len(table),
        "counts": apply_funnel(for_known(funnel), table).to_dict(),
        "targets": success(table[both], funnel),
        "low_symmetry": _low(_groups(table, "space_group")),
    }


def _low(groups: pd.Series) -> dict[str, int]:
    return {"total": len(groups), "p1": int((groups == 1).sum()), "low": int((groups <= LAST_MONOCLINIC).sum())}


def _groups(table: pd.DataFrame, name: str) -> pd.Series:
    """Space groups, 0 where there is none."""
    if name not in table:
        return pd.Series(0, index=table.index)
    return pd.to_numeric(table[name], errors="coerce").fillna(0).astype(int)


def _flags(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name].eq(True).fillna(False).astype(bool) if name in table else pd.Series(False, index=table.index)


def _there(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name].notna() if name in table else pd.Series(False, index=table.index)
