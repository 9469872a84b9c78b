"""MagGen's rates as the paper counts them: reconstruction (Table I), and generation against the scale of the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.conditions.request import Conditions
from nucleate.crystal.formula import count_table
from nucleate.crystal.periodic import minimum_image
from nucleate.descriptors.geometry import validity
from nucleate.diffusion.noise import KeyedNoise
from nucleate.families.maggen.config import SamplerConfig
from nucleate.families.maggen.latent_space import connections
from nucleate.families.maggen.model import MagGen
from nucleate.training.batch import TrainingBatch


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
        r2: Coefficient of determination, dimensionless, at most 1.
        trivial: Mean absolute error of always predicting the mean.
    """

    labels: int
    mae: float
    r2: float
    trivial: float


def reconstruction(model: MagGen, data: TrainingBatch) -> Reconstruction:
    """Encode crystals to their means, decode these, and compare; those that the matrix cannot hold are left out."""
    kept = model.prepared(data).crystals
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


def property_fits(model: MagGen, data: TrainingBatch) -> dict[str, PropertyFit]:
    """Fits of the branches to the labels of crystals, by property."""
    kept = model.prepared(data)
    said = model.predicted(model.encode(kept.crystals, ready=True)).double()
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


"""Supplement S4."""


class Generated(NamedTuple):
    """Shares of crystals made in one way.

    Attributes:
        crystals: How many.
        parents: Known crystals that they were made from.
        on_target: Share whose branches say that every target is met.
        new_composition: Share with other reduced counts of elements than the parent decoded without noise.
        same_elements: Share with the parent's elements.
        valid: Share of valid crystals; see :mod:`nucleate.descriptors.geometry`.
    """

    crystals: int
    parents: int
    on_target: float
    new_composition: float
    same_elements: float
    valid: float


class Success(NamedTuple):
    """The paper's three rates of relaxed crystals.

    Attributes:
        validity: Share whose relaxation ended well.
        success: Share of all that meet every target after it.
        random: Share of the training crystals with known labels that do.
        improvement: (success - random) / random; NaN where no training crystal does.
    """

    validity: float
    success: float
    random: float
    improvement: float


def generated(model: MagGen, where: Conditions, how: SamplerConfig, n: int, seed: int = 0) -> Generated:
    """Make n crystals, one draw each, and count.

    Raises:
        UserError: No parent meets the request.
    """
    rows = model.parents.chosen(where, model.properties, how)
    crystals = model.made(rows, KeyedNoise(seed, torch.arange(n)), how)
    said = torch.stack([crystals.crystal_fields[f"predicted/{name}"] for name in model.properties], 1)
    before = model.decoded(model.parents.points.cpu()[crystals.crystal_fields["parent"]])
    tables = [torch.from_numpy(count_table(c)).double() for c in (crystals, before)]
    reduced = [table / table.sum(1, keepdim=True).clamp_min(1) for table in tables]
    changed = (reduced[0] - reduced[1]).abs().amax(1) > 1e-6
    same = ((tables[0] > 0) == (tables[1] > 0)).all(1)
    flags = (
        model.parents.on_target(said, where, model.properties),
        changed,
        same,
        validity(crystals).is_valid,
    )
    return Generated(n, len(rows), *(float(flag.double().mean()) for flag in flags))


def back_in_the_graph(model: MagGen, where: Conditions, points: Tensor, similarity: float) -> tuple[Tensor, Tensor]:
    """Edges of generated points with the training crystals: their number, and the share with those on target.

    Arguments:
        model: Whose latent space it is.
        where: Says by its targets which training crystals are on target; where a label is unknown, its branch counts.
        points: Generated points, shape (B, D).
        similarity: Tanimoto similarity from which two points share an edge.

    Returns:
        Two tensors (B,); the share is NaN for a point without edges.
    """
    classes = model.parents.on_target(model.parents.known(), where, model.properties).long()
    ones = torch.ones(len(points), dtype=torch.int64)
    found = connections(points, ones, (similarity,), (model.parents.points.cpu(), classes))
    return found.edges[:, 0], found.share[:, 0]


def success(relaxed_ok: Tensor, on_target: Tensor, known: Tensor, where: Conditions, names: Sequence[str]) -> Success:
    """The paper's rates.

    Arguments:
        relaxed_ok: Which crystals' relaxation ended well, bool, shape (B,).
        on_target: Which of them meet every target after it, bool, shape (B,).
        known: Labels of the training crystals, NaN where unknown, shape (P, C).
        where: The targets.
        names: Of the columns of ``known``.
    """
    there = torch.ones(len(known), dtype=torch.bool)
    meets = there.clone()
    for name, (low, high) in where.targets.items():
        column = known[:, list(names).index(name)]
        there &= column.isfinite()
        meets &= (column >= low) & (column <= high)
    random = float((meets & there).sum() / there.sum().clamp_min(1))
    rate = float((relaxed_ok & on_target).double().mean())
    improvement = (rate - random) / random if random > 0 else float("nan")
    return Success(float(relaxed_ok.double().mean()), rate, random, improvement)


def principal_components(points: Tensor, count: int = 2) -> Tensor:
    """Points (P, D) on their first principal components, shape (P, count), for pictures of the latent space."""
    centred = points.double() - points.double().mean(0)
    directions = torch.linalg.eigh(centred.mT @ centred).eigenvectors.flip(1)[:, :count]
    # The sign of a component is free: its largest entry is made positive.
    signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
    return centred @ (directions * signs)
