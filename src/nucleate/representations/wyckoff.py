"""Protostructures as tensors: the element on each fixed Wyckoff position, and counts of each element on free ones.

A position without free coordinates holds nothing or one element (``fixed``, 0 or Z); one with free coordinates any
number of orbits of each element (``counts``). F. E. Kelvinius et al., WyckoffDiff, arXiv:2502.06485, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.space_group import N_GROUPS
from nucleate.symmetry.wyckoff import (
    LETTERS,
    MOST_POSITIONS,
    centring,
    equivalent_settings,
    wyckoff_positions,
)


class WyckoffTables(NamedTuple):
    """Positions of all groups; row g is the group of number g, place p the letter p of ``LETTERS``.

    Attributes:
        multiplicity: Points in the primitive cell, 0 where the group has no such position, shape (231, 27).
        n_free: Free coordinates, -1 where there is no such position, shape (231, 27).
        settings: Place of each position in each equivalent setting of the group, shape (231, S, 27).
        n_settings: Number of settings, shape (231,).
    """

    multiplicity: Tensor
    n_free: Tensor
    settings: Tensor
    n_settings: Tensor


@lru_cache(maxsize=1)
def wyckoff_tables() -> WyckoffTables:
    """The tables, on the processor, int64."""
    groups = range(1, N_GROUPS + 1)
    most = max(len(equivalent_settings(g)) for g in groups)
    multiplicity = torch.zeros(N_GROUPS + 1, MOST_POSITIONS, dtype=torch.int64)
    n_free = torch.full_like(multiplicity, -1)
    settings = torch.arange(MOST_POSITIONS).repeat(N_GROUPS + 1, most, 1)
    n_settings = torch.ones(N_GROUPS + 1, dtype=torch.int64)
    for g in groups:
        positions, renamings = wyckoff_positions(g), equivalent_settings(g)
        n_settings[g] = len(renamings)
        for place, position in enumerate(positions):
            multiplicity[g, place] = position.multiplicity // centring(g)
            n_free[g, place] = position.n_free
            moved = [LETTERS.index(renaming[position.letter]) for renaming in renamings]
            settings[g, : len(moved), place] = torch.tensor(moved)
    return WyckoffTables(multiplicity, n_free, settings, n_settings)


@dataclass(frozen=True)
class Orbits:
    """Occupied orbits of B protostructures of at most S orbits.

    Attributes:
        group: Space groups, shape (B,), int64.
        place: Place of each orbit's position in ``LETTERS``, shape (B, S), int64.
        numbers: Atomic numbers, 0 at padding, shape (B, S), int64.
    """

    group: Tensor
    place: Tensor
    numbers: Tensor

    @classmethod
    def of(cls, protostructures: Sequence[Protostructure]) -> Orbits:
        """The orbits of protostructures, in their order."""
        width = max((len(p.sites) for p in protostructures), default=0)
        place = torch.zeros(len(protostructures), width, dtype=torch.int64)
        numbers = torch.zeros_like(place)
        for i, p in enumerate(protostructures):
            place[i, : len(p.sites)] = torch.tensor([LETTERS.index(letter) for _, letter in p.sites])
            numbers[i, : len(p.sites)] = torch.tensor([z for z, _ in p.sites])
        return cls(torch.tensor([p.space_group for p in protostructures], dtype=torch.int64), place, numbers)

    def __getitem__(self, rows: Tensor) -> Orbits:
        """Those of some crystals, in the order of ``rows``."""
        return Orbits(self.group[rows], self.place[rows], self.numbers[rows])

    def to(self, device: torch.device | str | None) -> Orbits:
        """Move to a device."""
        return Orbits(self.group.to(device), self.place.to(device), self.numbers.to(device))

    def in_setting(self, setting: Tensor) -> Orbits:
        """The same crystals in other settings (B,), each below the group's number of settings."""
        tables = wyckoff_tables()
        place = tables.settings.to(self.place.device)[self.group, setting].gather(1, self.place)
        return Orbits(self.group, torch.where(self.numbers > 0, place, 0), self.numbers)

    def occupations(self, n_elements: int) -> Occupations:
        """As occupations, with as many positions as the group that has the most.

        Arguments:
            n_elements: Largest atomic number E.
        """
        n_free = wyckoff_tables().n_free.to(self.group.device)[self.group]
        width = int((n_free >= 0).sum(1).max()) if len(n_free) else 0
        real = self.numbers > 0
        free = n_free.gather(1, self.place) > 0
        fixed = torch.zeros(len(self.group), width, dtype=torch.int64, device=self.group.device)
        fixed = fixed.scatter_add(1, self.place, torch.where(real & ~free, self.numbers, 0))
        counts = torch.zeros(len(self.group), width * n_elements, dtype=torch.int64, device=self.group.device)
        slot = self.place * n_elements + (self.numbers - 1).clamp_min(0)
        counts = counts.scatter_add(1, slot, (real & free).long())
        return Occupations(self.group, fixed, counts.unflatten(1, (width, n_elements)))


class Occupations(NamedTuple):
    """Elements on the P positions of B space groups; places that a group does not have are empty.

    Attributes:
        group: Space groups, shape (B,), int64.
        fixed: Atomic number on each position without free coordinates, 0 for none, shape (B, P), int64.
        counts: Orbits of each element on each position with free coordinates, shape (B, P, E), int64.
    """

    group: Tensor
    fixed: Tensor
    counts: Tensor

    @property
    def multiplicity(self) -> Tensor:
        """Points of each position in the primitive cell, 0 where there is none, shape (B, P)."""
        return wyckoff_tables().multiplicity.to(self.group.device)[self.group][:, : self.fixed.shape[1]]

    @property
    def n_free(self) -> Tensor:
        """Free coordinates of each position, -1 where there is none, shape (B, P)."""
        return wyckoff_tables().n_free.to(self.group.device)[self.group][:, : self.fixed.shape[1]]

    @property
    def n_atoms(self) -> Tensor:
        """Atoms in the primitive cell, shape (B,)."""
        return self.composition.sum(1)

    @property
    def composition(self) -> Tensor:
        """Atoms of each element in the primitive cell, shape (B, E)."""
        size = self.multiplicity
        on_free = (self.counts * size[:, :, None]).sum(1)
        return on_free.scatter_add(1, (self.fixed - 1).clamp_min(0), torch.where(self.fixed > 0, size, 0))

    @property
    def n_orbits(self) -> Tensor:
        """Occupied orbits, shape (B,)."""
        return (self.fixed > 0).sum(1) + self.counts.sum((1, 2))

    def protostructures(self) -> list[Protostructure | None]:
        """The protostructures; None for an empty one."""
        rows: list[list[tuple[int, str]]] = [[] for _ in range(len(self.group))]
        for row, place in self.fixed.nonzero().tolist():
            rows[row].append((int(self.fixed[row, place]), LETTERS[place]))
        for row, place, element in self.counts.nonzero().tolist():
            rows[row] += [(element + 1, LETTERS[place])] * int(self.counts[row, place, element])
        groups = self.group.tolist()
        return [Protostructure(g, tuple(sites)) if sites else None for g, sites in zip(groups, rows, strict=True)]
