"""Rates of generated crystals as the paper counts them, and how they depend on the scale of the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.formula import count_table
from nucleate.descriptors.validity import validity
from nucleate.diffusion.noise import KeyedNoise
from nucleate.families.maggen.config import SamplerConfig
from nucleate.families.maggen.latent_graph import connections
from nucleate.families.maggen.model import MagGen

"""Supplement S4."""


class Generated(NamedTuple):
    """Shares of crystals made in one way.

    Attributes:
        crystals: How many.
        parents: Known crystals that they were made from.
        on_target: Share whose branches say that every target is met.
        new_composition: Share with other reduced counts of elements than the parent decoded without noise.
        same_elements: Share with the parent's elements.
        valid: Share of valid crystals; see :mod:`nucleate.descriptors.validity`.
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
