"""A crystal as read, before it is trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_SITES = 20_000
"""Sites in one crystal; more is refused."""


@dataclass(frozen=True)
class RawCrystal:
    """Sites as read: numbers (n,), fractional coordinates (n, 3), lattice rows (3, 3) in Å."""

    numbers: np.ndarray
    frac: np.ndarray
    lattice: np.ndarray
