"""Relaxed crystals moved onto the symmetry that they nearly have, where the potential does not mind.

A relaxation that ends at forces of 0.05 eV/Å does not undo a rattle to the end, so that half of the known crystals
come out of it without their space group. Whether a symmetry is real is a question to the energy: the crystal is moved
onto it and relaxed on, which keeps it. Where it then lies no higher than before, the rattle has found nothing better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import heights
from nucleate.crystal.periodic import minimum_distances, reduced_cells
from nucleate.errors import Status
from nucleate.symmetry.space_group import space_groups, symmetrized

if TYPE_CHECKING:
    from nucleate.relaxation.relaxation import Relaxed

TOLERANCES = (0.2, 0.1)
"""Å, the widest first."""
OF_CONTACT = 0.1
"""Part of the shortest distance that no tolerance exceeds: a wide one ties different sites together, and the search for
symmetry may not end."""
MOST_ELONGATED = 10.0
"""Longest edge over smallest spacing of the reduced cell above which nothing is tried: on needles of 16 and more the
search for symmetry took minutes and gigabytes."""
PRICE = 1e-3
"""eV an atom by which the crystal may then lie higher; less is noise of a relaxation."""


def settled(relaxed: Relaxed, relax_on: Callable[[NDArray[np.float64], NDArray[np.float64]], Relaxed]) -> Relaxed:
    """The crystal of the widest tolerance that costs no energy, or the one given; steps and seconds add up.

    Arguments:
        relaxed: A relaxed crystal.
        relax_on: Relaxes the same sites from fractional coordinates (n, 3) and a lattice (3, 3).
    """
    crystal = Crystals.from_lists(
        [relaxed.numbers.tolist()], [torch.from_numpy(relaxed.frac)], [torch.from_numpy(relaxed.lattice)]
    )
    reduced = reduced_cells(crystal.lattice)[0]
    if float(torch.linalg.vector_norm(reduced, dim=-1).max()) > MOST_ELONGATED * float(heights(reduced).min()):
        return relaxed
    contact = float(minimum_distances(crystal).min())
    n_steps, seconds, tried = relaxed.n_steps, relaxed.seconds, {0, 1}
    for tolerance in TOLERANCES:
        within = min(tolerance, OF_CONTACT * contact)
        group = int(space_groups(crystal, within)[0])
        if group in tried:
            continue
        tried.add(group)
        _, frac, lattice = (part.numpy() for part in symmetrized(crystal, within).sites(0))
        again = relax_on(frac, lattice)
        n_steps, seconds = n_steps + again.n_steps, seconds + again.seconds
        if again.status == Status.OK and again.energy_per_atom <= relaxed.energy_per_atom + PRICE:
            first = relaxed.initial_energy_per_atom
            return replace(again, initial_energy_per_atom=first, n_steps=n_steps, seconds=seconds)
    return replace(relaxed, n_steps=n_steps, seconds=seconds)
