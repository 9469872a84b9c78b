"""A crystal as read, before it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nucleate.crystal.elements import SYMBOLS

if TYPE_CHECKING:
    from pymatgen.core import Structure

MAX_SITES = 20_000
"""Sites in one crystal; more is refused."""


@dataclass(frozen=True)
class RawCrystal:
    """Sites as read: numbers (n,), fractional coordinates (n, 3), lattice rows (3, 3) in Å."""

    numbers: np.ndarray
    frac: np.ndarray
    lattice: np.ndarray


def unknown_species(structure: Structure) -> str:
    """What stands on a site of a pymatgen structure that is no element from H to Lr; empty where all are."""
    from pymatgen.core import DummySpecies

    species = (site.specie for site in structure)
    return next((one.symbol for one in species if isinstance(one, DummySpecies) or len(SYMBOLS) <= one.Z), "")
