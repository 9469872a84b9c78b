"""Orbits of sites: positions of a batch as functions of one free point an orbit, and what a network sees of them.

A network that sees masked sites cannot tell the one site of a class from the six of another; features of the sites of a
template say how large each class and orbit is and how many coordinates of an orbit are free.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class SiteOrbits:
    """Orbits of B crystals of N sites, padding being orbits of its own.

    Attributes:
        first: For each site, the place of its orbit's representative, shape (B, N), int64.
        rotation: R, integers in the crystal's own basis (columns), shape (B, N, 3, 3).
        inverse: R⁻¹, shape (B, N, 3, 3).
        shift: t, shape (B, N, 3).
        basis: E of the site's orbit, zero columns where fewer than three numbers are free, shape (B, N, 3, 3).
        dual: Pseudo-inverse of E, shape (B, N, 3, 3).
        projector: Mean of the rotations of the site symmetry of the representative, shape (B, N, 3, 3).
        offset: b of the site's orbit, shape (B, N, 3).
        metric: Mean over the point group of the map G -> Rᵀ G R on the metric's six entries xx, yy, zz, yz, xz,
            xy, shape (B, 6, 6).
    """

    first: Tensor
    rotation: Tensor
    inverse: Tensor
    shift: Tensor
    basis: Tensor
    dual: Tensor
    projector: Tensor
    offset: Tensor
    metric: Tensor

    def positions(self, free: Tensor) -> Tensor:
        """Positions, not wrapped, from free numbers (B, N, 3), of which those at representatives count."""
        point = _apply(self.basis, self._of_first(free)) + self.offset
        return _apply(self.rotation, point) + self.shift

    def constrained(self, frac: Tensor) -> Tensor:
        """Positions (B, N, 3) that follow those of the representatives exactly, not wrapped."""
        return _apply(self.rotation, self._of_first(frac)) + self.shift

    def vectors(self, drawn: Tensor) -> Tensor:
        """Vectors (B, N, 3) that keep the symmetry, from independent ones at the representatives.

        Independent normal numbers keep their variance in the directions that are free.
        """
        return _apply(self.rotation, _apply(self.basis, self.free(drawn)))

    def free(self, drawn: Tensor) -> Tensor:
        """The free numbers (B, N, 3) of vectors at the representatives, zero where none is free."""
        return _apply(self.dual, self._of_first(drawn))

    def nearest(self, frac: Tensor) -> Tensor:
        """Positions that keep the symmetry, not wrapped, nearest to given ones (B, N, 3).

        The image of each site that is averaged is the one nearest to where its representative puts it.
        """
        start = self.positions(self.free(frac - self.offset))
        off = frac - start
        return start + self.averaged(off - off.round())

    def gradients(self, slopes: Tensor) -> Tensor:
        """Vectors (B, N, 3) that keep the symmetry, from derivatives (B, N, 3) in the free numbers."""
        return _apply(self.rotation, _apply(self.dual.mT, slopes))

    def averaged(self, vectors: Tensor) -> Tensor:
        """The part of a vector field (B, N, 3) that keeps the symmetry: its mean over the group."""
        back = _apply(self.inverse, vectors)
        total = torch.zeros_like(back).scatter_add(1, self._index(back), back)
        count = torch.zeros_like(self.first, dtype=back.dtype).scatter_add(
            1, self.first, torch.ones_like(self.first, dtype=back.dtype)
        )
        mean = self._of_first(total / count.clamp_min(1.0)[..., None])
        return _apply(self.rotation, _apply(self.projector, mean))

    def metrics(self, lattice: Tensor) -> Tensor:
        """Metric tensors (B, 3, 3) of cells (B, 3, 3), averaged over the point group."""
        entries = (lattice @ lattice.mT)[..., _ROWS, _COLUMNS]
        mean = _apply(self.metric, entries)
        result = mean.new_zeros(*mean.shape[:-1], 3, 3)
        result[..., _ROWS, _COLUMNS] = mean
        result[..., _COLUMNS, _ROWS] = mean
        return result

    def _of_first(self, value: Tensor) -> Tensor:
        return value.gather(1, self._index(value))

    def _index(self, value: Tensor) -> Tensor:
        return self.first[..., None].expand_as(value)

    @classmethod
    def none(cls, size: int, width: int, dtype: torch.dtype, device: torch.device) -> SiteOrbits:
        """No ties: each of ``width`` sites of ``size`` crystals an orbit of its own."""
        eye = torch.eye(3, dtype=dtype, device=device).expand(size, width, 3, 3)
        zero = torch.zeros(size, width, 3, dtype=dtype, device=device)
        first = torch.arange(width, device=device).expand(size, -1)
        metric = torch.eye(6, dtype=dtype, device=device).expand(size, 6, 6)
        return cls(first, eye, eye, zero, eye, eye, eye, zero, metric)

    def padded(self, width: int) -> SiteOrbits:
        """The same for ``width`` sites, the further ones without ties."""
        size, have = self.first.shape
        free = SiteOrbits.none(size, width, self.shift.dtype, self.shift.device)
        of_sites = [part.name for part in fields(self) if part.name != "metric"]
        longer = (torch.cat([getattr(self, name), getattr(free, name)[:, have:]], 1) for name in of_sites)
        return SiteOrbits(**dict(zip(of_sites, longer, strict=True)), metric=self.metric)

    def trimmed(self, width: int) -> SiteOrbits:
        """The same for the first ``width`` sites."""
        parts = {part.name: getattr(self, part.name)[:, :width] for part in fields(self) if part.name != "metric"}
        return SiteOrbits(**parts, metric=self.metric)

    def __getitem__(self, rows: Tensor) -> SiteOrbits:
        """Those of some crystals, in the order of ``rows``."""
        return SiteOrbits(*(getattr(self, part.name)[rows] for part in fields(self)))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SiteOrbits:
        """Move to a device and, for floating-point numbers, to a precision."""
        values = (getattr(self, part.name) for part in fields(self))
        return SiteOrbits(*(v.to(device=device, dtype=dtype if v.is_floating_point() else None) for v in values))

    def where(self, chosen: Tensor) -> SiteOrbits:
        """The same where ``chosen`` (B,) is true, no ties elsewhere."""
        size, width = self.first.shape
        free = SiteOrbits.none(size, width, self.shift.dtype, self.shift.device)
        pairs = ((getattr(self, part.name), getattr(free, part.name)) for part in fields(self))
        return SiteOrbits(*(torch.where(chosen.reshape(-1, *[1] * (a.dim() - 1)), a, b) for a, b in pairs))


_ROWS, _COLUMNS = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]


def metric_average(rotations: Tensor) -> Tensor:
    """The map on the six entries of a metric that :class:`SiteOrbits` holds, shape (6, 6).

    Arguments:
        rotations: All rotations of a group in the crystal's basis, shape (K, 3, 3).
    """
    units = rotations.new_zeros(6, 3, 3)
    every = torch.arange(6)
    units[every, _ROWS, _COLUMNS] = 1
    units[every, _COLUMNS, _ROWS] = 1
    moved = rotations[:, None].mT @ units @ rotations[:, None]
    return moved.mean(0)[:, _ROWS, _COLUMNS].T


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


CLASSES = 8
"""Classes that differ in the features; further ones look like the last."""
WIDTH = 1 + CLASSES + 2 + 4


def site_features(orbits: SiteOrbits, classes: Tensor, shown: Tensor) -> Tensor:
    """Features (B, N, WIDTH): a one, the class, its share and its orbit's share of the sites, free coordinates.

    Arguments:
        orbits: Ties of the sites.
        classes: Class of each site, larger ones first, -1 at padding, shape (B, N).
        shown: Crystals that are sampled by a template; all features are zero elsewhere, shape (B,).
    """
    real = classes >= 0
    both = real[:, None, :] & real[:, :, None]
    count = real.sum(1, keepdim=True).clamp_min(1)
    of_class = ((classes[:, :, None] == classes[:, None, :]) & both).sum(-1) / count
    of_orbit = ((orbits.first[:, :, None] == orbits.first[:, None, :]) & both).sum(-1) / count
    free = orbits.basis.abs().sum(-2).gt(0).sum(-1)
    parts = [
        torch.ones_like(of_class)[..., None],
        F.one_hot(classes.clamp(0, CLASSES - 1), CLASSES),
        torch.stack([of_class, of_orbit], -1),
        F.one_hot(free, 4),
    ]
    features = torch.cat([part.to(orbits.shift.dtype) for part in parts], -1)
    return features * (real & shown[:, None])[..., None]
