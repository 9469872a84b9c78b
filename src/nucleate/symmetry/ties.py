"""What a training crystal carries: labels of its conditions, and the ties of its sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.orbits import SiteOrbits
from nucleate.guidance.conditions import Condition, Scalar, fitted
from nucleate.guidance.labels import Labels
from nucleate.symmetry.templates import OrbitTemplates

LABEL, ORBIT = "label/", "orbit/"
"""What the names of fields begin with."""


def labels_of(crystals: Crystals, conditions: Sequence[Condition]) -> Labels:
    """Labels of training crystals, from their crystal fields ``label/NAME`` and from the crystals themselves.

    A label that is missing is NaN (0 for a category); a field that is missing leaves every label missing.
    """
    values, given = {}, {}
    size, device = len(crystals), crystals.frac.device
    for condition in conditions:
        if condition.name == "chemical_system":
            value = _elements(crystals.numbers, condition.width).to(crystals.frac.dtype)
            there = torch.ones(size, dtype=torch.bool, device=device)
        else:
            field = crystals.crystal_fields.get(LABEL + condition.name)
            value = torch.full((size,), torch.nan, device=device) if field is None else field
            value = value.to(crystals.frac.dtype)
            there = value.isfinite() & ((value > 0) | isinstance(condition, Scalar))
        values[condition.name], given[condition.name] = value, there
    return Labels(values, given)


def fitted_conditions(conditions: Sequence[Condition], crystals: Crystals) -> tuple[Condition, ...]:
    """The same with statistics of the labels."""
    labels = labels_of(crystals, conditions).values
    return tuple(fitted(c, labels[c.name]) if isinstance(c, Scalar) else c for c in conditions)


def described(crystals: Crystals, templates: OrbitTemplates) -> Crystals:
    """Crystals from :meth:`OrbitTemplates.fit` with the ties and classes of their sites as fields."""
    if not len(templates):
        return crystals
    template = crystals.crystal_fields["template"]
    rows, classes = templates.rows(template.clamp_min(0))
    width = crystals.numbers.shape[1]
    orbits = rows.padded(width)
    site = {ORBIT + part.name: getattr(orbits, part.name) for part in fields(orbits) if part.name != "metric"}
    site[ORBIT + "class"] = F.pad(classes, (0, width - classes.shape[1]), value=-1)
    return replace(
        crystals,
        site_fields={**crystals.site_fields, **site},
        crystal_fields={**crystals.crystal_fields, ORBIT + "metric": orbits.metric},
    )


def ties_of(crystals: Crystals, tied: Tensor) -> tuple[SiteOrbits, Tensor]:
    """Orbits of a training batch and the class of each site; without ties each site is a class of its own.

    Arguments:
        crystals: From :func:`described`.
        tied: Crystals whose symmetry counts, shape (B,).
    """
    size, width = crystals.numbers.shape
    if ORBIT + "first" not in crystals.site_fields:
        orbits = SiteOrbits.none(size, width, crystals.frac.dtype, crystals.frac.device)
        classes = orbits.first
    else:
        every = {**crystals.site_fields, **crystals.crystal_fields}
        orbits = SiteOrbits(*(every[ORBIT + part.name] for part in fields(SiteOrbits))).where(tied)
        own = torch.arange(width, device=tied.device).expand(size, -1)
        classes = torch.where(tied[:, None], every[ORBIT + "class"], own)
    return orbits, torch.where(crystals.mask, classes, -1)


def _elements(numbers: Tensor, size: int) -> Tensor:
    """Elements of each crystal as zeros and ones, shape (B, size)."""
    return F.one_hot(numbers, size + 1).amax(1)[:, 1:]
