"""A crystal as read, before it is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS

if TYPE_CHECKING:
    from pymatgen.core import Structure

MAX_SITES = 20_000
"""Sites in one crystal; more is refused."""


@dataclass(frozen=True)
class ParsedStructure:
    """Sites as read: numbers (n,), fractional coordinates (n, 3), lattice rows (3, 3) in Å, and what was repaired."""

    numbers: np.ndarray
    frac: np.ndarray
    lattice: np.ndarray
    notes: tuple[str, ...] = ()


def unknown_species(structure: Structure) -> str:
    """Symbol on the first site of a pymatgen structure that is no element from H to Lr; empty where all are."""
    from pymatgen.core import DummySpecies

    species = (site.specie for site in structure)
    return next((one.symbol for one in species if isinstance(one, DummySpecies) or len(SYMBOLS) <= one.Z), "")


def batched(raws: Sequence[ParsedStructure]) -> Crystals:
    """One batch of parsed structures, padded without a loop over sites."""
    if not raws:
        return Crystals.from_lists([], [], [])
    counts = np.array([len(raw.numbers) for raw in raws])
    real = np.arange(counts.max()) < counts[:, None]
    numbers = np.zeros(real.shape, dtype=np.int64)
    frac = np.zeros((*real.shape, 3))
    numbers[real] = np.concatenate([raw.numbers for raw in raws])
    inside = np.concatenate([raw.frac for raw in raws]) % 1.0
    frac[real] = np.where(inside >= 1.0, 0.0, inside)  # a tiny negative value becomes 0, not 1
    lattice = np.stack([raw.lattice for raw in raws]).astype(np.float64)
    tensors = [torch.from_numpy(array) for array in (numbers, frac, lattice, counts.astype(np.int64))]
    return Crystals(tensors[0], tensors[1], tensors[2], tensors[3])
