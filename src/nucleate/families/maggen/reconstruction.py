"""How well crystals come back from the latent space; the rows of the paper's Table I.

Errors are those of the matrices, so that site i is compared with site i. Coordinates count over the sites that the
crystal has, by the nearest image; lengths and angles in their own units.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import minimum_image
from nucleate.families.maggen.model import MagGen


class Reconstruction(NamedTuple):
    """Errors of a set of crystals.

    Attributes:
        crystals: How many the matrix holds.
        elements: Share of the crystals' elements that come back in their column.
        all_elements: Share of crystals of which all do.
        occupancy: Share of sites, empty ones included, that come back as they were.
        length_percent: Mean absolute error of a, b and c relative to themselves, in percent.
        length: The same in Å.
        angle_percent: Mean absolute error of α, β and γ relative to themselves, in percent.
        angle: The same in degrees.
        coordinate: Mean absolute error of the fractional coordinates of occupied sites.
    """

    crystals: int
    elements: float
    all_elements: float
    occupancy: float
    length_percent: float
    length: float
    angle_percent: float
    angle: float
    coordinate: float


class PropertyFit(NamedTuple):
    """Predictions of a property against its labels, where they are known.

    Attributes:
        labels: How many.
        mae: Mean absolute error, in the property's unit.
        r2: Coefficient of determination.
        trivial: Mean absolute error of always predicting the mean.
    """

    labels: int
    mae: float
    r2: float
    trivial: float


def reconstruction(model: MagGen, crystals: Crystals) -> Reconstruction:
    """Encode crystals to their means, decode these, and compare; those that the matrix cannot hold are left out."""
    kept = model.prepared(crystals)
    truth = model.ircr.encode(kept).double()
    found = model.matrices(model.encode(kept, ready=True))
    blocks, k = model.ircr.blocks, model.ircr.k
    elements, their = (_choice(m[:, blocks["E"], :k], 1) for m in (truth, found))
    there = elements > 0
    right = (elements == their) & there
    column, guessed = (_choice(m[:, blocks["O"], :k], 2) for m in (truth, found))
    occupied = column > 0
    off = (found - truth)[:, blocks["L"], :3].abs()
    relative = off / truth[:, blocks["L"], :3]
    moved = minimum_image((found - truth)[:, blocks["C"], :3]).abs()[occupied]
    numbers = (
        right.sum() / there.sum(),
        (right | ~there).all(1).double().mean(),
        (column == guessed).double().mean(),
        100 * relative[:, 0].mean(),
        off[:, 0].mean(),
        100 * relative[:, 1].mean(),
        off[:, 1].mean(),
        moved.mean(),
    )
    return Reconstruction(len(kept), *(float(value) for value in numbers))


def property_fits(model: MagGen, crystals: Crystals) -> dict[str, PropertyFit]:
    """What the branches say of crystals with labels in the crystal fields ``label/NAME``, by property."""
    kept = model.prepared(crystals)
    said = model.predicted(model.encode(kept, ready=True)).double()
    labels = model.labels(kept).double()
    return {name: fit(said[:, i], labels[:, i]) for i, name in enumerate(model.properties)}


def fit(predicted: Tensor, labels: Tensor) -> PropertyFit:
    """Compare predictions (B,) with labels (B,), of which NaN are left out."""
    known = labels.isfinite()
    off, spread = (predicted - labels)[known], labels[known] - labels[known].mean()
    r2 = 1 - float(off.square().sum() / spread.square().sum()) if len(off) else float("nan")
    return PropertyFit(int(known.sum()), float(off.abs().mean()), r2, float(spread.abs().mean()))


def _choice(entries: Tensor, axis: int) -> Tensor:
    """Place of the largest entry along an axis, from 1; 0 where none is read as present."""
    score, place = entries.max(axis)
    return torch.where(score >= 0.5, place + 1, 0)
