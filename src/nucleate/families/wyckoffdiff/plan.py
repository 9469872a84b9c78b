"""Drawn before sampling: space groups, sizes of primitive cells and stoichiometries, as training crystals have them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.conditions.request import Conditions
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import UserError
from nucleate.sampling.source_structures import parent_weights
from nucleate.symmetry.space_group import N_GROUPS
from nucleate.symmetry.wyckoff import fits, most_orbits, site_multiplicities

MOST_ELEMENTS = 8
"""Elements whose numbers of atoms the network gets, the most numerous first."""


def element_counts(composition: Tensor) -> Tensor:
    """Atoms of each element (B, E) as numbers in falling order, shape (B, MOST_ELEMENTS)."""
    return composition.topk(MOST_ELEMENTS, dim=1).values


class Stoichiometries(nn.Module):
    """Numbers of atoms of the elements of training crystals, with their space groups, and embedded for a network.

    Arguments:
        max_atoms: Largest primitive cell.
        hidden: Width of the network's vectors.

    Attributes:
        group, counts, elements, weight: Of each kind: space group (T,), numbers in falling order (T, MOST_ELEMENTS),
            the elements that they belong to, likewise, and how many training crystals are of it (T,).
    """

    group: Tensor
    counts: Tensor
    elements: Tensor
    weight: Tensor

    def __init__(self, max_atoms: int, hidden: int) -> None:
        super().__init__()
        self.max_atoms = max_atoms
        self.embed = nn.Linear(MOST_ELEMENTS * (max_atoms + 1), hidden, bias=False)
        nn.init.zeros_(self.embed.weight)
        self.register_buffer("group", torch.zeros(0, dtype=torch.int16))
        self.register_buffer("counts", torch.zeros(0, MOST_ELEMENTS, dtype=torch.int16))
        self.register_buffer("elements", torch.zeros(0, MOST_ELEMENTS, dtype=torch.uint8))
        self.register_buffer("weight", torch.zeros(0, dtype=torch.int16))

    def fit(self, group: Tensor, composition: Tensor) -> None:
        """Keep those of training crystals: groups (B,) and atoms of each element (B, E)."""
        counts, order = composition.topk(MOST_ELEMENTS, dim=1)
        elements = torch.where(counts > 0, order + 1, 0)
        kinds, weight = torch.cat([group[:, None], counts, elements], 1).cpu().unique(dim=0, return_counts=True)
        self.register_buffer("group", kinds[:, 0].to(torch.int16))
        self.register_buffer("counts", kinds[:, 1 : MOST_ELEMENTS + 1].to(torch.int16))
        self.register_buffer("elements", kinds[:, MOST_ELEMENTS + 1 :].to(torch.uint8))
        self.register_buffer("weight", weight.to(torch.int16))

    def conditioning(self, counts: Tensor) -> Tensor:
        """Vectors (B, hidden) for the network of numbers of atoms (B, MOST_ELEMENTS), zeros for unknown ones."""
        there = F.one_hot(counts.clamp_max(self.max_atoms), self.max_atoms + 1).to(self.embed.weight.dtype)
        there[..., 0] = 0.0
        vectors: Tensor = self.embed(there.flatten(1))
        return vectors

    def allowed(self, where: Conditions) -> Tensor:
        """Weight of each kind, zero where a request rules it out or its chemistry is another, shape (T,)."""
        counts = self.counts.long().cpu()
        fits = (counts.sum(1) <= self.max_atoms) & torch.tensor([where.allows_size(n) for n in counts.sum(1).tolist()])
        if where.composition is not None:
            fits &= False
        elif where.chemical_system:
            n_elements = (counts > 0).sum(1)
            asked = len(where.chemical_system)
            fits &= n_elements <= asked if where.allow_subsystems else n_elements == asked
        if where.space_group is not None:
            fits &= self.group.long().cpu() == where.space_group
        parents = parent_weights(self.elements.long().cpu(), counts, where, fits)
        return self.weight.double().cpu() * (fits if parents is None else parents)

    def draw(self, weights: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Groups (n,) and numbers of atoms (n, MOST_ELEMENTS) by weight, one for each uniform number."""
        cumulative = weights.cumsum(0)
        row = torch.searchsorted(cumulative, u.double().cpu() * cumulative[-1], right=True).clamp_max(len(weights) - 1)
        return self.group.long().cpu()[row], self.counts.long().cpu()[row]

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Take the sizes from the file: they are data, not architecture."""
        for name in ("group", "counts", "elements", "weight"):
            if prefix + name in state:
                self.register_buffer(name, torch.empty_like(state[prefix + name], device=self.embed.weight.device))
        super()._load_from_state_dict(state, prefix, *rest)  # type: ignore[arg-type]


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
