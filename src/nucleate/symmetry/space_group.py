"""Space groups of batches: detection, numbers and symbols, crystals symmetrized onto the group found, standard cells.

moyopy is asked for the symmetry of a crystal here and nowhere else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import moyopy
import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.lattice import face_distances
from nucleate.crystal.parsed_structure import ParsedStructure, batched
from nucleate.crystal.periodic import minimum_distances, reduced_cells, usable_cells
from nucleate.errors import UserError

SYMPREC = 0.1
"""Å; distance within which sites count as equivalent where nothing else is said."""

MAX_SYMPREC = 0.3
"""Å; beyond it crystals are not symmetrized: neighbours fall together, and a search may not end (at 0.5 Å on
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
    usable[usable.clone()] = (face_distances(cells).amin(1) >= MIN_SPACING) & (vectors <= MAX_VECTORS)
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


def primitive_cells(crystals: Crystals, symprec: float = SYMPREC) -> Crystals:
    """Primitive standard cell of each crystal, refined to its space group; unchanged where none is found.

    Settings: unique axis b and cell choice 1, hexagonal axes for rhombohedral groups, the second choice of
    origin (at a centre of inversion) where there are two.
    """
    exact = crystals.to("cpu", torch.float64)
    raws = []
    for i, found in enumerate(search(exact, symprec)):
        if found is None:
            numbers, frac, lattice = (value.numpy() for value in exact.sites(i))
            raws.append(ParsedStructure(numbers, frac, lattice))
        else:
            cell = found.prim_std_cell
            raws.append(ParsedStructure(np.array(cell.numbers), np.array(cell.positions), np.array(cell.basis)))
    return batched(raws).to(crystals.numbers.device, crystals.frac.dtype)


def niggli_reduced(crystals: Crystals) -> Crystals:
    """The same crystals described by their Niggli-reduced vectors: sites, order and orientation stay.

    The reduced basis is right-handed. Cells that cannot be reduced (not finite, flat) stay as they are.
    Reference: B. Gruber, Acta Cryst. A29, 433 (1973); I. Křivý and B. Gruber, Acta Cryst. A32, 297 (1976).
    """
    lattice = crystals.lattice.to("cpu", torch.float64)
    reduced, inverse = lattice.clone(), torch.eye(3, dtype=torch.float64).repeat(len(crystals), 1, 1)
    for i, basis in enumerate(lattice.tolist()):
        try:
            _, change = moyopy.niggli_reduce(basis)
        except ValueError:
            continue
        rows = torch.tensor(change, dtype=torch.float64).T
        reduced[i] = rows @ lattice[i]
        inverse[i] = torch.linalg.inv(rows).round()  # unimodular, so whole numbers
    frac = wrap(crystals.frac @ inverse.to(crystals.frac))
    frac = torch.where(crystals.mask[..., None], frac, torch.zeros_like(frac))
    return replace(crystals, frac=frac, lattice=reduced.to(crystals.lattice))


CRYSTAL_SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
_LAST_GROUPS = (2, 15, 74, 142, 167, 194, 230)


@dataclass(frozen=True)
class Symmetry:
    """Symmetry of one crystal.

    Attributes:
        number: International number of the space group, 1 to 230.
        hall_number: Its setting, 1 to 530.
        pearson_symbol: Such as ``cF8``.
        letters: Wyckoff letter of each site of the crystal.
        orbits: For each site, the first site that is equivalent to it.
    """

    number: int
    hall_number: int
    pearson_symbol: str
    letters: tuple[str, ...]
    orbits: tuple[int, ...]


def space_groups(crystals: Crystals, symprec: float = SYMPREC) -> Tensor:
    """International number of each crystal's space group, shape (B,), int64; 0 where none is found.

    Arguments:
        crystals: B crystals.
        symprec: Distance in Å within which sites count as equivalent.
    """
    return torch.tensor([0 if found is None else found.number for found in search(_exact(crystals), symprec)])


def crystal_system(group: int) -> str:
    """Crystal system of a space group, 1 to 230."""
    return next(name for last, name in zip(_LAST_GROUPS, CRYSTAL_SYSTEMS, strict=True) if group <= last)


def symmetries(crystals: Crystals, symprec: float = SYMPREC) -> list[Symmetry | None]:
    """Space group, Wyckoff letters and orbits of each crystal at a tolerance in Å; None where none can be found."""
    return [
        None
        if found is None
        else Symmetry(found.number, found.hall_number, found.pearson_symbol, tuple(found.wyckoffs), tuple(found.orbits))
        for found in search(_exact(crystals), symprec)
    ]


def symmetrized(crystals: Crystals, symprec: float = SYMPREC) -> Crystals:
    """The crystals with cell and coordinates snapped to the space group found.

    The cell choice, its orientation, the number and the order of sites stay; lengths, angles and coordinates
    take the nearest values that obey every operation of the group exactly. A crystal without symmetry is
    returned as it is.

    Arguments:
        crystals: B crystals.
        symprec: Distance in Å within which sites count as equivalent.
    """
    frac, lattice = crystals.frac.clone(), crystals.lattice.clone()
    for i, found in enumerate(search(_exact(crystals), symprec, rotate=False)):
        if found is None:
            continue
        # With P the primitive standard vectors and p its origin, both in the crystal's own basis,
        # x = P x' + p carries the refined sites and L = P⁻ᵀ L' the refined vectors back.
        change, origin = np.array(found.prim_std_linear), np.array(found.prim_std_origin_shift)
        refined = np.array(found.prim_std_cell.positions)[found.mapping_std_prim]
        numbers, old, _ = crystals.sites(i)
        start = old.double().cpu().numpy()
        behind = (start - origin) @ np.linalg.inv(change).T - refined
        snapped = (refined + np.round(behind)) @ change.T + origin
        n = len(numbers)
        frac[i, :n] = wrap(torch.from_numpy(snapped)).to(frac)
        lattice[i] = torch.from_numpy(np.linalg.inv(change).T @ np.array(found.prim_std_cell.basis)).to(lattice)
    return replace(crystals, frac=frac, lattice=lattice)


def _exact(crystals: Crystals) -> Crystals:
    return crystals.to("cpu", torch.float64)


N_GROUPS = 230


def space_group_number(text: str, where: str = "space group") -> int:
    """The number of a space group from a number or a Hermann-Mauguin symbol, short or full, such as ``Fd-3m``.

    Raises:
        UserError: It is neither.
    """
    number = int(text) if text.strip().isdecimal() else _symbols().get(_plain(text), 0)
    if not 1 <= number <= N_GROUPS:
        raise UserError(where, repr(text), "a number from 1 to 230, or a symbol such as Fm-3m")
    return number


@lru_cache(maxsize=1)
def _symbols() -> dict[str, int]:
    groups = ((number, moyopy.SpaceGroupType(number)) for number in range(1, N_GROUPS + 1))
    return {_plain(name): number for number, group in groups for name in (group.hm_full, group.hm_short)}


def _plain(symbol: str) -> str:
    return symbol.replace(" ", "").replace("_", "")
