"""Formation energies from a potential's energies, and energies above the convex hull of competing phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from nucleate.crystal.elements import SYMBOLS
from nucleate.errors import UserError

Array = NDArray[np.float64]
NOISE = 1e-8
"""Distances smaller than this, in eV/atom, are rounding."""


@dataclass(frozen=True)
class HullDistance:
    """Where a phase lies with respect to a hull.

    Attributes:
        energy_above_hull: In eV/atom, negative below the hull; NaN where a terminal is missing.
        n_competing: Number of compounds of the reference inside the chemical system and its subsystems: different
            compositions of two elements or more.
        missing: Symbols of the elements that have no elemental phase.
    """

    energy_above_hull: float
    n_competing: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """The phases inside one chemical system, the lowest of each composition.

    Attributes:
        fractions: Atomic fractions, shape (elements, phases).
        energies: Formation energies in eV/atom, shape (phases,).
        n_compounds: Number of different compositions of two elements or more.
        terminals: The elements that have an elemental phase.
    """

    fractions: Array
    energies: Array
    n_compounds: int
    terminals: frozenset[int]


@dataclass(frozen=True)
class Hull:
    """A set of phases, indexed by chemical system.

    Arguments:
        formulas: Composition of each phase as {Z: count}.
        formation_energies: In eV/atom, one a phase.

    Raises:
        UserError: The lengths differ, an energy is not finite or a composition is empty.
    """

    formulas: Sequence[Mapping[int, int]]
    formation_energies: Sequence[float] | Array
    _by_elements: dict[frozenset[int], list[int]] = field(init=False, repr=False, default_factory=dict)
    _systems: dict[tuple[int, ...], System] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.formulas) != len(self.formation_energies):
            raise UserError("hull", f"{len(self.formation_energies)} energies", f"one for each of {len(self.formulas)}")
        for i, (formula, energy) in enumerate(zip(self.formulas, self.formation_energies, strict=True)):
            if not np.isfinite(energy):
                raise UserError(f"hull, phase {i}", f"formation energy {energy}", "a finite number")
            if not formula or min(formula.values()) <= 0:
                raise UserError(f"hull, phase {i}", f"composition {dict(formula)}", "positive counts")
            self._by_elements.setdefault(frozenset(formula), []).append(i)

    def __len__(self) -> int:
        return len(self.formulas)

    def distance(self, composition: Mapping[int, int], formation_energy: float) -> HullDistance:
        """Distance in eV/atom of a phase of this composition and formation energy (eV/atom) from the hull."""
        elements = tuple(sorted(composition))
        system = self.system(elements)
        missing = tuple(SYMBOLS[z] for z in elements if z not in system.terminals)
        if missing:
            return HullDistance(float("nan"), system.n_compounds, missing)
        difference = formation_energy - self._hull_energy(system, _fractions(composition, elements))
        return HullDistance(0.0 if abs(difference) < NOISE else difference, system.n_compounds)

    def system(self, elements: Sequence[int]) -> System:
        """The phases made of these elements only."""
        key = tuple(sorted(elements))
        if key not in self._systems:
            self._systems[key] = self._make_system(key)
        return self._systems[key]

    def _make_system(self, elements: tuple[int, ...]) -> System:
        members = [i for inside in self._subsystems(elements) for i in self._by_elements[inside]]
        lowest: dict[tuple[int, ...], float] = {}
        for i in members:
            formula = self.formulas[i]
            counts = np.array([formula.get(z, 0) for z in elements])
            key = tuple((counts // np.gcd.reduce(counts)).tolist())
            lowest[key] = min(lowest.get(key, np.inf), float(self.formation_energies[i]))
        counts = np.array(list(lowest), dtype=np.float64).reshape(-1, len(elements))
        fractions = (counts / counts.sum(1, keepdims=True)).T
        terminals = frozenset(z for z in elements if frozenset({z}) in self._by_elements)
        compounds = int(((counts > 0).sum(1) > 1).sum())
        return System(fractions, np.array(list(lowest.values())), compounds, terminals)

    def _subsystems(self, elements: tuple[int, ...]) -> list[frozenset[int]]:
        """Element sets of the reference inside a system, by whichever search is the shorter."""
        if 2 ** len(elements) > len(self._by_elements):
            return [inside for inside in self._by_elements if inside <= frozenset(elements)]
        every = (frozenset(c) for k in range(1, len(elements) + 1) for c in combinations(elements, k))
        return [inside for inside in every if inside in self._by_elements]

    @staticmethod
    def _hull_energy(system: System, fractions: Array) -> float:
        """The lowest energy of any mixture of phases with these atomic fractions, in eV/atom."""
        if len(fractions) == 1:
            return float(system.energies.min())
        tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
        found = linprog(
            system.energies, A_eq=system.fractions, b_eq=fractions, bounds=(0, None), method="highs", options=tight
        )
        return float(found.fun)


def _fractions(composition: Mapping[int, int], elements: tuple[int, ...]) -> Array:
    counts = np.array([composition[z] for z in elements], dtype=np.float64)
    return np.asarray(counts / counts.sum(), dtype=np.float64)


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
    composition: Mapping[int, int],
    energy_per_atom: float,
    element_energies: Mapping[int, float],
    corrections: Mapping[int, float] | None = None,
) -> float:
    """Formation energy E - Σ_i x_i μ_i + Σ_i c_i x_i (1 - x_i) in eV/atom; NaN where an element has no μ.

    The corrections c vanish for an element alone, so that they move no elemental phase.

    Arguments:
        composition: Counts as {Z: count}.
        energy_per_atom: E of the potential, in eV/atom.
        element_energies: μ in eV/atom by atomic number.
        corrections: c in eV/atom by atomic number, see :func:`fit_corrections`; none by default.
    """
    total = sum(composition.values())
    fractions = {z: n / total for z, n in composition.items()}
    reference = sum(x * element_energies.get(z, float("nan")) for z, x in fractions.items())
    return energy_per_atom - reference + correction(fractions, corrections or {})


def correction(fractions: Mapping[int, float], corrections: Mapping[int, float]) -> float:
    """Σ_i c_i x_i (1 - x_i) in eV/atom of atomic fractions x by atomic number."""
    return sum(corrections.get(z, 0.0) * x * (1 - x) for z, x in fractions.items())


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
    fractions = _fraction_rows(compositions, elements)
    energies = _least_absolute(fractions, target)
    errors = _held_out_errors(fractions, target)
    return ElementFit(
        dict(zip(elements, energies.tolist(), strict=True)),
        {z: int((fractions[:, k] > 0).sum()) for k, z in enumerate(elements)},
        float(errors.mean()) if len(errors) else float("nan"),
        float(np.median(errors)) if len(errors) else float("nan"),
    )


def fit_corrections(
    compositions: Sequence[Mapping[int, int]],
    formation_energies: Sequence[float] | Array,
    targets: Sequence[float] | Array,
) -> ElementFit:
    """Fit the corrections c that turn formation energies of a potential into given ones, elements staying at zero.

    A potential may misplace a whole class of compounds against its own elemental phases, or one element against all of
    its compounds; Σ_i c_i x_i (1 - x_i) mends that without giving an element another energy than zero. Least absolute
    deviations as in :func:`fit_element_energies`; each element has one row more, which asks for no correction, so that
    one that occurs in few rows is not moved far.

    Arguments:
        compositions: Counts as {Z: count}, one a row.
        formation_energies: Of the potential with its own elemental phases, in eV/atom.
        targets: What is to be reproduced, in eV/atom.

    Returns:
        The corrections as ``energies``, in eV/atom, with errors on rows left out of the fit.
    """
    elements = sorted({z for composition in compositions for z in composition})
    fractions = _fraction_rows(compositions, elements)
    difference = np.asarray(targets, dtype=np.float64) - np.asarray(formation_energies, dtype=np.float64)
    features = np.concatenate([fractions * (1 - fractions), 0.25 * np.eye(len(elements))])
    target = np.concatenate([difference, np.zeros(len(elements))])
    found = _least_absolute(features, target)
    errors = _held_out_errors(features[: len(difference)], difference)
    return ElementFit(
        dict(zip(elements, found.tolist(), strict=True)),
        {z: int((fractions[:, k] > 0).sum()) for k, z in enumerate(elements)},
        float(errors.mean()) if len(errors) else float("nan"),
        float(np.median(errors)) if len(errors) else float("nan"),
    )


def _fraction_rows(compositions: Sequence[Mapping[int, int]], elements: Sequence[int]) -> Array:
    """Atomic fractions, shape (rows, elements)."""
    column = {z: k for k, z in enumerate(elements)}
    fractions = np.zeros((len(compositions), len(elements)))
    for i, composition in enumerate(compositions):
        for z, n in composition.items():
            fractions[i, column[z]] = n / sum(composition.values())
    return fractions


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
