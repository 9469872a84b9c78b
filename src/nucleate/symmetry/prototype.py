"""Protostructures of crystals: which space group they have, and which elements sit on its Wyckoff positions."""

from __future__ import annotations

from math import gcd

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions
from nucleate.crystal.symmetry_search import SYMPREC
from nucleate.errors import UserError
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.space_group import Symmetry, symmetries


def protostructure_labels(crystals: Crystals, symprec: float = SYMPREC) -> list[str]:
    """Label of each crystal; empty where no symmetry is found or the orbits do not add up to the composition."""
    return ["" if found is None else found.label for found in protostructures(crystals, symprec)]


def protostructures(crystals: Crystals, symprec: float = SYMPREC) -> list[Protostructure | None]:
    """Protostructure of each crystal in the setting that the symmetry search chose.

    None where no symmetry is found or the orbits do not add up to the composition.

    Arguments:
        crystals: B crystals.
        symprec: Distance in Å within which sites count as equivalent.
    """
    counts = compositions(crystals)
    return [
        None if symmetry is None else _found(crystals.numbers[i].tolist(), counts[i], symmetry)
        for i, symmetry in enumerate(symmetries(crystals, symprec))
    ]


def _found(numbers: list[int], counts: dict[int, int], symmetry: Symmetry) -> Protostructure | None:
    sites = tuple((numbers[site], symmetry.letters[site]) for site in sorted(set(symmetry.orbits)))
    try:
        found = Protostructure(symmetry.number, sites)
    except UserError:  # two orbits on a position that holds one: the tolerance merged what does not belong together
        return None
    occupied, unit, shared = found.counts, gcd(*counts.values()), gcd(*found.counts.values())
    fits = {z: n // shared for z, n in occupied.items()} == {z: n // unit for z, n in counts.items()}
    return found if fits else None
