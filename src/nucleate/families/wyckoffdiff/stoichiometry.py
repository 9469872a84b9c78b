"""How many atoms of each of its elements a crystal has, whatever the elements are: drawn from the data, and told."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.crystal.conditions import Conditions
from nucleate.search.parents import parent_weights

MOST_ELEMENTS = 8
"""Elements whose numbers of atoms are told, the most numerous first."""


def element_counts(composition: Tensor) -> Tensor:
    """Atoms of each element (B, E) as numbers in falling order, shape (B, MOST_ELEMENTS)."""
    return composition.topk(MOST_ELEMENTS, dim=1).values


class Stoichiometries(nn.Module):
    """Numbers of atoms of the elements of training crystals, with their space groups; and what a network is told.

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

    def told(self, counts: Tensor) -> Tensor:
        """What the network is told of numbers of atoms (B, MOST_ELEMENTS), zeros for nothing; shape (B, hidden)."""
        there = F.one_hot(counts.clamp_max(self.max_atoms), self.max_atoms + 1).to(self.embed.weight.dtype)
        there[..., 0] = 0.0
        told: Tensor = self.embed(there.flatten(1))
        return told

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
