"""From conditions to a plan of sampling: sizes, templates, conditioning, allowed and fixed species."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nucleate.conditions.kinds import Condition, Scalar
from nucleate.conditions.labels import Labels
from nucleate.conditions.quantities import ALWAYS_MET
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import RequestWarning, UserError
from nucleate.sampling.source_structures import KnownCrystals
from nucleate.symmetry.templates import OrbitTemplates

LEAST_WEIGHT = 1e-7
"""Weight of a template that no crystal of the original training has; others weigh at least 1."""


Parents = Callable[[Tensor, Tensor, Conditions, Tensor], Tensor | None]
"""From elements (R, K), numbers of atoms (R, K), request and possible crystals (R,) to their weights (R,)."""


class Offer(Protocol):
    """The part of a model's configuration that concerns requests."""

    @property
    def guidance(self) -> float:
        """Strength γ (dimensionless) where a request sets none."""

    @property
    def conditioning(self) -> Sequence[Condition]:
        """Conditions of the network, beyond what sampling meets by construction."""

    @property
    def scalars(self) -> Sequence[Scalar]:
        """Those of them that are numbers."""


@dataclass(frozen=True)
class Plan:
    """Crystals of a request with their sizes.

    Attributes:
        indices: Numbers in the request, shape (n,).
        n_atoms: Sites of each, shape (n,).
        templates: Template of each, shape (n,); None where sampling is free.
        conditioning: Labels of each, of shape (n, ...) by condition; masked where the request has none.
    """

    indices: Tensor
    n_atoms: Tensor
    templates: Tensor | None
    conditioning: Labels

    def labels(self, rows: Tensor, device: torch.device, dtype: torch.dtype) -> Labels:
        """Conditioning (B, ...) of the crystals ``rows`` (B,), in a precision on a device."""
        part = self.conditioning[rows].to(device)
        return Labels({name: value.to(dtype) for name, value in part.values.items()}, part.mask)

    def batches(self, rows: Tensor, pairs: int) -> Iterator[Tensor]:
        """Parts (B,) of ``rows`` of equal size, of at most about ``pairs`` pairs of sites, so that caches hold them."""
        for size in self.n_atoms[rows].unique().tolist():
            yield from rows[self.n_atoms[rows] == size].split(max(1, pairs // size**2))


@dataclass(frozen=True)
class Request:
    """A request that a model can meet.

    In free sampling a chemical system asks for each of its elements at least once: since sites have no order, one
    site for each element is fixed from the start and the network fills the others from the allowed species.
    In sampling by templates each element gets a class of sites.

    Attributes:
        conditions: As asked for.
        config: Of the model.
        strengths: γ (dimensionless) of each condition in force, in the order in which they enter.
        sizes: Weight of n atoms at index n, zero where the conditions rule n out.
        templates: Weight of each template, zero where the conditions rule it out; all zero for free sampling.
        template_sizes: Sites of each template that the model knows.
        known: Training crystals, to draw templates or sizes that go with labels; None where the model has none.
        parents: Weight of each of them for its elements, shape (R,); None where elements do not matter.
        allowed: Species that may be drawn, bool, shape (100,).
    """

    conditions: Conditions
    config: Offer
    strengths: Mapping[str, float]
    sizes: Tensor
    templates: Tensor
    template_sizes: Tensor
    known: KnownCrystals | None
    parents: Tensor | None
    allowed: Tensor

    @classmethod
    def of(
        cls,
        where: Conditions,
        size_weights: Tensor,
        element_seen: Tensor,
        config: Offer,
        templates: OrbitTemplates | None = None,
        known: KnownCrystals | None = None,
        guidance: Mapping[str, float] | float | None = None,
        parents: Parents | None = None,
    ) -> Request:
        """Check conditions against what a model was trained on.

        Arguments:
            where: Conditions.
            size_weights: Share of the sizes in the training data, shape (max_atoms + 1,).
            element_seen: 1 where the training data hold an element, shape (100,).
            config: Of the model.
            templates: Templates to draw from; None for free sampling.
            known: Training crystals with their labels.
            guidance: γ of every condition, or by name.
            parents: How well each of the known crystals goes with the elements of the request.

        Raises:
            UserError: A condition that the model does not have, or that no crystal of its sizes can meet; γ below 0.
        """
        learned = [condition.name for condition in config.conditioning]
        offered = [*ALWAYS_MET, *(["space_group"] if templates is not None else [])]
        offered += [name for name in learned if name not in offered]
        asked = [*where.targets, *(["space_group"] if where.space_group is not None else [])]
        if set(asked) - set(offered):
            unknown = ", ".join(sorted(set(asked) - set(offered)))
            raise UserError("--where", unknown, "conditions of this model: " + ", ".join(offered))
        wanted = set(where.composition or where.chemical_system or ())
        unseen = [SYMBOLS[z] for z in sorted(wanted) if z > len(element_seen) or not element_seen[z - 1]]
        if unseen:
            raise UserError("--where", ", ".join(unseen), "elements that the model was trained on")
        fits = torch.tensor([n > 0 and where.allows_size(n) for n in range(len(size_weights))])
        sizes = size_weights * fits
        if not sizes.sum() > 0:
            largest = int(size_weights.nonzero().max())
            raise UserError("--where", "a request that no crystal size of this model meets", f"at most {largest} atoms")
        weights = torch.zeros(0) if templates is None else _fitting(templates, where)
        if where.space_group is not None and templates is not None and not weights.sum() > 0:
            others = [name for name in ALWAYS_MET if getattr(where, name) is not None]
            found = f"space group {where.space_group}" + (f" with {' and '.join(others)}" if others else "")
            raise UserError("--where", found, "a space group that training crystals of such a request have")
        allowed = element_seen > 0
        if wanted:
            allowed = torch.zeros_like(allowed)
            allowed[torch.tensor(sorted(wanted)) - 1] = True
        constructed = {"chemical_system": bool(wanted), "space_group": where.space_group is not None}
        conditioned = [name for name in learned if name in where.targets or constructed.get(name, False)]
        strengths = _strengths(conditioned, config.guidance, guidance)
        for condition in config.scalars:
            _warn_outside(condition, where.targets.get(condition.name))
        own_sizes = torch.zeros(0, dtype=torch.int64) if templates is None else templates.n_sites.long().cpu()
        shares = None
        if parents is not None and known is not None and templates is not None:
            row = known.template.long().cpu()
            shares = parents(known.elements.cpu(), templates.class_sizes.cpu()[row], where, weights[row] > 0)
        return cls(where, config, strengths, sizes, weights, own_sizes, known, shares, allowed)

    def plan(self, seed: int, start: int, n: int, number: int = 0) -> Plan:
        """Draw labels, and templates or sizes alone, of crystals start .. start + n - 1.

        Arguments:
            seed: Of the request.
            start: Number of the first crystal.
            n: How many.
            number: Further plans ask the same crystals for the same labels, on other templates or sizes.
        """
        indices = torch.arange(start, start + n)
        conditioning = self._labels(KeyedNoise(seed, indices, dtype=torch.float64), n)
        noise = KeyedNoise(seed, indices, dtype=torch.float64, draw=number)
        if not self.templates.sum() > 0:
            return Plan(indices, _drawn(self.sizes, noise.uniform("size", (n,))), None, conditioning)
        u = noise.uniform("template", (n,))
        scalars = [condition for condition in self.config.scalars if condition.name in self.conditions.targets]
        if self.known is not None and (scalars or self.parents is not None):
            z = [
                c.standardised(conditioning.values[c.name]) if c in scalars else torch.full((n,), torch.nan)
                for c in self.config.scalars
            ]
            nothing = torch.full((n, 0), torch.nan, dtype=torch.float64)
            which = self.known.draw(torch.stack(z, 1) if z else nothing, self.templates, u, self.parents)
        else:
            which = _drawn(self.templates, u)
        return Plan(indices, self.template_sizes[which], which, conditioning)

    def _labels(self, noise: KeyedNoise, n: int) -> Labels:
        """Conditioning of each crystal; a range is a uniform draw from it."""
        values, mask = {}, {}
        for condition in self.config.conditioning:
            name = condition.name
            there = name in self.strengths
            if name == "chemical_system":
                value = torch.zeros(n, condition.width, dtype=torch.float64)
                elements = self.conditions.composition or self.conditions.chemical_system or ()
                value[:, torch.tensor([z - 1 for z in elements], dtype=torch.int64)] = 1.0
            elif name == "space_group":
                value = torch.full((n,), float(self.conditions.space_group or 0), dtype=torch.float64)
            else:
                low, high = self.conditions.targets.get(name, (0.0, 0.0))
                value = low + (high - low) * noise.uniform(f"label/{name}", (n,))
            values[name], mask[name] = value, torch.full((n,), there)
        return Labels(values, mask)

    def fixed_species(self, n_atoms: Tensor, width: int) -> Tensor:
        """Atomic numbers fixed from the start of free sampling, 0 elsewhere, shape (B, width)."""
        given = torch.zeros(len(n_atoms), width, dtype=torch.int64, device=n_atoms.device)
        if self.conditions.composition is not None:
            unit = [z for z, count in self.conditions.composition.items() for _ in range(count)]
            repeated = torch.tensor(unit, device=given.device).repeat(width // len(unit) + 1)[:width]
            given += repeated * (torch.arange(width, device=given.device) < n_atoms[:, None])
        elif self.conditions.chemical_system and not self.conditions.allow_subsystems:
            given[:, : len(self.conditions.chemical_system)] = given.new_tensor(self.conditions.chemical_system)
        return given

    def fixed_species_of_classes(self, classes: Tensor, noise: KeyedNoise) -> Tensor:
        """Atomic numbers fixed from the start of sampling by templates, 0 elsewhere, shape (B, N).

        Elements of equal counts are dealt to the classes of that size at random.

        Arguments:
            classes: Class of each site, larger ones first, -1 at padding, shape (B, N).
            noise: Random numbers of these crystals.
        """
        composition = self.conditions.composition
        if composition is None:
            return torch.zeros_like(classes)
        elements = torch.tensor(list(composition), device=classes.device)
        counts = torch.tensor(list(composition.values()), device=classes.device, dtype=noise.dtype)
        order = (noise.uniform("assignment", (len(classes), len(elements))) - counts).argsort(1)
        return torch.where(classes < 0, 0, elements[order].gather(1, classes.clamp_min(0)))


def _warn_outside(condition: Scalar, window: tuple[float, float] | None) -> None:
    if window is None or condition.low is None or condition.high is None:
        return
    if window[0] < condition.low or window[1] > condition.high:
        unit = f" {condition.unit}" if condition.unit else ""
        found = f"{window[0]:g}" if window[0] == window[1] else f"{window[0]:g}..{window[1]:g}"
        seen = f"{condition.low:.4g}..{condition.high:.4g}{unit}"
        text = f"{condition.name}={found} reaches beyond the training data, {seen}"
        warnings.warn(text, RequestWarning, stacklevel=3)


def _strengths(
    conditioned: list[str], default: float, guidance: Mapping[str, float] | float | None
) -> dict[str, float]:
    """γ of each condition in force.

    Raises:
        UserError: γ is below 0, or named for a condition that is not window for.
    """
    named = guidance if isinstance(guidance, Mapping) else {}
    unused = sorted(set(named) - set(conditioned))
    if unused:
        expected = "a condition that is window for" + (": " + ", ".join(conditioned) if conditioned else "")
        raise UserError("--guidance", ", ".join(unused), expected)
    every = default if guidance is None or isinstance(guidance, Mapping) else guidance
    strengths = {name: float(named.get(name, every)) for name in conditioned}
    for name, value in strengths.items():
        if not 0 <= value < float("inf"):
            raise UserError("--guidance", f"{value:g} for {name}", "a strength of 0 or more")
    return strengths


def _drawn(weights: Tensor, u: Tensor) -> Tensor:
    """Indices drawn by weight, one for each uniform number."""
    cumulative = torch.cumsum(weights.double() / weights.double().sum(), 0)
    return torch.searchsorted(cumulative, u.cpu(), right=True).clamp_max(len(weights) - 1)


def _fitting(templates: OrbitTemplates, where: Conditions) -> Tensor:
    """Weight of each template, zero where the conditions rule it out, shape (T,)."""
    sizes, n_sites = templates.class_sizes.cpu(), templates.n_sites.long().cpu()
    classes = (sizes > 0).sum(1)
    most = int(n_sites.max())
    fits = torch.tensor([n > 0 and where.allows_size(n) for n in range(most + 1)])[n_sites]
    if where.space_group is not None:
        fits &= templates.groups.long().cpu() == where.space_group
    if where.composition is not None:
        counts = templates.class_counts(where.composition)
        unit = torch.zeros(1, max(sizes.shape[1], len(counts)), dtype=torch.int64)
        unit[0, : len(counts)] = torch.tensor(counts)
        scaled = unit * (n_sites // sum(counts))[:, None]
        padded = torch.nn.functional.pad(sizes, (0, unit.shape[1] - sizes.shape[1]))
        fits &= (padded == scaled).all(1)
    elif where.chemical_system:
        n_elements = len(where.chemical_system)
        fits &= classes <= n_elements if where.allow_subsystems else classes == n_elements
    # Those of a fine-tuning weigh nothing, so that free requests stay as they were, but can be window for.
    return templates.weights.cpu().float().clamp_min(LEAST_WEIGHT) * fits
