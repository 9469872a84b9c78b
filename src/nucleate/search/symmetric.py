"""Symmetric random crystals: PyXtal fills Wyckoff positions at random."""

from __future__ import annotations

from functools import partial

import numpy as np

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.symmetry_search import search
from nucleate.search.compositions import Counts, draw_composition
from nucleate.search.wyckoff_fit import fits
from nucleate.symmetry.space_group import space_groups

GROUPS_TRIED = 12
"""Random groups looked at for one that can hold a composition."""

COINCIDENCE = 0.3
"""PyXtal's own smallest distances are cut to this share: atoms are pushed apart afterwards."""

EXACT, LOOSE = 1e-3, 0.1
"""Å; symmetry is standardised at the first tolerance and judged, as everywhere in evaluation, at the second."""


def symmetric_start(rng: np.random.Generator, where: Conditions) -> tuple[Counts, Crystals] | None:
    """Counts and a primitive cell in the space group asked for, or in a random one from 2 to 230.

    The volume is PyXtal's guess and atoms may still be too close. Returns None where this attempt fails.
    """
    asked = where.space_group
    counts = draw_composition(rng, where, None if asked is None else partial(fits, asked))
    groups = [asked] if asked is not None else rng.integers(2, 231, GROUPS_TRIED).tolist()
    group = next((number for number in groups if counts and fits(number, counts)), None)
    if counts is None or group is None:
        return None
    crystal = _filled(rng, group, counts)
    return None if crystal is None else (counts, crystal)


def space_group(crystal: Crystals) -> int:
    """Number of the space group of one crystal at ``LOOSE``; 0 where none is found."""
    return int(space_groups(crystal, LOOSE)[0])


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
            t_factor=COINCIDENCE,
            random_state=rng,
        )
    except Exception:  # noqa: BLE001  a filling that does not work out is only one attempt less
        return None
    if not filling.valid:
        return None
    structure = filling.to_pymatgen()
    filled = Crystals.from_lists(
        [structure.atomic_numbers], [structure.frac_coords.tolist()], [structure.lattice.matrix.tolist()]
    )
    primitive = next(search(filled, EXACT))
    if primitive is None or len(primitive.prim_std_cell.numbers) != sum(counts.values()):
        return None
    cell = primitive.prim_std_cell
    numbers = np.array(cell.numbers)
    order = np.argsort(numbers, kind="stable")
    return Crystals.from_lists(
        [numbers[order].tolist()], [np.array(cell.positions)[order].tolist()], [np.array(cell.basis).tolist()]
    )
