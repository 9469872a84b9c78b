"""Making the bundled reference from surveyed structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions, reduced_formulas
from nucleate.data.reference import Reference
from nucleate.energies.formation import fit_element_energies, formation_energy
from nucleate.energies.hull import Hull
from nucleate.errors import Status
from nucleate.symmetry.prototype import protostructure_labels
from nucleate.symmetry.space_group import space_groups

NEAR_HULL = 0.1
"""Phases farther above the hull than this, in eV/atom, compete with nothing and are left out."""


def build_bundled(
    surveyed: pd.DataFrame,
    dft: Mapping[str, float],
    origin: Mapping[str, str],
    with_structures: Sequence[str],
    record: Mapping[str, object],
) -> Reference:
    """Assemble the bundled reference.

    Arguments:
        surveyed: Outcomes of :func:`nucleate.data.survey.survey`, of all sources.
        dft: Formation energies in eV/atom by id that the element energies are fitted to.
        origin: What the reference calls each source of ``surveyed``.
        with_structures: Sources whose structures go into the reference, not only their energies.
        record: What else ``reference.json`` is to say.

    Returns:
        The phases within 0.1 eV/atom of their common hull.
    """
    table = surveyed[surveyed["status"] == str(Status.OK)].reset_index(drop=True)
    crystals = relaxed_crystals(table)
    counts = compositions(crystals)
    target = np.array([dft.get(name, np.nan) for name in table["id"]])
    rows = np.flatnonzero(np.isfinite(target))
    fit = fit_element_energies([counts[i] for i in rows], table["energy_per_atom"].to_numpy()[rows], target[rows])
    phases = phase_table(table, crystals, fit.energies).assign(source=table["source"].map(dict(origin)))
    known, near = phases["formation_energy"].notna(), near_hull(phases, counts)
    own = table["source"].isin(with_structures) & known
    ids = tuple(table.loc[own, "id"])
    details = {
        **record,
        "element_fit": {
            "rows": len(rows),
            "held_out_mae": round(fit.held_out_mae, 4),
            "held_out_median": round(fit.held_out_median, 4),
        },
        "surveyed": {str(k): int(v) for k, v in surveyed["source"].map(dict(origin)).value_counts().items()},
        "kept": int(near.sum()),
        "not_relaxed": int((surveyed["status"] != str(Status.OK)).sum()),
    }
    structures = crystals[torch.from_numpy(np.flatnonzero(own.to_numpy()))]
    return Reference("bundled", fit.energies, phases[near].reset_index(drop=True), structures, ids, details)


def phase_table(surveyed: pd.DataFrame, crystals: Crystals, element_energies: Mapping[int, float]) -> pd.DataFrame:
    """The columns of a reference's phases for relaxed structures.

    Arguments:
        surveyed: Outcomes of a survey that are ok, with ``source``.
        crystals: Their relaxed structures.
        element_energies: Energy of each element on the potential's scale, {Z: eV/atom}.

    Returns:
        One row each; the formation energy is NaN where an element has no energy.
    """
    energies = [
        formation_energy(count, energy, element_energies)
        for count, energy in zip(compositions(crystals), surveyed["energy_per_atom"], strict=True)
    ]
    return pd.DataFrame(
        {
            "id": surveyed["id"],
            "formula": reduced_formulas(crystals),
            "formation_energy": energies,
            "source": surveyed["source"],
            "volume_per_atom": (crystals.volume / crystals.n_atoms).numpy(),
            "space_group": space_groups(crystals).numpy(),
            "label": protostructure_labels(crystals),
        }
    )


def near_hull(phases: pd.DataFrame, counts: Sequence[Mapping[int, int]]) -> pd.Series:
    """Which phases have a formation energy and lie within ``NEAR_HULL`` of their common hull."""
    known = phases["formation_energy"].notna()
    return known & (_distances(phases[known], counts, known) <= NEAR_HULL).reindex(phases.index, fill_value=False)


def relaxed_crystals(surveyed: pd.DataFrame) -> Crystals:
    """The relaxed structures of a survey."""
    return Crystals.from_lists(
        [z.tolist() for z in surveyed["numbers"]],
        [torch.tensor(x, dtype=torch.float64).reshape(-1, 3) for x in surveyed["frac"]],
        [torch.tensor(cell, dtype=torch.float64).reshape(3, 3) for cell in surveyed["lattice"]],
    )


def _distances(phases: pd.DataFrame, counts: Sequence[Mapping[int, int]], known: pd.Series) -> pd.Series:
    inside = [count for count, keep in zip(counts, known, strict=True) if keep]
    energies = phases["formation_energy"].tolist()
    hull = Hull(inside, energies)
    # A phase whose terminal is missing has no distance; it is kept, since it may compete once there is one.
    found = [hull.distance(count, energy).energy_above_hull for count, energy in zip(inside, energies, strict=True)]
    return pd.Series(np.nan_to_num(found, nan=0.0), index=phases.index)
