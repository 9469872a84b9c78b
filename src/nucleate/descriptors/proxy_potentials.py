"""A pair potential for every two elements: smooth curves, a repulsive core, a taper, and their file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nucleate.descriptors.element_tables import N_CLASSES, N_PAIRS, pair_classes, pair_lengths
from nucleate.errors import UserError
from nucleate.io.writing import whole_file

Images = Literal["minimum", "all"]
IMAGES: tuple[Images, ...] = get_args(Images)

CUTOFF = 11.0
"""Å; the potential is zero from here on."""

TAPER_START = 9.0
"""Å; from here to the cutoff the potential fades out as (1 + cos)/2."""

STEP = 0.1
"""Å between the nodes of a curve."""

FIRST_NODE = 5
"""Curves start at this many steps (0.5 Å); every core is joined there or farther out."""

N_NODES = round(CUTOFF / STEP) - FIRST_NODE + 1

CORE_HEIGHT = 1e5
"""A of the core A exp(-r/ρ) - c, in units of kT, as in the tables of FUSE."""

LEAST_SLOPE = 2.0
"""The core starts at least this steep, in kT/Å, so that it always repels."""

SCALED_STEP = 0.025
N_SCALED = 161
"""Class averages are known from 0 to 4 sums of covalent radii; beyond, they are 0."""

FORMAT = "nucleate proxy potentials 1"


class _Core(NamedTuple):
    radius: Tensor
    rho: Tensor
    shift: Tensor


def nodes() -> Tensor:
    """Distances in Å at which curves are stored, shape (N_NODES,)."""
    return STEP * (FIRST_NODE + torch.arange(N_NODES, dtype=torch.float64))


def taper(distance: Tensor) -> Tensor:
    """Taper of distances in Å, any shape: 1 up to ``TAPER_START``, 0 from the cutoff on, smooth between."""
    part = ((distance - TAPER_START) / (CUTOFF - TAPER_START)).clamp(0, 1)
    return 0.5 * (1 + torch.cos(torch.pi * part))


def class_curves(classes: Tensor) -> Tensor:
    """The curve of each element pair that its class alone implies, scaled by covalent radii.

    Arguments:
        classes: A value on the scaled grid for each class of pairs, shape (N_CLASSES, N_SCALED).

    Returns:
        Values at the nodes, shape (N_PAIRS, N_NODES).
    """
    place = (nodes() / pair_lengths()[:, None] / SCALED_STEP).clamp(max=N_SCALED - 1)
    left = place.floor().long().clamp(max=N_SCALED - 2)
    rows = classes[pair_classes()]
    return torch.lerp(rows.gather(1, left), rows.gather(1, left + 1), place - left)


@dataclass(frozen=True)
class PotentialTable:
    """Statistical proxy potentials U(r) of all element pairs, in units of kT.

    Attributes:
        curves: U at :func:`nodes` before the taper, for the pairs with enough samples, shape (P, N_NODES).
        rows: Which element pairs those are, ascending (see :func:`pair_rows`), shape (P,).
        joins: Node at which the core of every pair ends, shape (N_PAIRS,).
        classes: What all other pairs fall back on: U over distance in sums of covalent radii, (N_CLASSES, N_SCALED).
        samples: Crystals of the data set that hold each pair, shape (N_PAIRS,).
        thresholds: Score that 95 % of the data set's crystals do not exceed, by variant.
        details: Origin, licence and settings.
    """

    curves: Tensor
    rows: Tensor
    joins: Tensor
    classes: Tensor
    samples: Tensor
    thresholds: Mapping[str, float]
    details: Mapping[str, Any]

    @cached_property
    def is_fallback(self) -> Tensor:
        """True for pairs without enough samples, whose curve is that of their class, shape (N_PAIRS,)."""
        result = torch.ones(N_PAIRS, dtype=torch.bool)
        result[self.rows] = False
        return result

    @cached_property
    def _values(self) -> Tensor:
        values = class_curves(self.classes.to(torch.float64))
        values[self.rows] = self.curves.to(torch.float64)
        return values

    @cached_property
    def _slopes(self) -> Tensor:
        """Central differences per node; at the join at least as steep as the core may start."""
        padded = torch.cat([self._values[:, :1], self._values, self._values[:, -1:]], 1)
        slopes = (padded[:, 2:] - padded[:, :-2]) / (2 * STEP)
        joins = self.joins.long()[:, None]
        return slopes.scatter(1, joins, slopes.gather(1, joins).clamp(max=-LEAST_SLOPE))

    @cached_property
    def _core(self) -> _Core:
        """ρ and c for which the core meets the curve in value and slope."""
        joins = self.joins.long()[:, None]
        radius = nodes()[self.joins.long()]
        slope, value = -self._slopes.gather(1, joins)[:, 0], self._values.gather(1, joins)[:, 0]
        # x = r/ρ solves A x exp(-x) = r |U'|; right of x = 1 the left side falls, so halving finds the stiff root.
        low, high = torch.ones_like(radius), torch.full_like(radius, 60.0)
        for _ in range(60):
            middle = 0.5 * (low + high)
            above = CORE_HEIGHT * middle * torch.exp(-middle) > radius * slope
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        rho = radius / (0.5 * (low + high))
        return _Core(radius, rho, CORE_HEIGHT * torch.exp(-radius / rho) - value)

    def energies(self, rows: Tensor, distances: Tensor) -> Tensor:
        """U in kT of pairs (table rows) at distances in Å, both of shape (P,); smooth, 0 beyond the cutoff."""
        core = self._core
        place = (distances / STEP - FIRST_NODE).clamp(0, N_NODES - 1)
        left = place.long().clamp(max=N_NODES - 2)
        t = place - left
        at = rows * N_NODES + left
        values, slopes = self._values.flatten(), self._slopes.flatten()
        # Cubic Hermite between nodes.
        curve = (
            values[at] * (1 + 2 * t) * (1 - t) ** 2
            + values[at + 1] * t**2 * (3 - 2 * t)
            + STEP * (slopes[at] * t * (1 - t) ** 2 - slopes[at + 1] * t**2 * (1 - t))
        )
        repulsion = CORE_HEIGHT * torch.exp(-distances / core.rho[rows]) - core.shift[rows]
        return torch.where(distances < core.radius[rows], repulsion, curve) * taper(distances)

    def save(self, path: Path) -> None:
        """Write the table as one safetensors file; its header holds thresholds, origin and the tensors' SHA-256."""
        tensors = {
            "curves": self.curves.to(torch.float16),
            "rows": self.rows.to(torch.int32),
            "joins": self.joins.to(torch.int16),
            "classes": self.classes.to(torch.float16),
            "samples": self.samples.to(torch.int32),
        }
        header = {
            "format": FORMAT,
            "sha256": _digest(tensors),
            "thresholds": json.dumps(dict(self.thresholds), sort_keys=True),
            "details": json.dumps(dict(self.details), sort_keys=True),
        }
        with whole_file(path) as made:
            save_file({name: value.contiguous() for name, value in tensors.items()}, made, header)

    @classmethod
    def load(cls, path: Path) -> PotentialTable:
        """Read a table.

        Raises:
            UserError: The file is missing, is no such table, or its tensors are not what the header says.
        """
        expected = "a table written by `nucleate data potentials`"
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        except (OSError, SafetensorError) as error:
            raise UserError(str(path), f"no readable table ({error})", expected) from None
        if header.get("format") != FORMAT:
            raise UserError(str(path), f"format {header.get('format')!r}", expected)
        pairs = tensors["rows"].shape if "rows" in tensors else ()
        shapes = {
            "curves": (*pairs, N_NODES),
            "rows": pairs,
            "joins": (N_PAIRS,),
            "classes": (N_CLASSES, N_SCALED),
            "samples": (N_PAIRS,),
        }
        found = {name: tuple(value.shape) for name, value in tensors.items()}
        if found != {name: tuple(shape) for name, shape in shapes.items()} or len(pairs) != 1:
            raise UserError(str(path), f"tensors {found}", expected)
        if header.get("sha256") != _digest(tensors):
            raise UserError(str(path), "tensors that do not match their SHA-256", "the file as it was written")
        return cls(
            tensors["curves"].double(),
            tensors["rows"].long(),
            tensors["joins"].long(),
            tensors["classes"].double(),
            tensors["samples"].long(),
            json.loads(header["thresholds"]),
            json.loads(header["details"]),
        )


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
