"""Source structures of a request: templates of training crystals whose labels, or whose elements, are near it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import log

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import reduced
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.descriptors.element_similarity import is_known, likeness
from nucleate.symmetry.templates import OrbitTemplates

NEAREST = 64
"""Training crystals that a kernel spans at least."""
NARROWEST = 0.1
"""Smallest width of the kernel, in standard deviations of the labels."""
LEAST_SHARE = 1e-4
"""Parents of less weight are none: their labels would otherwise decide."""
_CHUNK = 256


class KnownCrystals(nn.Module):
    """Templates, elements and standardised labels of R training crystals.

    Attributes:
        template: Row of each crystal's template, shape (R,).
        elements: Atomic number of each of its classes, 0 beyond them, shape (R, K).
        labels: Labels in standard deviations from their mean, NaN where missing, shape (R, C).
    """

    template: Tensor
    elements: Tensor
    labels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("template", torch.zeros(0, dtype=torch.int16))
        self.register_buffer("elements", torch.zeros(0, 0, dtype=torch.uint8))
        self.register_buffer("labels", torch.zeros(0, 0))

    def fit(self, template: Tensor, elements: Tensor, labels: Tensor) -> None:
        """Keep the crystals that have a template (>= 0, shape (R,)): elements of classes (R, K), labels (R, C)."""
        kept = template >= 0
        self.register_buffer("template", template[kept].to(torch.int16))
        self.register_buffer("elements", elements[kept].to(torch.uint8))
        self.register_buffer("labels", labels[kept].to(torch.float16).float())

    def extend(self, template: Tensor, elements: Tensor, labels: Tensor) -> None:
        """Add crystals with ``labels`` (R', C') of more conditions than before, which earlier crystals lack."""
        before = F.pad(self.labels, (0, labels.shape[1] - self.labels.shape[1]), value=torch.nan)
        kept = template >= 0
        width = max(elements.shape[1], self.elements.shape[1])
        old, new = (F.pad(one, (0, width - one.shape[1])) for one in (self.elements, elements[kept].to(torch.uint8)))
        self.register_buffer("elements", torch.cat([old, new]))
        self.register_buffer("template", torch.cat([self.template, template[kept].to(torch.int16)]))
        self.register_buffer("labels", torch.cat([before, labels[kept].to(torch.float16).float()]))

    def learn(self, template: Tensor, numbers: Tensor, labels: Tensor, templates: OrbitTemplates) -> None:
        """Keep training crystals.

        Arguments:
            template: Row of each crystal's template, -1 for none, shape (R,).
            numbers: Atomic numbers of its sites in the order of the template, shape (R, N).
            labels: Labels in standard deviations from their mean, NaN where missing, shape (R, C).
            templates: The templates.
        """
        self.fit(template, templates.members(template, numbers), labels)

    def learn_more(
        self, template: Tensor, numbers: Tensor, labels: Tensor, own: OrbitTemplates, templates: OrbitTemplates
    ) -> None:
        """Add crystals, whose templates are their ``own``, and these to the ``templates`` that were there before."""
        moved = torch.where(template < 0, template, template + len(templates))
        self.extend(moved, own.members(template, numbers), labels)
        templates.extend(own)

    def draw(self, target: Tensor, weights: Tensor, u: Tensor, parents: Tensor | None = None) -> Tensor:
        """Templates (n,) of training crystals near target labels.

        Arguments:
            target: Standardised labels of each crystal to be made, NaN where not asked, shape (n, C).
            weights: Zero for templates that the request rules out, shape (T,).
            u: Uniform numbers, shape (n,).
            parents: Weight of each training crystal beside that of its labels, shape (R,); None for 1.
        """
        template = self.template.long().cpu()
        labels, possible = self.labels.cpu().double(), weights.cpu()[template] > 0
        share = torch.ones(len(template), dtype=torch.float64) if parents is None else parents.double().cpu()
        possible &= share > LEAST_SHARE
        drawn = []
        for part, at in zip(target.cpu().double().split(_CHUNK), u.cpu().double().split(_CHUNK), strict=True):
            wanted = part.isfinite()
            off = (labels[None] - part[:, None]).square()
            # A training crystal without one of the labels asked says nothing; one not asked does not count.
            distance = torch.where(wanted[:, None], off, torch.zeros_like(off)).sum(-1)
            distance = torch.where(possible & distance.isfinite(), distance, torch.inf)
            # No crystal with such a template has the labels: any template that may be taken is as good.
            distance = torch.where(distance.isfinite().any(-1, keepdim=True), distance, _cost(possible))
            nearest = distance.topk(min(NEAREST, len(template)), largest=False).values
            reached = torch.where(nearest.isfinite(), nearest, torch.zeros_like(nearest)).amax(-1, keepdim=True)
            closest = nearest[:, :1]
            width = ((reached - closest) / 2).clamp_min(NARROWEST**2)
            cumulative = (torch.exp(-0.5 * (distance - closest) / width) * share).cumsum(-1)
            row = torch.searchsorted(cumulative, at[:, None] * cumulative[:, -1:], right=True)[:, 0]
            drawn.append(template[row.clamp_max(len(template) - 1)])
        return torch.cat(drawn)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Take the sizes from the file: they are data, not architecture."""
        for name in ("template", "elements", "labels"):
            if prefix + name in state:
                like = state[prefix + name]
                dtype = torch.float32 if like.is_floating_point() else like.dtype
                self.register_buffer(name, torch.empty_like(like, dtype=dtype, device=self.template.device))
        super()._load_from_state_dict(state, prefix, *rest)  # type: ignore[arg-type]


