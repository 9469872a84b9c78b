"""Formation energies from a potential's energies: one reference energy an element, fitted robustly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucleate.errors import UserError

Array = NDArray[np.float64]
FOLDS = 5
ITERATIONS = 100
SMALLEST_RESIDUAL = 1e-3
"""Residuals in eV/atom below this count alike, which keeps the weights finite."""


@dataclass(frozen=True)
class ElementFit:
    """Reference energies of the elements and how well they do.

    Attributes:
        energies: Reference energy in eV/atom of each element that occurs, by atomic number.
        rows: Number of rows that each element occurs in.
        held_out_mae: Mean absolute error in eV/atom on rows left out of the fit, in five folds.
        held_out_median: Median absolute error in eV/atom, likewise.
    """

    energies: dict[int, float]
    rows: dict[int, int]
    held_out_mae: float
    held_out_median: float


def formation_energy(
    composition: Mapping[int, int], energy_per_atom: float, element_energies: Mapping[int, float]
) -> float:
    """Formation energy in eV/atom; NaN where an element has no reference energy.

    Arguments:
        composition: Counts as {Z: count}.
        energy_per_atom: Of the potential, in eV/atom.
        element_energies: Reference energies in eV/atom by atomic number.
    """
    total = sum(composition.values())
    reference = sum(n * element_energies.get(z, float("nan")) for z, n in composition.items())
    return energy_per_atom - reference / total


def fit_element_energies(
    compositions: Sequence[Mapping[int, int]],
    energies_per_atom: Sequence[float] | Array,
    formation_energies: Sequence[float] | Array,
) -> ElementFit:
    """Fit the element energies that turn a potential's energies into given formation energies.

    Least absolute deviations, by iteratively reweighted least squares: a few wrong rows do not matter.
    An element that occurs in rows of one fifth only has no held-out error and is left out of it.

    Arguments:
        compositions: Counts as {Z: count}, one a row.
        energies_per_atom: Of the potential, in eV/atom.
        formation_energies: What is to be reproduced, in eV/atom.

    Raises:
        UserError: There are no rows, the lengths differ, or a value is not finite.
    """
    target = np.asarray(energies_per_atom, dtype=np.float64) - np.asarray(formation_energies, dtype=np.float64)
    if not len(compositions) or len(target) != len(compositions):
        raise UserError("element energies", f"{len(target)} energies for {len(compositions)} rows", "one a row")
    if not np.isfinite(target).all():
        raise UserError("element energies", f"row {int(np.argmin(np.isfinite(target)))} not finite", "finite energies")
    elements = sorted({z for composition in compositions for z in composition})
    column = {z: k for k, z in enumerate(elements)}
    fractions = np.zeros((len(compositions), len(elements)))
    for i, composition in enumerate(compositions):
        for z, n in composition.items():
            fractions[i, column[z]] = n / sum(composition.values())
    energies = _least_absolute(fractions, target)
    errors = _held_out_errors(fractions, target)
    return ElementFit(
        {z: float(energies[k]) for z, k in column.items()},
        {z: int((fractions[:, k] > 0).sum()) for z, k in column.items()},
        float(errors.mean()) if len(errors) else float("nan"),
        float(np.median(errors)) if len(errors) else float("nan"),
    )


def _held_out_errors(fractions: Array, target: Array) -> Array:
    fold = np.arange(len(target)) % FOLDS
    errors = [np.zeros(0)]
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        known = (fractions[inside] > 0).any(0)
        judged = outside & ~(fractions[:, ~known] > 0).any(1)
        energies = _least_absolute(fractions[inside], target[inside])
        errors.append(np.abs(fractions[judged] @ energies - target[judged]))
    return np.concatenate(errors)


def _least_absolute(fractions: Array, target: Array) -> Array:
    """Coefficients with the smallest sum of absolute residuals, shape (elements,)."""
    weights = np.ones(len(target))
    found: Array = np.zeros(fractions.shape[1])
    for _ in range(ITERATIONS):
        # The normal equations are as small as the table of elements, whatever the number of rows.
        weighted = fractions * weights[:, None]
        solved = np.linalg.lstsq(weighted.T @ fractions, weighted.T @ target, rcond=None)[0]
        new = np.asarray(solved, dtype=np.float64)
        weights = 1 / np.maximum(np.abs(fractions @ new - target), SMALLEST_RESIDUAL)
        if np.abs(new - found).max() < 1e-6:
            return new
        found = new
    return found
