"""Ties of the sites of training crystals: from templates to fields of the container, and from there to a batch."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.crystal.crystals import Crystals
from nucleate.symmetry.orbits import SiteOrbits
from nucleate.symmetry.templates import OrbitTemplates

ORBIT = "orbit/"
"""Beginning of the names of the fields."""


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


def ties_of(crystals: Crystals, constrained: Tensor) -> tuple[SiteOrbits, Tensor]:
    """Orbits of a training batch and the class of each site; without ties each site is a class of its own.

    Arguments:
        crystals: From :func:`described`.
        constrained: Crystals whose symmetry counts, shape (B,).
    """
    size, width = crystals.numbers.shape
    if ORBIT + "first" not in crystals.site_fields:
        orbits = SiteOrbits.none(size, width, crystals.frac.dtype, crystals.frac.device)
        classes = orbits.first
    else:
        every = {**crystals.site_fields, **crystals.crystal_fields}
        orbits = SiteOrbits(*(every[ORBIT + part.name] for part in fields(SiteOrbits))).where(constrained)
        own = torch.arange(width, device=constrained.device).expand(size, -1)
        classes = torch.where(constrained[:, None], every[ORBIT + "class"], own)
    return orbits, torch.where(crystals.mask, classes, -1)
