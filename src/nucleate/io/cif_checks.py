"""Statements of a CIF about its crystal beside the sites, and whether a reading agrees with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np

from nucleate.crystal.elements import MASSES, NUMBERS, SYMBOLS
from nucleate.io.cif_sites import Sites, read_number
from nucleate.io.cif_symmetry import Orbits

VOLUME_TOLERANCE = 0.01
"""Relative difference between the cell's volume and the one stated."""

DENSITY_TOLERANCE = 0.05
"""Relative difference between the density of a reading and the one stated."""

_DALTON_PER_CUBIC_ANGSTROM = 1.66053907  # in g/cm³
_TERM = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")


@dataclass(frozen=True)
class Statements:
    """Content of the cell as a CIF states it.

    Attributes:
        formula: Atoms of the formula by atomic number; empty where none is stated or it is not understood.
        units: Formula units in the cell (Z), None where not stated.
        density: In g/cm³, None where not stated.
        volume: Of the cell, in Å³.
    """

    formula: dict[int, float]
    units: float | None
    density: float | None
    volume: float

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers in the formula."""
        return frozenset(self.formula)


@dataclass(frozen=True)
class Agreement:
    """How a reading compares with the statements.

    Attributes:
        faults: What disagrees, with both numbers.
        certain: Whether a statement that would exclude another reading agrees with this one.
        notes: What disagrees, but is outweighed.
    """

    faults: tuple[str, ...]
    certain: bool
    notes: tuple[str, ...] = ()


def parse_formula(text: str) -> dict[int, float]:
    """Dimensionless counts of atoms in a formula by atomic number, deuterium as hydrogen; empty where it is none."""
    plain = re.sub(r"\s+\d*[-+]$", "", text) if len(text) <= 500 else ""
    terms = _TERM.findall(plain)
    if "".join([symbol + count for symbol, count in terms]) != "".join(plain.split()):
        return {}
    counts: dict[int, float] = {}
    for symbol, count in terms:
        z = 1 if symbol in {"D", "T"} else NUMBERS.get(symbol, 0)
        if not z or count == ".":
            return {}
        counts[z] = counts.get(z, 0.0) + (float(count) if count else 1.0)
    return {z: count for z, count in counts.items() if count > 0}


def check_volume(volume: float, text: str) -> str:
    """Reason where the cell has another volume in Å³ than stated; empty where it has not."""
    stated = read_number(text) if text else 0.0
    if not stated > 0 or not volume > 0:
        return ""
    digits = text.split("(")[0].partition(".")[2]
    if abs(volume - stated) <= max(VOLUME_TOLERANCE * stated, 10.0 ** -len(digits)):
        return ""
    return f"the cell has {volume:.6g} Å³, but _cell_volume is {stated:.6g}"


def check(sites: Sites, orbits: Orbits, statements: Statements) -> Agreement:
    """Compare a reading with the formula times Z, the multiplicities and the density of its CIF."""
    numbers = sites.numbers[orbits.site]
    faults: list[str] = []
    notes: list[str] = []
    formula_fault, formula_certain = _check_formula(numbers, statements)
    if formula_fault:
        faults.append(formula_fault)
    multiplicity_fault, multiplicity_certain = _check_multiplicities(sites, orbits)
    if multiplicity_fault:
        (notes if formula_certain else faults).append(multiplicity_fault)
    if sites.hydrogens and (formula_fault or not statements.formula):
        faults.append(sites.hydrogens)
    if statements.density and numbers.max(initial=0) < len(MASSES):
        mass = float(np.array(MASSES)[numbers].sum())
        density = mass / statements.volume * _DALTON_PER_CUBIC_ANGSTROM
        if abs(density - statements.density) > DENSITY_TOLERANCE * statements.density:
            faults.append(f"the density is {density:.4g} g/cm³, but the file says {statements.density:.4g}")
    return Agreement(tuple(faults), formula_certain or multiplicity_certain, tuple(notes))


def formula_text(counts: Mapping[int, float]) -> str:
    """Dimensionless counts of atoms as they are written in a CIF, such as ``Na4 Cl4``."""
    return " ".join(f"{SYMBOLS[z]}{count:g}" for z, count in counts.items())


def _check_formula(numbers: np.ndarray, statements: Statements) -> tuple[str, bool]:
    """The disagreement with the formula, and whether the agreement fixes the number of atoms."""
    formula, units = statements.formula, statements.units
    if not formula:
        return "", False
    if units is not None and (units != round(units) or units < 1):
        return f"Z = {units:g} formula units", False
    counts = Counter(numbers.tolist())
    whole = all(n == int(n) for n in formula.values())
    inside = gcd(*map(int, formula.values())) if whole else 1  # formula units within the formula
    # Many programs write the formula of the whole cell; pymatgen counts its units in pairs for O2, N2 and the like.
    if counts == formula and (units is None or not inside % units or units == inside // 2):
        return "", units is not None or inside > 1
    ordered = {z: counts[z] for z in formula if z in counts} | {z: n for z, n in counts.items() if z not in formula}
    says = f"the formula is {formula_text(formula)}" + (f" with Z = {units:g}" if units is not None else "")
    fault = f"the cell has {formula_text(ordered)}, but {says}"
    if counts.keys() != formula.keys():
        return fault, False
    times = sum(counts.values()) / sum(formula.values())
    if any(abs(counts[z] - times * n) > 1e-3 * counts[z] for z, n in formula.items()):
        return fault, False
    if units is None:
        return ("", inside > 1 and times == 1) if abs(times - round(times)) < 1e-6 else (fault, False)
    agrees = min(abs(times - units), abs(times * inside - units)) < 1e-3
    return ("", True) if agrees else (fault, False)


def _check_multiplicities(sites: Sites, orbits: Orbits) -> tuple[str, bool]:
    """The disagreement with the multiplicities, and whether more than one image of a site is stated and found."""
    stated, sizes = sites.multiplicities, orbits.sizes
    if stated is None:
        return "", False
    if np.array_equal(stated, sizes):
        return "", int(sizes.max()) > 1
    wrong = np.flatnonzero((stated > 0) & (sizes > 0) & (stated != sizes))
    if not len(wrong):
        return "", bool((stated > 1).any())
    orders = sizes.max() // np.maximum(sizes, 1)  # some programs write the order of the site symmetry instead
    if ((stated == orders) | (stated == 0)).all():
        return "", False
    k = int(wrong[0])
    return f"site {sites.labels[k]} has {sizes[k]} images, but its stated multiplicity is {stated[k]}", False
