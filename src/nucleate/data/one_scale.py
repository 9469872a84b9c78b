"""A reference on one scale: every structure relaxed by one potential, every element at zero, tables moved beside.

Energies of a potential and of a table do not mix as they are: a hull made of both has corners where the scales meet.
Here the formation energy of a relaxed structure is taken against the potential's own elemental phases, so that every
element lies on every hull at exactly zero, and compounds get the correction that brings those which a table knows too
onto the table's scale (:func:`nucleate.thermo.hull.fit_corrections`). Phases that only the table knows keep its energy:
after the correction it is the same scale, with the error of the fit on rows left out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.crystal.formula import compositions, reduced_formula
from nucleate.data.reference import Reference
from nucleate.data.reference_tables import near_hull, phase_table, relaxed_crystals
from nucleate.errors import Status
from nucleate.thermo.hull import correction, fit_corrections

RELAXED = "Materials Project (CC BY 4.0), relaxed with CHGNet"
TABLE = "Materials Project (CC BY 4.0), DFT energy alone"
FIT_WITHIN = 0.3
"""Rows whose two energies differ by more, in eV/atom, are not of one structure any more and are not fitted to."""
SAME_WITHIN = 0.06
"""eV/atom; a table's phase is taken for a relaxed structure of its formula that lies no farther above it: three times
the error of the corrections. Kept twice, it would put that structure off the hull by the error."""


def build_one_scale(
    base: Reference, surveyed: pd.DataFrame, table: pd.DataFrame, fitted_to: Sequence[str]
) -> Reference:
    """Join relaxed structures and a table to a base reference, on one scale.

    Arguments:
        base: Phases and structures of the same potential and protocol; its phases whose structures are surveyed are
            left out.
        surveyed: Outcomes of :func:`nucleate.data.reference_tables.survey`.
        table: ``material_id``, ``formula`` and ``formation_energy_per_atom`` (eV/atom); some rows are surveyed too.
        fitted_to: Ids of the surveyed structures that the corrections may be fitted to.

    Returns:
        The phases within 0.1 eV/atom of their common hull, and all structures.
    """
    done = surveyed[surveyed["status"] == str(Status.OK)].drop_duplicates("id").reset_index(drop=True)
    crystals = relaxed_crystals(done)
    counts, energies = compositions(crystals), done["energy_per_atom"].to_numpy()
    old = base.phases[~base.phases["id"].isin(done["id"]) & (base.phases["source"] != RELAXED)].reset_index(drop=True)
    old_counts = [parse_formula(formula) for formula in old["formula"]]
    old_energies = _absolute(old_counts, old["formation_energy"].to_numpy(), base)
    elements = lowest_elements([*counts, *old_counts], np.concatenate([energies, old_energies]))
    # Where the potential knows no phase of an element, a table's zero is nothing it could be compared with.
    placed = phase_table(done.assign(source=RELAXED), crystals, elements)
    dft = dict(zip(table["material_id"], table["formation_energy_per_atom"], strict=True))
    target = np.array([dft.get(name, np.nan) for name in done["id"]])
    raw = placed["formation_energy"].to_numpy()
    rows = np.flatnonzero(done["id"].isin(set(fitted_to)).to_numpy() & (np.abs(raw - target) <= FIT_WITHIN))
    fit = fit_corrections([counts[i] for i in rows], raw[rows], target[rows])
    placed["formation_energy"] = raw + _corrections(counts, fit.energies)
    old["formation_energy"] = [
        energy - sum(n * elements.get(z, np.nan) for z, n in count.items()) / sum(count.values())
        for count, energy in zip(old_counts, old_energies, strict=True)
    ] + _corrections(old_counts, fit.energies)
    alone = table[~table["material_id"].isin(done["id"])]
    alone_counts = [parse_formula(formula) for formula in alone["formula"]]
    known = [set(count) <= set(elements) for count in alone_counts]
    alone = pd.DataFrame(
        {
            "id": alone["material_id"],
            "formula": [reduced_formula(count) for count in alone_counts],
            "formation_energy": alone["formation_energy_per_atom"].to_numpy(dtype=float),
            "source": TABLE,
        }
    )[known]
    lowest = pd.concat([placed, old]).groupby("formula")["formation_energy"].min()
    alone = alone[~(alone["formula"].map(lowest) <= alone["formation_energy"] + SAME_WITHIN)]
    phases = pd.concat([placed, old, alone], ignore_index=True)
    counted = [parse_formula(formula) for formula in phases["formula"]]
    # An element's table rows of other phases may lie a little below the potential's; zero is zero.
    pure = np.array([len(count) == 1 for count in counted])
    phases.loc[pure, "formation_energy"] = phases.loc[pure, "formation_energy"].clip(lower=0.0)
    near = near_hull(phases, counted)
    both = np.flatnonzero(np.isfinite(target))
    difference = np.abs(placed["formation_energy"].to_numpy()[both] - target[both])
    record = {
        **{key: base.record[key] for key in ("potential", "protocol", "libraries") if key in base.record},
        "elements": "the lowest elemental phase of the potential, at zero",
        "corrections_fitted_to": "formation energies of Materials Project structures (CC BY 4.0)",
        "correction_fit": {
            "rows": len(rows),
            "held_out_mae": round(fit.held_out_mae, 4),
            "held_out_median": round(fit.held_out_median, 4),
        },
        "known_both_ways": {
            "rows": len(both),
            "mae": round(float(np.nanmean(difference)), 4),
            "median": round(float(np.nanmedian(difference)), 4),
        },
        "kept": {str(name): int(count) for name, count in phases["source"][near].value_counts().items()},
        "not_relaxed": int((surveyed["status"] != str(Status.OK)).sum()),
    }
    structures, ids = _structures(base, crystals, done["id"].tolist())
    kept = phases[near].reset_index(drop=True)
    return Reference("mp", elements, kept, structures, ids, record, fit.energies)


def lowest_elements(counts: Sequence[Mapping[int, int]], energies: np.ndarray) -> dict[int, float]:
    """Energy in eV/atom of the lowest elemental phase of each element that has one, by atomic number."""
    lowest: dict[int, float] = {}
    for count, energy in zip(counts, energies.tolist(), strict=True):
        if len(count) == 1:
            z = next(iter(count))
            lowest[z] = min(lowest.get(z, np.inf), energy)
    return lowest


def missing_elements(reference: Reference) -> tuple[str, ...]:
    """Symbols of the elements that have an energy but no phase at exactly zero."""
    zero = {
        next(iter(count))
        for count, energy in zip(reference.compositions, reference.phases["formation_energy"], strict=True)
        if len(count) == 1 and abs(energy) < 1e-9
    }
    return tuple(SYMBOLS[z] for z in sorted(set(reference.element_energies) - zero))


def _absolute(counts: Sequence[Mapping[int, int]], formation: np.ndarray, base: Reference) -> np.ndarray:
    """Energies of the potential in eV/atom behind the formation energies of a reference without corrections."""
    elements = base.element_energies
    return np.array(
        [
            energy + sum(n * elements[z] for z, n in count.items()) / sum(count.values())
            for count, energy in zip(counts, formation.tolist(), strict=True)
        ]
    )


def _corrections(counts: Sequence[Mapping[int, int]], corrections: Mapping[int, float]) -> np.ndarray:
    """Corrections in eV/atom of compositions, shape (B,)."""
    return np.array([correction({z: n / sum(c.values()) for z, n in c.items()}, corrections) for c in counts])


def _structures(base: Reference, crystals: Crystals, ids: list[str]) -> tuple[Crystals, tuple[str, ...]]:
    """Known structures of both, each id once."""
    fresh = [i for i, name in enumerate(base.structure_ids) if name not in set(ids)]
    kept = base.structures[torch.tensor(fresh, dtype=torch.long)]
    return Crystals.concatenate([kept, crystals]), (*(base.structure_ids[i] for i in fresh), *ids)
