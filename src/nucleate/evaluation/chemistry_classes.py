"""Classes of chemistry: intermetallic, oxide, halide, chalcogenide, pnictide, or other, from the composition alone.

The rule. Anion formers are N, P, As and Sb (pnictides), O (oxides), S, Se and Te (chalcogenides), and F, Cl, Br and I
(halides).

1. Beside a metal, the anion former with the most atoms decides: a phosphate is an oxide, Ca5(PO4)3F too. Of equally
   many the more electronegative one decides: BiOCl is an oxide, FeAsS a chalcogenide.
2. Without a metal, the most electronegative anion former decides: SiO2 and CO2 are oxides, As4S3 a chalcogenide.
3. Without an anion former, two or more elements of which one at least is a metal and the others are metals, silicon or
   germanium make an intermetallic.
4. All else is other: elements, hydrides, borides, carbides, noble gases.

Bismuth and polonium count as metals, astatine as nothing. Sb and As are anion formers here even between metals: InSb
and PtSb2 are pnictides. A label of the composition cannot tell a sulfide from a persulfide, and does not try to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import NUMBERS, SYMBOLS
from nucleate.crystal.formula import ELECTRONEGATIVITIES, count_table

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
