"""What is drawn before a walk: space groups and sizes of primitive cells, together, as training crystals have them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.space_group_symbols import N_GROUPS
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import UserError
from nucleate.families.wyckoffdiff.stoichiometry import MOST_ELEMENTS, Stoichiometries
from nucleate.search.wyckoff_fit import fits, most_orbits, site_multiplicities


@dataclass(frozen=True)
class GroupSizes:
    """Weights of space groups and sizes that a request allows.

    Attributes:
        weights: Of group g and n atoms in the primitive cell at [g, n], shape (231, max_atoms + 1).
    """

    weights: Tensor

    @classmethod
    def of(cls, where: Conditions, seen: Tensor) -> GroupSizes:
        """Those of training crystals that the request allows.

        Where a space group is asked for that no training crystal of such a size has, every size counts alike that
        its positions can add up to.

        Arguments:
            where: The request.
            seen: Training crystals of group g and n atoms at [g, n], shape (231, max_atoms + 1).

        Raises:
            UserError: No position of the space group allows a size that is asked for.
        """
        largest = seen.shape[1] - 1
        sizes = [n for n in range(1, largest + 1) if where.allows_size(n)]
        if not sizes:
            raise UserError("--where", "a request that no crystal size of this model meets", f"at most {largest} atoms")
        groups = range(1, N_GROUPS + 1) if where.space_group is None else (where.space_group,)
        weights = torch.zeros_like(seen, dtype=torch.float64)
        for group in groups:
            for n in sizes:
                if seen[group, n] > 0 and _possible(where, group, n):
                    weights[group, n] = seen[group, n]
        if not weights.sum() > 0:
            for group in groups:
                for n in sizes:
                    weights[group, n] = float(_possible(where, group, n))
        if not weights.sum() > 0:
            what = "of any space group" if where.space_group is None else f"of space group {where.space_group}"
            found = f"{sizes[0]} to {sizes[-1]} atoms" if len(sizes) > 1 else f"{sizes[0]} atoms"
            raise UserError("--where", found, f"a number of atoms that the Wyckoff positions {what} can hold")
        return cls(weights)

    def draw(self, noise: KeyedNoise, n: int) -> tuple[Tensor, Tensor]:
        """Groups and sizes of n crystals, each of shape (n,)."""
        cumulative = self.weights.flatten().cumsum(0)
        aim = noise.uniform("group", (n,)).double().cpu() * cumulative[-1]
        slot = torch.searchsorted(cumulative, aim, right=True).clamp_max(len(cumulative) - 1)
        return slot // self.weights.shape[1], slot % self.weights.shape[1]


def _possible(where: Conditions, group: int, n: int) -> bool:
    """Whether positions of a group can hold n atoms, of the composition or of all elements asked for."""
    if where.composition is None:
        sites = site_multiplicities(group)
        fixed = tuple(sorted(size for size, is_free in sites if not is_free))
        free = tuple(sorted({size for size, is_free in sites if is_free}))
        needed = len(where.chemical_system or ()) if not where.allow_subsystems else 1
        return most_orbits(fixed, free, n) >= max(needed, 1)
    unit = sum(where.composition.values())
    return fits(group, {z: count * (n // unit) for z, count in where.composition.items()})


def planned(
    where: Conditions, sizes: GroupSizes, stoichiometries: Stoichiometries | None, noise: KeyedNoise, n: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Space groups (n,), atoms (n,), and atoms of each element (n, MOST_ELEMENTS), zeros where those are free."""
    if stoichiometries is not None:
        weights = stoichiometries.allowed(where)
        if weights.sum() > 0:
            group, counts = stoichiometries.draw(weights, noise.uniform("group", (n,)))
            return group, counts.sum(1), counts
    group, n_atoms = sizes.draw(noise, n)
    counts = torch.zeros(n, MOST_ELEMENTS, dtype=torch.int64)
    if where.composition is not None:
        unit = torch.tensor(sorted(where.composition.values(), reverse=True)[:MOST_ELEMENTS])
        counts[:, : len(unit)] = unit * (n_atoms // sum(where.composition.values()))[:, None]
    return group, n_atoms, counts
