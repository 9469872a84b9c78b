"""Energy above the convex hull of a set of phases, for any composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

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
        from scipy.optimize import linprog

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
