"""Symmetric random crystals: PyXtal fills Wyckoff positions, the density and the separations are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.search.atomic_volumes import cell_volume
from nucleate.search.compositions import Counts, draw_composition
from nucleate.search.packing import clearance
from nucleate.search.separations import separation_matrix
from nucleate.search.wyckoff_fit import fits

if TYPE_CHECKING:
    from moyopy import MoyoDataset

ATTEMPTS = 60
"""Fillings tried for one crystal of a given space group; attempts, not seconds, so that a seed means one crystal."""

ATTEMPTS_ANY_GROUP = 8
GROUPS_TRIED = 12
MAX_EXPANSION = 1.4
"""Largest growth in volume by which a filling may reach its separations."""

VOLUME_SPREAD = 0.08
"""Standard deviation of the logarithm of the volume over the expected one."""

EXACT, LOOSE = 1e-3, 0.1
"""Å; symmetry is standardised at the first tolerance and judged, as everywhere in evaluation, at the second."""


def symmetric_crystal(rng: np.random.Generator, where: Conditions) -> Crystals | None:
    """One crystal in a space group: the one asked for, or a random one from 2 to 230.

    Sites are those of the primitive cell. Returns None where no attempt succeeds.
    """
    if where.space_group is not None:
        group = where.space_group
        for _ in range(ATTEMPTS):
            counts = draw_composition(rng, where, lambda candidate: fits(group, candidate))
            if counts is None:
                return None
            crystal = _filled(rng, group, counts)
            if crystal is not None and _space_group(crystal, LOOSE) == group:
                return crystal
        return None
    counts = draw_composition(rng, where)
    if counts is None:
        return None
    groups = [int(group) for group in rng.integers(2, 231, GROUPS_TRIED)]
    for group in [group for group in groups if fits(group, counts)][:ATTEMPTS_ANY_GROUP]:
        crystal = _filled(rng, group, counts)
        if crystal is not None:
            return crystal
    return None


def _filled(rng: np.random.Generator, group: int, counts: Counts) -> Crystals | None:
    """A primitive cell with Wyckoff positions of the group filled at random, or None where it fails a check."""
    from pyxtal import pyxtal

    filling = pyxtal()
    try:
        filling.from_random(
            3,
            group,
            [SYMBOLS[z] for z in counts],
            list(counts.values()),
            conventional=False,
            max_count=1,
            random_state=rng,
        )
    except Exception:  # noqa: BLE001  a filling that does not work out is only one attempt less
        return None
    if not filling.valid:
        return None
    structure = filling.to_pymatgen()
    frac, numbers = np.asarray(structure.frac_coords), np.array(structure.atomic_numbers)
    primitive = _dataset(structure.lattice.matrix, frac, numbers, EXACT)
    if primitive is None or len(primitive.prim_std_cell.numbers) != sum(counts.values()):
        return None
    cell = primitive.prim_std_cell
    numbers = np.array(cell.numbers)
    order = np.argsort(numbers, kind="stable")
    crystal = Crystals.from_lists(
        [numbers[order].tolist()], [np.array(cell.positions)[order].tolist()], [np.array(cell.basis).tolist()]
    )
    volume = cell_volume(counts) * float(np.exp(rng.normal(0, VOLUME_SPREAD)))
    crystal = _scaled(crystal, (volume / float(crystal.volume[0])) ** (1 / 3))
    smallest = torch.from_numpy(separation_matrix(numbers[order], counts))[None]
    room = float(clearance(crystal, smallest)[0])
    if not room**3 * MAX_EXPANSION >= 1:  # also refuses NaN
        return None
    return _scaled(crystal, 1 / room) if room < 1 else crystal


def _scaled(crystal: Crystals, factor: float) -> Crystals:
    return Crystals(crystal.numbers, crystal.frac, crystal.lattice * factor, crystal.n_atoms)


def _space_group(crystal: Crystals, symprec: float) -> int:
    numbers, frac, lattice = crystal.sites(0)
    found = _dataset(lattice.numpy(), frac.numpy(), numbers.numpy(), symprec)
    return 0 if found is None else int(found.number)


def _dataset(lattice: np.ndarray, frac: np.ndarray, numbers: np.ndarray, symprec: float) -> MoyoDataset | None:
    import moyopy

    cell = moyopy.Cell(basis=lattice.tolist(), positions=frac.tolist(), numbers=numbers.tolist())
    try:
        return moyopy.MoyoDataset(cell, symprec=symprec)
    except Exception:  # noqa: BLE001  no symmetry found at this tolerance
        return None
