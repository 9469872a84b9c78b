"""Constraints on occupations while sampling, and scores of protostructures against a request."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.conditions.request import Conditions
from nucleate.crystal.formula import reduced
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.networks.wyckoff_gnn import Logits
from nucleate.representations.wyckoff import Occupations
from nucleate.search.cell_priors import is_generic
from nucleate.symmetry.protostructure import Protostructure


@dataclass(frozen=True)
class Limits:
    """Bounds for B crystals.

    Attributes:
        n_atoms: Most atoms in the primitive cell, shape (B,).
        elements: Most atoms of each element, 0 where it is not allowed, shape (B, E).
    """

    n_atoms: Tensor
    elements: Tensor

    def masked(self, logits: Logits, state: Occupations) -> Logits:
        """Logits with -inf for what could not be right whatever else is occupied, and for what does not apply."""
        multiplicity, n_free = state.multiplicity, state.n_free
        count = torch.arange(logits.counts.shape[-1], device=multiplicity.device)
        room = torch.minimum(self.elements, self.n_atoms[:, None])
        fits_fixed = (multiplicity[:, :, None] <= room[:, None]) & (n_free == 0)[:, :, None]
        empty = torch.ones_like(fits_fixed[..., :1])
        fits_counts = (multiplicity[:, :, None, None] * count <= room[:, None, :, None]) & (n_free > 0)[..., None, None]
        return Logits(
            logits.fixed.masked_fill(~torch.cat([empty, fits_fixed], -1), -torch.inf),
            logits.counts.masked_fill(~(fits_counts | (count == 0)), -torch.inf),
        )

    def kept(self, old: Occupations, new: Occupations, order: Tensor) -> Occupations:
        """The new occupations without some that came on top of the old ones where they break a limit.

        Arguments:
            old: Within the limits.
            new: Nothing that ``old`` has is missing or other.
            order: Uniform numbers that say which go first, shape (B, P, E + 1).
        """
        new = self._kept(old, new, order, self.n_atoms, None)
        bound = (new.composition > self.elements).any(0)
        for element in bound.nonzero().flatten().tolist():
            new = self._kept(old, new, order, self.elements[:, element], element)
        return new

    def _kept(
        self, old: Occupations, new: Occupations, order: Tensor, limit: Tensor, element: int | None
    ) -> Occupations:
        """The same for one limit (B,), of all atoms or of those of one element."""
        atoms = new.composition if element is None else new.composition[:, element : element + 1]
        if not (atoms.sum(1) > limit).any():
            return new
        size = new.multiplicity
        of_fixed = torch.where((new.fixed > 0) & (old.fixed == 0), size, 0)
        of_counts = torch.where(old.counts == 0, new.counts * size[:, :, None], 0)
        if element is not None:
            of_fixed = torch.where(new.fixed == element + 1, of_fixed, 0)
            others = torch.arange(of_counts.shape[2], device=size.device) != element
            of_counts = of_counts.masked_fill(others, 0)
        added = torch.cat([of_fixed[..., None], of_counts], -1).flatten(1)
        before = old.composition if element is None else old.composition[:, element : element + 1]
        left = limit - before.sum(1)
        ranked = torch.where(added > 0, order.flatten(1), 2.0).argsort(1)
        total = added.gather(1, ranked).cumsum(1)
        fits = torch.zeros_like(added, dtype=torch.bool).scatter(1, ranked, total <= left[:, None])
        stays = (fits | (added == 0)).view(*size.shape, -1)
        return Occupations(
            new.group,
            torch.where(stays[..., 0], new.fixed, old.fixed),
            torch.where(stays[..., 1:], new.counts, old.counts),
        )

    def occupied(self, state: Occupations, fixed: Tensor, counts: Tensor, u: Tensor) -> Occupations:
        """The same with one orbit in each crystal that is empty, drawn by its odds.

        Arguments:
            state: Within the limits.
            fixed: Probabilities (B, P, E + 1), zero for what the limits rule out.
            counts: Probabilities (B, P, E, K), likewise.
            u: Uniform numbers, shape (B,).
        """
        empty = state.n_orbits == 0
        if not empty.any():
            return state
        rows = empty.nonzero().flatten()
        tiny = torch.finfo(torch.float64).tiny
        odds_fixed = fixed[rows, :, 1:].double() / fixed[rows, :, :1].double().clamp_min(1e-12)
        odds_counts = counts[rows, :, :, 1].double() / counts[rows, :, :, 0].double().clamp_min(1e-12)
        size, n_free = state.multiplicity[rows], state.n_free[rows]
        room = torch.minimum(self.elements, self.n_atoms[:, None])[rows]
        possible = (n_free >= 0)[:, :, None] & (size[:, :, None] <= room[:, None])
        # What can be occupied at all keeps a chance, however little the network thinks of it.
        odds = torch.where((n_free == 0)[:, :, None], odds_fixed, odds_counts).clamp_min(tiny**0.5) * possible
        cumulative = odds.flatten(1).cumsum(1)
        aim = u[rows].double()[:, None] * cumulative[:, -1:]
        slot = torch.searchsorted(cumulative, aim, right=True)[:, 0].clamp_max(cumulative.shape[1] - 1)
        place, element = slot // odds.shape[2], slot % odds.shape[2]
        new_fixed, new_counts = state.fixed.clone(), state.counts.clone()
        tied = n_free.gather(1, place[:, None])[:, 0] == 0
        new_fixed[rows[tied], place[tied]] = element[tied] + 1
        new_counts[rows[~tied], place[~tied], element[~tied]] = 1
        return Occupations(state.group, new_fixed, new_counts)


BEST = 8
"""Nothing is left to wish for."""


def scores_of(
    state: Occupations, found: list[Protostructure], where: Conditions, n_atoms: Tensor | None, balanced: bool
) -> Tensor:
    """0 for crystals outside the request; else 1, and more the better they are.

    4 for no more symmetry than asked for, 2 for charges that can balance, 1 for the size.
    """
    composition = state.composition
    meets = torch.tensor([where.allows_size(n) for n in composition.sum(1).tolist()])
    if where.chemical_system and not where.allow_subsystems:
        meets &= (composition[:, torch.tensor(where.chemical_system) - 1] > 0).all(1)
    if where.composition is not None:
        units = composition.sum(1) // sum(where.composition.values())
        for z, count in where.composition.items():
            meets &= composition[:, z - 1] == count * units
    right = torch.ones_like(meets) if n_atoms is None else composition.sum(1) == n_atoms
    generic = torch.tensor([is_generic(one) for one in found])
    asked = not balanced or where.composition is not None
    neutral = torch.tensor([asked or is_charge_balanced(reduced(one.counts)) for one in found])
    return meets.long() * (1 + 4 * generic.long() + 2 * neutral.long() + right.long())
