"""MagGen's latent space: its graph, the source structures in it, and new points near known ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.errors import UserError
from nucleate.families.maggen.config import SamplerConfig

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
        thresholds: Similarities, dimensionless, from which two nodes are joined.
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
        thresholds: Similarities, dimensionless, from which two nodes are joined.
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


def local(points: Tensor, noise: Tensor, scale: float) -> Tensor:
    """Points (n, D) moved by standard normal noise (n, D) times a dimensionless scale; MagGen's way."""
    return points + scale * noise


def everywhere(known: Tensor, noise: Tensor, scale: float) -> Tensor:
    """Points of the normal distribution, axis by axis, of known ones (P, D); its width times a dimensionless scale."""
    return known.mean(0) + scale * known.std(0, correction=0) * noise


def slerp(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Points on the arc from ``first`` to ``second``, each (n, D), at shares (n,) from 0 to 1 of the angle.

    Lengths go linearly from one to the other. Points in one direction, or opposite ones, are joined by a line.
    """
    lengths = [point.norm(dim=-1, keepdim=True) for point in (first, second)]
    tiny = torch.finfo(first.dtype).tiny
    units = [point / length.clamp_min(tiny) for point, length in zip((first, second), lengths, strict=True)]
    angle = torch.acos((units[0] * units[1]).sum(-1, keepdim=True).clamp(-1, 1))
    t = share[:, None].to(first.dtype)
    sine = torch.sin(angle)
    direction = (torch.sin((1 - t) * angle) * units[0] + torch.sin(t * angle) * units[1]) / sine
    arc = direction * ((1 - t) * lengths[0] + t * lengths[1])
    return torch.where(sine.abs() < 1e-6, (1 - t) * first + t * second, arc)


_FIELDS = ("points", "labels", "predicted", "elements", "sizes", "template")
_WHOLE = ("elements", "sizes", "template")


class Parents(nn.Module):
    """P training crystals; empty before a training has ended.

    Attributes:
        points: Means in the latent space, shape (P, D).
        labels: Of the properties that have a branch, NaN where unknown, shape (P, C).
        predicted: What the branches say of the points, shape (P, C).
        elements: Atomic numbers in each, 0 where there are fewer, shape (P, k), int16.
        sizes: Sites of each, shape (P,), int16.
        template: Row of its template, -1 for none, shape (P,), int16.
    """

    points: Tensor
    labels: Tensor
    predicted: Tensor
    elements: Tensor
    sizes: Tensor
    template: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("points", "labels", "predicted"):
            self.register_buffer(name, torch.zeros(0, 0))
        self.register_buffer("elements", torch.zeros(0, 0, dtype=torch.int16))
        self.register_buffer("sizes", torch.zeros(0, dtype=torch.int16))
        self.register_buffer("template", torch.zeros(0, dtype=torch.int16))

    def __len__(self) -> int:
        return len(self.points)

    def keep(self, **values: Tensor) -> None:
        """Take the training crystals: every one of the attributes."""
        for name in _FIELDS:
            value = values[name].cpu()
            self.register_buffer(name, value.to(torch.int16) if name in _WHOLE else value.to(torch.bfloat16).float())

    def known(self) -> Tensor:
        """Labels, where they are unknown what the branches say, shape (P, C)."""
        return torch.where(self.labels.isfinite(), self.labels, self.predicted)

    def chosen(self, where: Conditions, names: tuple[str, ...], how: SamplerConfig) -> Tensor:
        """Rows of the crystals that a request is answered from.

        Arguments:
            where: Targets choose by label, a chemical system and a size by the crystal itself.
            names: Of the properties, in the order of the labels.
            how: Its ``parents``, ``similarity`` and ``correct``.

        Raises:
            UserError: No training crystal is left.
        """
        rows = torch.ones(len(self), dtype=torch.bool)
        if where.n_atoms is not None:
            rows &= (self.sizes >= where.n_atoms[0]) & (self.sizes <= where.n_atoms[1])
        if where.chemical_system is not None:
            system = torch.tensor([0, *where.chemical_system], dtype=torch.int16)
            inside = torch.isin(self.elements, system).all(1)
            # A model may know no crystal of a system; the decoder then puts its elements into others.
            rows = rows & inside if (rows & inside).any() else rows
        if how.parents != "all" and where.targets:
            asked = self.on_target(self.labels, where, names)
            rows &= asked
            if how.parents == "connected" and rows.any():
                rows &= self.connected(self.on_target(self.known(), where, names), how)
        if not rows.any():
            asked_for = ", ".join(f"{name}={low:g}..{high:g}" for name, (low, high) in where.targets.items())
            system_text = "-".join(SYMBOLS[z] for z in where.chemical_system or ())
            found = f"no {how.parents} parent among {len(self)} training crystals"
            expected = f"wider targets than {asked_for or system_text or 'these sizes'}, or --sampler parents=all"
            raise UserError("--where", found, expected)
        return rows.nonzero().flatten()

    def on_target(self, values: Tensor, where: Conditions, names: tuple[str, ...]) -> Tensor:
        """Which values (P, C) of the properties are what a request asks for; an unknown one is not."""
        found = torch.ones(len(values), dtype=torch.bool)
        for name, (low, high) in where.targets.items():
            column = values[:, names.index(name)]
            found &= (column >= low) & (column <= high)
        return found

    def connected(self, classes: Tensor, how: SamplerConfig) -> Tensor:
        """Which nodes have edges, of which more than the asked share lead to their own class, bool, shape (P,)."""
        found = connections(self.points, classes.long(), (how.similarity,))
        return found.share[:, 0].nan_to_num(0.0) > how.correct

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Take the sizes from the file: they are data, not architecture."""
        for name in _FIELDS:
            if prefix + name in state:
                like = state[prefix + name]
                dtype = torch.float32 if like.is_floating_point() else like.dtype
                self.register_buffer(name, torch.empty_like(like, dtype=dtype, device=self.points.device))
        super()._load_from_state_dict(state, prefix, *rest)  # type: ignore[arg-type]
