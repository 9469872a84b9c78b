"""The volume that an atom of each element takes up in crystals: the density prior of searchers."""

from __future__ import annotations

from collections.abc import Mapping

from nucleate.crystal.elements import SYMBOLS
from nucleate.errors import UserError

# Å³ per atom, Z = 1 to 96; 0 where there are no data. Non-negative fit of cell volumes to element counts over 9,705
# structures of the Materials Project (CC BY 4.0; A. Jain et al., APL Materials 1, 011002 (2013)) by
# scripts/fit_atomic_volumes.py: median error 5 %, 90th percentile 17 %.
ATOMIC_VOLUMES: tuple[float, ...] = (
    0.0,
    5.7, 0.0, 13.2, 8.2, 6.2, 6.4, 6.1, 7.4, 11.4, 0.0, 22.1, 22.6, 16.5, 14.8, 15.8, 21.3, 29.0, 45.0, 38.7, 29.0,
    20.3, 15.5, 13.7, 10.9, 11.7, 10.9, 9.8, 9.5, 11.9, 16.2, 17.4, 18.0, 19.5, 27.5, 36.9, 41.2, 48.3, 32.1, 27.8,
    20.8, 17.2, 15.0, 14.7, 12.8, 12.9, 14.7, 19.3, 24.0, 25.3, 26.0, 27.9, 36.4, 48.2, 57.2, 59.7, 41.0, 33.8,
    29.5, 32.3, 31.7, 31.9, 29.7, 33.6, 27.9, 27.8, 27.2, 26.7, 26.2, 25.6, 27.2, 24.8, 19.6, 17.3, 17.0, 15.0,
    13.7, 13.7, 15.3, 18.9, 26.6, 30.8, 31.5, 32.2, 0.0, 0.0, 0.0, 0.0, 0.0, 43.5, 31.9, 24.6, 23.2, 24.0, 25.1,
    0.0, 0.0,
)  # fmt: skip


def cell_volume(counts: Mapping[int, int], where: str = "composition") -> float:
    """Expected volume in Å³ of a cell with these element counts {Z: count}.

    Raises:
        UserError: There is no volume for one of the elements.
    """
    for z in counts:
        if z >= len(ATOMIC_VOLUMES) or not ATOMIC_VOLUMES[z]:
            raise UserError(where, SYMBOLS[z], "elements whose crystals are known well enough (H to Bi, Ac to Pu)")
    return sum(ATOMIC_VOLUMES[z] * n for z, n in counts.items())
