"""From conditions to what the walk is told: sizes, allowed species, species given from the start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import UserError

CONDITIONS = ("chemical_system", "composition", "n_atoms")


@dataclass(frozen=True)
class Plan:
    """Crystals of a request with their sizes.

    Attributes:
        indices: Numbers in the request, shape (n,).
        n_atoms: Sites of each, shape (n,).
    """

    indices: Tensor
    n_atoms: Tensor

    def batches(self, rows: Tensor, pairs: int) -> Iterator[Tensor]:
        """Parts of ``rows`` of equal size, of at most about ``pairs`` pairs of sites, so that caches hold them."""
        for size in self.n_atoms[rows].unique().tolist():
            yield from rows[self.n_atoms[rows] == size].split(max(1, pairs // size**2))


@dataclass(frozen=True)
class Request:
    """A request that a model can meet.

    A chemical system asks for each of its elements at least once: since sites have no order, one site for
    each element is given from the start and the network fills the others from the allowed species.

    Attributes:
        conditions: As asked for.
        sizes: Weight of n atoms at index n, zero where the conditions rule n out.
        allowed: Species that may be drawn, bool, shape (100,).
    """

    conditions: Conditions
    sizes: Tensor
    allowed: Tensor

    @classmethod
    def of(cls, where: Conditions, size_weights: Tensor, element_seen: Tensor) -> Request:
        """Check conditions against what a model was trained on.

        Raises:
            UserError: See :meth:`DiffCSP.sample`.
        """
        asked = set(where.targets) | ({"space_group"} if where.space_group is not None else set())
        if asked:
            raise UserError("--where", ", ".join(sorted(asked)), "conditions of this model: " + ", ".join(CONDITIONS))
        wanted = set(where.composition or where.chemical_system or ())
        unseen = [SYMBOLS[z] for z in sorted(wanted) if z > len(element_seen) or not element_seen[z - 1]]
        if unseen:
            raise UserError("--where", ", ".join(unseen), "elements that the model was trained on")
        fits = torch.tensor([n > 0 and where.allows_size(n) for n in range(len(size_weights))])
        sizes = size_weights * fits
        if not sizes.sum() > 0:
            largest = int(size_weights.nonzero().max())
            raise UserError("--where", "a request that no crystal size of this model meets", f"at most {largest} atoms")
        allowed = element_seen > 0
        if wanted:
            allowed = torch.zeros_like(allowed)
            allowed[torch.tensor(sorted(wanted)) - 1] = True
        return cls(where, sizes, allowed)

    def plan(self, seed: int, start: int, n: int) -> Plan:
        """Draw the sizes of crystals start .. start + n - 1."""
        indices = torch.arange(start, start + n)
        u = KeyedNoise(seed, indices, dtype=torch.float64).uniform("size", (n,))
        cumulative = torch.cumsum(self.sizes.double() / self.sizes.double().sum(), 0)
        n_atoms = torch.searchsorted(cumulative, u, right=True).clamp_max(len(self.sizes) - 1)
        return Plan(indices, n_atoms)

    def pinned(self, n_atoms: Tensor, width: int) -> Tensor:
        """Atomic numbers given from the start, 0 elsewhere, shape (B, width)."""
        given = torch.zeros(len(n_atoms), width, dtype=torch.int64, device=n_atoms.device)
        if self.conditions.composition is not None:
            unit = [z for z, count in self.conditions.composition.items() for _ in range(count)]
            repeated = torch.tensor(unit, device=given.device).repeat(width // len(unit) + 1)[:width]
            given += repeated * (torch.arange(width, device=given.device) < n_atoms[:, None])
        elif self.conditions.chemical_system and not self.conditions.allow_subsystems:
            given[:, : len(self.conditions.chemical_system)] = given.new_tensor(self.conditions.chemical_system)
        return given
