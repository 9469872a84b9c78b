"""A crystal as read, before it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    """What stands on a site of a pymatgen structure that is no element; empty where all are."""
    from pymatgen.core import DummySpecies

    return next((str(site.specie.symbol) for site in structure if isinstance(site.specie, DummySpecies)), "")
