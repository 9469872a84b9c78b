"""Symmetry of training crystals by their templates: orbits, classes and exact coordinates of their sites."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.symmetry.orbits import SiteOrbits
from nucleate.symmetry.templates import OrbitTemplates, TemplatedCrystals


@dataclass(frozen=True)
class SiteSymmetry:
    """Symmetry of the sites of B crystals of N sites.

    Attributes:
        there: Crystals that have a template, bool, shape (B,); the rest says nothing of others.
        ideal: Fractional coordinates with their symmetry made exact, shape (B, N, 3).
        orbits: Orbits of the sites.
        classes: Class of each site, which sites of one element share, -1 at padding, shape (B, N).
    """

    there: Tensor
    ideal: Tensor
    orbits: SiteOrbits
    classes: Tensor

    @classmethod
    def of(cls, found: TemplatedCrystals, templates: OrbitTemplates) -> SiteSymmetry:
        """That of crystals whose templates ``templates`` are."""
        size, width = found.crystals.numbers.shape
        if len(templates):
            orbits, classes = templates.rows(found.template.clamp_min(0))
            orbits, classes = orbits.padded(width), F.pad(classes, (0, width - classes.shape[1]), value=-1)
        else:
            orbits = SiteOrbits.none(size, width, torch.float32, found.template.device)
            classes = orbits.first
        return cls(found.template >= 0, found.ideal, orbits, classes)

    def __getitem__(self, rows: Tensor) -> SiteSymmetry:
        """That of some crystals, in the order of ``rows``."""
        return SiteSymmetry(self.there[rows], self.ideal[rows], self.orbits[rows], self.classes[rows])

    def trimmed(self, width: int) -> SiteSymmetry:
        """The same for the first ``width`` sites, beyond which there is padding only."""
        return SiteSymmetry(self.there, self.ideal[:, :width], self.orbits.trimmed(width), self.classes[:, :width])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SiteSymmetry:
        """Move to a device and, for floating-point numbers, to a precision."""
        orbits = self.orbits.to(device, dtype)
        return SiteSymmetry(self.there.to(device), self.ideal.to(device, dtype), orbits, self.classes.to(device))

    def constrained(self, chosen: Tensor, mask: Tensor) -> tuple[SiteOrbits, Tensor]:
        """Orbits of the sites and the class of each, shape (B, N); elsewhere each site is one of its own.

        Arguments:
            chosen: Crystals whose symmetry counts, shape (B,).
            mask: True on real sites, shape (B, N); the class of others is -1.
        """
        size, width = mask.shape
        own = torch.arange(width, device=mask.device).expand(size, -1)
        classes = torch.where(chosen[:, None], self.classes, own)
        return self.orbits.where(chosen), torch.where(mask, classes, -1)
