"""The one place where moyopy is asked for the symmetry of a crystal."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import moyopy
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import heights
from nucleate.crystal.periodic import minimum_distances, reduced_cells, usable_cells

SYMPREC = 0.1
"""Å; distance within which sites count as equivalent where nothing else is said."""

MAX_SYMPREC = 0.3
"""Å; beyond it crystals are not moved onto symmetry: neighbours fall together, and a search may not end (at 0.5 Å on
crystals as a network draws them)."""

MAX_OF_CONTACT = 0.2
"""Widest tolerance as a share of the shortest distance between atoms; a wider one is lowered to it, though not below
``SYMPREC``. At 0.3 Å the library never came back from a crystal with a contact of 1.15 Å (0.26 of it), and took
ever more memory."""

MAX_CONTACT_SITES = 1000
"""Sites above which the shortest distance is not looked for (gigabytes), and the tolerance stays as it is."""

MAX_SEARCHED_SITES = 4000
"""Sites above which no symmetry is looked for (seconds a crystal)."""

MIN_SPACING = 1.0
"""Å between lattice planes of the reduced cell; in flatter cells every atom overlaps with its own images, and the
library may search for minutes and gigabytes."""

MAX_VECTORS = 23.0
"""Lattice vectors that are within the tolerance as long as the longest of the reduced cell, by volume: the library
tries them with each other. Known structures have at most 11 at 0.1 Å (9,705 of the Materials Project); cells 238 Å long
and 3 wide (62) and of 1.1 x 1.3 x 10.8 Å (25) took more than 20 gigabytes."""


def search(crystals: Crystals, symprec: float = SYMPREC, rotate: bool = True) -> Iterator[moyopy.MoyoDataset | None]:
    """Symmetry of each crystal, in order; None where none can be found (overlapping sites, a broken or
    flat cell).

    Arguments:
        crystals: B crystals.
        symprec: Tolerance in Å; see ``MAX_OF_CONTACT``.
        rotate: Turn the standard cells into the standard orientation; otherwise they keep the crystal's own.
    """
    # On cells that are not primitive the library warns of operations it leaves out; that is no news here.
    logging.getLogger("moyo").setLevel(logging.ERROR)
    usable = usable_cells(crystals) & (crystals.n_atoms > 0) & (crystals.n_atoms <= MAX_SEARCHED_SITES)
    cells = reduced_cells(crystals.lattice[usable].double())[0]
    longest = torch.linalg.vector_norm(cells, dim=-1).amax(1)
    vectors = 8 * math.pi * longest**2 * symprec / torch.linalg.det(cells).abs()
    usable[usable.clone()] = (heights(cells).amin(1) >= MIN_SPACING) & (vectors <= MAX_VECTORS)
    for i in range(len(crystals)):
        if not usable[i]:
            yield None
            continue
        tolerance = _lowered(symprec, crystals[i : i + 1])
        numbers, frac, lattice = (value.tolist() for value in crystals.sites(i))
        cell = moyopy.Cell(lattice, frac, numbers)
        try:
            yield moyopy.MoyoDataset(cell, symprec=tolerance, rotate_basis=rotate)
        except ValueError:
            yield None
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # how an internal failure of the library arrives
                raise
            yield None


def _lowered(symprec: float, crystal: Crystals) -> float:
    """The tolerance that one crystal is searched with; see ``MAX_OF_CONTACT``."""
    if symprec <= SYMPREC or int(crystal.n_atoms) > MAX_CONTACT_SITES:
        return symprec
    return min(symprec, max(SYMPREC, MAX_OF_CONTACT * float(minimum_distances(crystal).min())))
