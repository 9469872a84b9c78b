"""The graph of a latent space: points are joined where they are similar.

Mal, Seal & Sen, MagGen (2023), Eq. 5 and Fig. 3. Nodes are the means of the training crystals, not samples, so the
graph does not depend on chance. All is computed in blocks: the similarities of P points never stand in memory at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 1024
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def tanimoto(first: Tensor, second: Tensor) -> Tensor:
    """Similarity u·v / (u² + v² - u·v) of points (P, D) and (Q, D), shape (P, Q); the paper's Eq. 5.

    1 for equal points; 0 where both are the origin.
    """
    product = first @ second.mT
    whole = first.square().sum(1)[:, None] + second.square().sum(1) - product
    return torch.where(whole > 0, product / whole, torch.zeros_like(product))


@dataclass(frozen=True)
class Connections:
    """Edges of each of P nodes at each of T thresholds.

    Attributes:
        edges: Their number, shape (P, T).
        correct: Those that lead to a node of the same class, shape (P, T).
    """

    edges: Tensor
    correct: Tensor

    @property
    def share(self) -> Tensor:
        """Share of correct edges, shape (P, T); NaN without an edge."""
        return self.correct / self.edges.where(self.edges > 0, torch.nan)


def connections(
    points: Tensor,
    classes: Tensor,
    thresholds: Sequence[float] = THRESHOLDS,
    others: tuple[Tensor, Tensor] | None = None,
) -> Connections:
    """Edges of points among each other, or with others.

    Arguments:
        points: Nodes, shape (P, D).
        classes: A number for the class of each, shape (P,).
        thresholds: Similarities from which two nodes are joined.
        others: Points (Q, D) and classes (Q,) that the edges lead to; by default the nodes themselves, each of
            which has no edge to itself.
    """
    others_points, others_classes = (points, classes) if others is None else others
    edges = torch.zeros(len(points), len(thresholds), dtype=torch.int64)
    correct = torch.zeros_like(edges)
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        similarity = tanimoto(points[rows], others_points)
        if others is None:
            similarity.diagonal(start).fill_(-torch.inf)
        same = classes[rows, None] == others_classes
        for column, threshold in enumerate(thresholds):
            joined = similarity >= threshold
            edges[rows, column] = joined.sum(1)
            correct[rows, column] = (joined & same).sum(1)
    return Connections(edges, correct)


@dataclass(frozen=True)
class GraphSummary:
    """A graph at T thresholds; the paper's Fig. 3.

    Attributes:
        thresholds: Similarities from which two nodes are joined.
        density: Edges per node.
        correct: Share of edges within a class.
        own: The same for the edges that touch one class, by that class.
    """

    thresholds: tuple[float, ...]
    density: tuple[float, ...]
    correct: tuple[float, ...]
    own: dict[int, tuple[float, ...]]


def summary(points: Tensor, classes: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> GraphSummary:
    """Edge density and shares of correct edges of the graph of points (P, D) with classes (P,)."""
    found = connections(points, classes, thresholds)
    ends = found.edges.sum(0)
    own = {}
    for kind in classes.unique().tolist():
        # An edge within the class has both its ends there, one that leaves it has one.
        inside, all_ends = found.correct[classes == kind].sum(0), found.edges[classes == kind].sum(0)
        own[int(kind)] = _shares(inside / 2, all_ends - inside / 2)
    density = tuple((ends / 2 / max(len(points), 1)).tolist())
    return GraphSummary(tuple(thresholds), density, _shares(found.correct.sum(0), ends), own)


def _shares(part: Tensor, whole: Tensor) -> tuple[float, ...]:
    return tuple((part / whole.where(whole > 0, torch.nan)).tolist())
