"""How far relaxation moves the atoms of a generated crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pymatgen.core import Lattice
from pymatgen.core.structure_matcher import StructureMatcher
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nucleate.crystal.crystals import Crystals
from nucleate.matching.reduced_cells import MatchError, structure, time_limit

if TYPE_CHECKING:
    from pymatgen.core import Lattice, Structure

FALLBACK = 0.5
"""Normalised RMSD of a crystal that matches nothing; also the matcher's site tolerance."""

RMSD_SECONDS = 30.0


def rmsd_to_relaxed(generated: Crystals, relaxed: Crystals, seconds: float = RMSD_SECONDS) -> pd.DataFrame:
    r"""RMSD in Å between each generated crystal and its relaxed structure, as MatterGen's evaluation defines it.

    The generated crystal is brought to its refined, primitive, LLL-reduced cell and matched (ltol 0.5, stol 0.5,
    angle 10°, no scaling, supercells tried). The matcher's RMSD is in units of :math:`(\bar V / N)^{1/3}`, with
    :math:`\bar V` the volume of the cell of averaged lattice parameters and N the sites of the relaxed structure.
    A crystal without a match counts as 0.5 of that unit.

    Returns:
        A row for each crystal: ``rmsd_to_relaxed`` (missing where a structure is unusable), ``rmsd_matched``
        (False where the fallback was taken) and ``rmsd_reason``.

    References:
        | A generative model for inorganic materials design (Zeni et al., 2025), supplementary information
    """
    rows = [_rmsd(generated, relaxed, i, seconds) for i in range(len(generated))]
    return pd.DataFrame(
        {
            "rmsd_to_relaxed": pd.array([row[0] for row in rows], dtype="Float64"),
            "rmsd_matched": pd.array([row[1] for row in rows], dtype="boolean"),
            "rmsd_reason": pd.array([row[2] for row in rows], dtype=object),
        }
    )


def _rmsd(generated: Crystals, relaxed: Crystals, i: int, seconds: float) -> tuple[float | None, bool | None, str]:
    try:
        start, end = structure(generated, i), structure(relaxed, i)
    except MatchError as error:
        return None, None, str(error)
    reason = ""
    try:
        with time_limit(seconds):
            start = _prepared(start)
    except Exception as error:  # noqa: BLE001  symmetry search raises many kinds on strange cells
        reason = f"compared as generated ({error})"
    unit = (_mean_volume(start.lattice, end.lattice) / len(end)) ** (1 / 3)
    if not np.isfinite(unit):
        return None, None, "the two cells have no cell between them"
    try:
        with time_limit(seconds):
            match = _matched(end, start)
    except Exception as error:  # noqa: BLE001  pymatgen raises many kinds on strange cells
        return FALLBACK * unit, False, f"no match found: {error}"
    if match is None:
        return FALLBACK * unit, False, reason or "no match"
    return match * unit, True, reason


def _prepared(start: Structure) -> Structure:
    refined = SpacegroupAnalyzer(start).get_refined_structure()
    return refined.get_primitive_structure().get_reduced_structure(reduction_algo="LLL")


def _matched(end: Structure, start: Structure) -> float | None:
    matcher = StructureMatcher(ltol=0.5, stol=FALLBACK, angle_tol=10, scale=False, attempt_supercell=True)
    found = matcher.get_rms_dist(end, start)
    return None if found is None else float(found[0])


def _mean_volume(first: Lattice, second: Lattice) -> float:
    parameters = (np.array(first.parameters) + np.array(second.parameters)) / 2
    return float(Lattice.from_parameters(*parameters).volume)
