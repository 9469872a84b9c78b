"""RMSD of matched crystals: a generated one and its relaxed structure, samples and the known structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pymatgen.core import Lattice
from pymatgen.core.structure_matcher import StructureMatcher
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import validity
from nucleate.errors import UserError
from nucleate.intervals import Rate
from nucleate.matching.reduced_cells import MatchError, MatchSettings, reduced, structure, time_limit

if TYPE_CHECKING:
    from pymatgen.core import Structure

FALLBACK = 0.5
"""Normalised RMSD of a crystal that matches nothing; also the matcher's site tolerance."""

RMSD_SECONDS = 30.0
"""Time limit in seconds of each search: of the refined cell, and of the match."""

CSP_MATCH = MatchSettings(ltol=0.3, stol=0.5, angle_tol=10.0)
"""Tolerances of CDVAE's and DiffCSP's match rates."""


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


@dataclass(frozen=True)
class MatchRate:
    """Outcome of :func:`match_rate`.

    Attributes:
        table: A row for each pair of target and number of samples ``k``: ``target``, ``k``, ``valid_only``,
            ``matched``, ``rmse`` (of the best match; missing without one), ``reason``.
        rates: Share of targets matched for each k, for all samples and for the valid ones only.
        rmse: Mean over the matched targets, in the order of ``rates``; in units of (V/N)^(1/3), NaN without a match.
    """

    table: pd.DataFrame
    rates: tuple[Rate, ...]
    rmse: tuple[float, ...]


def match_rate(
    samples: Crystals,
    target_of: Tensor,
    targets: Crystals,
    k: tuple[int, ...] = (1, 20),
    valid: Tensor | None = None,
    settings: MatchSettings = CSP_MATCH,
) -> MatchRate:
    """Match samples with the structure of the composition that was requested.

    A target counts as matched at k if one of its first k samples matches; its RMSE is that of the best one. With
    ``valid_only`` a sample that is not valid counts as no match (the denominator stays the number of targets).

    Arguments:
        samples: Generated crystals, those of one target in the order in which they were drawn.
        target_of: Row of ``targets`` of each sample's request, shape (B,), integers.
        targets: Known structures.
        k: Numbers of samples to report; more than a target has means all that it has.
        valid: Which samples count as valid, shape (B,), bool; by default the older tables' "d > 0.5 Å".
        settings: Tolerances.

    Raises:
        UserError: ``target_of`` does not fit the samples or the targets.
    """
    if len(target_of) != len(samples) or (
        len(target_of) and not 0 <= int(target_of.min()) <= int(target_of.max()) < len(targets)
    ):
        raise UserError(
            "match_rate target_of", f"{len(target_of)} rows", f"a row of the {len(targets)} targets for each sample"
        )
    accepted = validity(samples).is_valid_lax if valid is None else valid
    groups: list[list[int]] = [[] for _ in range(len(targets))]
    for sample, target in enumerate(target_of.tolist()):
        groups[target].append(sample)
    rows = []
    for target, group in enumerate(groups):
        distances, reasons = _distances(samples, group[: max(k)], targets, target, settings)
        for valid_only in (False, True):
            for count in k:
                found = [
                    distance
                    for sample, distance in zip(group[:count], distances, strict=False)
                    if distance is not None and (not valid_only or bool(accepted[sample]))
                ]
                best = min(found, default=None)
                rows.append(
                    (target, count, valid_only, best is not None, best, "; ".join(filter(None, reasons[:count])))
                )
    table = pd.DataFrame(rows, columns=["target", "k", "valid_only", "matched", "rmse", "reason"])
    table["rmse"] = table["rmse"].astype("Float64")
    rates, rmse = [], []
    for (valid_only, count), part in table.groupby(["valid_only", "k"], sort=True):
        name = f"match rate at {count}, {'valid samples' if valid_only else 'all samples'}"
        rates.append(Rate(name, "all", int(part["matched"].sum()), len(part)))
        matched = part["rmse"].dropna()
        rmse.append(float(matched.mean()) if len(matched) else float("nan"))
    return MatchRate(table, tuple(rates), tuple(rmse))


def _distances(
    samples: Crystals, group: list[int], targets: Crystals, target: int, settings: MatchSettings
) -> tuple[list[float | None], list[str]]:
    """Normalised RMS distance of each sample to its target (None without a match), and what went wrong."""
    distances: list[float | None] = []
    reasons: list[str] = []
    matcher = settings.matcher()
    try:
        known = reduced(structure(targets, target), settings.seconds)
    except MatchError as error:
        return [None] * len(group), [f"target {target}: {error}"] * len(group)
    for sample in group:
        distance, reason = None, ""
        try:
            drawn = reduced(structure(samples, sample), settings.seconds)
            with time_limit(settings.seconds):
                found = matcher.get_rms_dist(drawn, known)
            distance = None if found is None else float(found[0])
        except MatchError as error:
            reason = f"sample {sample}: {error}"
        except Exception as error:  # noqa: BLE001  pymatgen raises many kinds on strange cells
            reason = f"sample {sample}: {type(error).__name__}: {error}"
        distances.append(distance)
        reasons.append(reason)
    return distances, reasons
