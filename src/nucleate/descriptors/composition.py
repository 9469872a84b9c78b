"""Descriptors of a composition alone: charge balance, concentration of supply (HHI), class of chemistry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import MASSES, NUMBERS, SYMBOLS
from nucleate.crystal.formula import ELECTRONEGATIVITIES, compositions, count_table
from nucleate.descriptors.element_tables import lacking, site_values

# Metalloids are left out: they form both ions and alloys.
_NONMETALS = frozenset({1, 2, 6, 7, 8, 9, 10, 15, 16, 17, 18, 34, 35, 36, 53, 54, 85, 86})
_METALLOIDS = frozenset({5, 14, 32, 33, 51, 52, 84})
_ALLOYING_METALLOIDS = frozenset({32, 51, 84})

MAX_COMBINATIONS = 20_000
"""Combinations of states tried; more (seven and more elements of many states) count as not balanced."""


@lru_cache(maxsize=128)
def oxidation_states(z: int) -> tuple[int, ...]:
    """States other than 0 in which an element occurs: pymatgen's common ones and those it has from the ICSD."""
    from pymatgen.core import Element

    return tuple(sorted((_common_states(z) | set(Element.from_Z(z).icsd_oxidation_states)) - {0}))


@lru_cache(maxsize=128)
def known_states(z: int) -> tuple[int, ...]:
    """All states other than 0 that pymatgen lists for an element, however rare."""
    from pymatgen.core import Element

    return tuple(sorted({*oxidation_states(z), *Element.from_Z(z).oxidation_states} - {0}))


@lru_cache(maxsize=128)
def _common_states(z: int) -> frozenset[int]:
    from pymatgen.core import Element

    return frozenset(Element.from_Z(z).common_oxidation_states)


def is_metal(z: int) -> bool:
    """True for elements that are neither nonmetals nor metalloids."""
    return z not in _NONMETALS and z not in _METALLOIDS


def charge_states(counts: Mapping[int, int]) -> dict[int, int] | None:
    """One whole oxidation state per element that makes the composition neutral, or None.

    Of several, the one with the fewest unusual states, then the smallest ones. No anion may be less
    electronegative than a cation (the Pauling test of SMACT, D. W. Davies et al., Chem 1, 617 (2016)). Mixed
    valence, as in Fe3O4, is not tried.
    """
    states = _charge_states(tuple(sorted(counts.items())))
    return None if states is None else dict(zip(sorted(counts), states, strict=True))


def is_alloy(counts: Mapping[int, int]) -> bool:
    """True if every element is a metal, or germanium, antimony or polonium."""
    return all(is_metal(z) or z in _ALLOYING_METALLOIDS for z in counts)


def is_charge_balanced(counts: Mapping[int, int], rare_states: bool = False) -> bool:
    """True if oxidation states balance the composition, or if it needs none: one element, or an alloy.

    Arguments:
        counts: Atoms of each element, {Z: count}.
        rare_states: Try the states of :func:`known_states` too. For judging what exists, not for proposing.
    """
    if len(counts) == 1 or is_alloy(counts) or charge_states(counts) is not None:
        return True
    return rare_states and _charge_states(tuple(sorted(counts.items())), rare=True) is not None


def charge_balance(crystals: Crystals) -> Tensor:
    """1 where oxidation states, rare ones included, balance the crystal or none are needed, else 0, shape (B,).

    NaN without atoms. Of 9,137 formulas of the Materials Project, 95 % get the answer of SMACT 4's ``smact_validity``;
    both call 91 to 92 % of them valid. Where they differ it is over the states of metalloids in borides and silicides,
    and over promethium, which SMACT does not count as a metal.
    """
    values = [
        float(is_charge_balanced(counts, rare_states=True)) if counts else torch.nan
        for counts in compositions(crystals)
    ]
    return torch.tensor(values, dtype=torch.float64)


def is_nonmetal(z: int) -> bool:
    """True for hydrogen, carbon, nitrogen, phosphorus, the chalcogens O, S and Se, halogens and noble gases."""
    return z in _NONMETALS