def _cost(possible: Tensor) -> Tensor:
    """Zero where possible, else infinite."""
    return torch.where(possible, 0.0, torch.inf).double()


SPAN = 64
"""Parents over which the weight falls to exp(-FALL)."""
FALL = 3.0
NARROWEST_LIKENESS = 0.05
"""Least cost over which it does; a likeness of exp(-cost)."""
LOOKED_AT = 512
"""Nearest crystals that are looked at; others are no parents."""
UNBALANCED = 20.0
"""Cost where the charges of the child cannot balance."""
MOST_ELEMENTS = 6
"""Most elements of a crystal; those of a system are put in their places in every way."""
UNKNOWN = 30.0
"""Cost of an element of which nothing is known."""


def parent_weights(elements: Tensor, counts: Tensor, where: Conditions, possible: Tensor) -> Tensor | None:
    """Weight of each known crystal as a parent of the requested system, shape (R,), zero for most of them.

    None where the request says nothing of elements or no crystal has as many of them: then all are as good.

    Arguments:
        elements: Atomic numbers of each crystal, 0 at padding, shape (R, K).
        counts: Their numbers of atoms, shape (R, K).
        where: The request.
        possible: Crystals that the rest of the request allows, shape (R,).
    """
    system = where.chemical_system
    if system is None or where.composition is not None or len(system) > MOST_ELEMENTS:
        return None
    held = (elements > 0).sum(1)
    fits = (held <= len(system)) & (held > 0) if where.allow_subsystems else held == len(system)
    rows = (fits & possible).nonzero().flatten().cpu().numpy()
    if not len(rows):
        return None
    members, numbers = elements.cpu().numpy()[rows], counts.cpu().numpy()[rows]
    cost = np.full(len(rows), np.inf)
    for size in np.unique((members > 0).sum(1)).tolist():
        own = (members > 0).sum(1) == size
        # Fewer elements cost no less than more.
        cost[own] = len(system) / size * _costs(members[own][:, :size], numbers[own][:, :size], system)
    nearest = np.sort(cost[np.isfinite(cost)])
    width = max((nearest[min(SPAN, len(nearest)) - 1] - nearest[0]) / FALL, NARROWEST_LIKENESS)
    weights = torch.zeros(len(elements), dtype=torch.float64)
    weights[torch.from_numpy(rows)] = torch.from_numpy(np.exp(-(cost - nearest[0]) / width))
    return weights


def _costs(members: np.ndarray, numbers: np.ndarray, system: Sequence[int]) -> np.ndarray:
    """Least cost of each crystal over all ways of giving its places to elements, shape (R,); infinite if far."""
    size = members.shape[1]
    ways = list(permutations(range(len(system)), size))
    table = _unlikeness(members, system)
    found = np.stack([sum(table[members[:, i], way[i]] for i in range(size)) for way in ways], 1)
    costs = np.full(len(members), np.inf)
    for row in np.argsort(found.min(1), kind="stable")[:LOOKED_AT].tolist():
        places = numbers[row].tolist()
        costs[row] = found[row].min() + UNBALANCED
        for way in np.argsort(found[row], kind="stable").tolist():
            if found[row, way] >= costs[row]:
                break
            if _balanced([system[i] for i in ways[way]], places):
                costs[row] = found[row, way]
    return costs


def _unlikeness(members: np.ndarray, system: Sequence[int]) -> np.ndarray:
    """Cost of each element of the system in the place of another, at [Z, number in the system]."""
    table = np.full((len(SYMBOLS), len(system)), UNKNOWN)
    for old in np.unique(members).tolist():
        for i, new in enumerate(system):
            if old == new:
                table[old, i] = 0.0
            elif is_known(old) and is_known(new) and (weight := likeness(old, new)) > 0:
                table[old, i] = min(-log(weight), UNKNOWN)
    return table


def _balanced(elements: Sequence[int], counts: Sequence[int]) -> bool:
    return is_charge_balanced(reduced(dict(zip(elements, counts, strict=True))))
