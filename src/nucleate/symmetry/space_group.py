"""Space groups of batches, their numbers and symbols, and crystals symmetrized onto the group found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import moyopy  # here, so that requests can be read where only torch is
import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.errors import UserError
from nucleate.symmetry.detection import SYMPREC, search

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