@lru_cache(maxsize=65536)
def _charge_states(counts: tuple[tuple[int, int], ...], rare: bool = False) -> tuple[int, ...] | None:
    options = [known_states(z) if rare else oxidation_states(z) for z, _ in counts]
    size = 1
    for states in options:
        size *= len(states)
    if size > MAX_COMBINATIONS:
        return None
    neutral = (
        states
        for states in product(*options)
        if sum(state * n for state, (_, n) in zip(states, counts, strict=True)) == 0 and _ordered(states, counts)
    )

    def rarity(states: tuple[int, ...]) -> tuple[int, int]:
        unusual = sum(state not in _common_states(z) for state, (z, _) in zip(states, counts, strict=True))
        return unusual, sum(map(abs, states))

    return min(neutral, key=rarity, default=None)


def _ordered(states: tuple[int, ...], counts: tuple[tuple[int, int], ...]) -> bool:
    cations = [ELECTRONEGATIVITIES[z] for state, (z, _) in zip(states, counts, strict=True) if state > 0]
    anions = [ELECTRONEGATIVITIES[z] for state, (z, _) in zip(states, counts, strict=True) if state < 0]
    return bool(cations) and bool(anions) and max(cations) <= min(anions)


def hhi_production(crystals: Crystals) -> Tensor:
    """Index of where the elements are produced, shape (B,), float64; NaN where an element has no value."""
    return _by_mass(crystals, 0)


def hhi_reserve(crystals: Crystals) -> Tensor:
    """Index of where the known reserves of the elements lie, shape (B,), float64; NaN where one has no value."""
    return _by_mass(crystals, 1)


def without_hhi(crystals: Crystals) -> Tensor:
    """True on real sites whose element has no value, shape (B, N)."""
    return lacking(crystals, _table()[0])


def _by_mass(crystals: Crystals, column: int) -> Tensor:
    weights = site_values(crystals, MASSES)
    return (weights * site_values(crystals, _table()[column])).sum(-1) / weights.sum(-1)


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Production and reserve by atomic number; 0 at padding, NaN where there is no value."""
    from pymatgen.analysis.hhi import HHIModel

    pairs = [HHIModel().symbol_hhip_hhir.get(symbol, (nan, nan)) for symbol in SYMBOLS[1:]]
    return (0.0, *(pair[0] for pair in pairs)), (0.0, *(pair[1] for pair in pairs))


CLASSES = ("intermetallic", "oxide", "halide", "chalcogenide", "pnictide", "other")

_ANION_CLASS = {
    **dict.fromkeys(("N", "P", "As", "Sb"), "pnictide"),
    "O": "oxide",
    **dict.fromkeys(("S", "Se", "Te"), "chalcogenide"),
    **dict.fromkeys(("F", "Cl", "Br", "I"), "halide"),
}
_FORMERS = np.array(sorted((NUMBERS[s] for s in _ANION_CLASS), key=lambda z: -ELECTRONEGATIVITIES[z]))
"""Anion formers, the most electronegative first."""
_FORMER_CLASS = np.array([CLASSES.index(_ANION_CLASS[SYMBOLS[z]]) for z in _FORMERS])
_NO_METALS = {NUMBERS[s] for s in (*"H He B C Ne Si Ar Ge Kr Xe At Rn".split(), *_ANION_CLASS)}
_METAL = np.array([z > 0 and z not in _NO_METALS for z in range(len(SYMBOLS))])
_ALLOYING = _METAL | np.isin(np.arange(len(SYMBOLS)), [NUMBERS["Si"], NUMBERS["Ge"]])


def chemistry_classes(crystals: Crystals) -> list[str]:
    """Class of each of B crystals, one of :data:`CLASSES`; a crystal without atoms is other."""
    return classes_of_counts(count_table(crystals))


def classes_of_counts(counts: NDArray[np.int64]) -> list[str]:
    """Class of each of B compositions.

    Arguments:
        counts: Atoms of each element, shape (B, 104), indexed by atomic number.
    """
    present = counts > 0
    has_metal = (present & _METAL).any(1)
    anions = counts[:, _FORMERS]
    has_anion = (anions > 0).any(1)
    # argmax takes the first of equals, and the formers stand in the order of electronegativity.
    deciding = np.where(has_metal, anions.argmax(1), (anions > 0).argmax(1))
    alloy = has_metal & (present.sum(1) > 1) & ~(present & ~_ALLOYING).any(1)
    without = np.where(alloy, CLASSES.index("intermetallic"), CLASSES.index("other"))
    found = np.where(has_anion, _FORMER_CLASS[deciding], without)
    return [CLASSES[k] for k in found]
