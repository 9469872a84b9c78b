"""Layers, bases and message blocks of GemNet-dT (Gasteiger et al., 2021, section 4, Fig. 2 and appendix).

Activations are SiLU / 0.6 and sums of two are multiplied by 1/√2, which keeps the variance near 1. Scale factors are
fitted to data. A stack of layers keeps for its gradient only what stands before each activation; what stands behind is
computed again from it, and the input of a residual layer from its output. That halves the memory of a training step and
costs no matrix product.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nucleate.networks.gemnet_graph import Graph

GAIN = 1 / 0.6
ROOT_HALF = 2**-0.5
ROWS = 2048
"""Rows that go through all layers of a stack at a time where no gradient is kept, so that they stay in cache."""


def half_sum(x: Tensor, y: Tensor) -> Tensor:
    """(x + y) / √2 of tensors of one shape (...)."""
    return (x + y) * ROOT_HALF


def dense(inputs: int, outputs: int) -> nn.Linear:
    """A layer without bias, orthogonal with rows of mean 0 and variance 1/inputs."""
    layer = nn.Linear(inputs, outputs, bias=False)
    he_orthogonal_(layer.weight)
    return layer


@torch.no_grad()
def he_orthogonal_(weight: Tensor) -> Tensor:
    """Fill a matrix of shape (outputs, inputs) in place."""
    nn.init.orthogonal_(weight)
    inputs = weight.shape[1]
    if inputs > 1:
        weight -= weight.mean(1, keepdim=True)
        weight /= weight.std(1, keepdim=True).clamp_min(1e-6)
    return weight.mul_(inputs**-0.5)


def activation(x: Tensor) -> Tensor:
    """SiLU(x) / 0.6, entry by entry, of shape (...)."""
    return F.silu(x) * GAIN


class Activated(nn.Module):
    """A dense layer with activation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(he_orthogonal_(torch.empty(outputs, inputs)))

    def forward(self, x: Tensor) -> Tensor:
        """From (..., inputs) to (..., outputs)."""
        return layers(x, self.weight, None)


class Residuals(nn.Module):
    """Residual layers x -> (x + act(W₂ act(W₁ x))) / √2, with a dense layer with activation before them if asked.

    Arguments:
        width: Of the residual layers.
        count: Number of them.
        inputs: Width of the input of the dense layer; None for no such layer.
    """

    def __init__(self, width: int, count: int, inputs: int | None = None) -> None:
        super().__init__()
        self.first = None if inputs is None else nn.Parameter(he_orthogonal_(torch.empty(width, inputs)))
        drawn = [he_orthogonal_(torch.empty(width, width)) for _ in range(2 * count)]
        self.weights = nn.Parameter(torch.stack(drawn).unflatten(0, (count, 2))) if count else None

    def forward(self, x: Tensor) -> Tensor:
        """From (..., inputs) to (..., width)."""
        return layers(x, self.first, self.weights)


class Scale(nn.Module):
    """A fixed factor, shape (), that brings a value to variance 1; fitted on data once, stored with the weights."""

    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(()))
        self.fitting = False

    def forward(self, x: Tensor) -> Tensor:
        """The value (...) times the factor."""
        if self.fitting:
            deviation = x.detach().float().std()
            if torch.isfinite(deviation) and deviation > 0:
                self.factor.copy_(1 / deviation)
        return x * self.factor.to(x.dtype)


def layers(x: Tensor, first: Tensor | None, weights: Tensor | None) -> Tensor:
    """A dense layer with activation (``first``, may be missing), then residual layers (``weights``, (n, 2, W, W))."""
    pairs = [] if weights is None else [weight for pair in weights.unbind(0) for weight in pair.unbind(0)]
    given = [x, *([] if first is None else [first]), *pairs]
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        given = [value.to(torch.get_autocast_dtype(kind)) for value in given]
    rows = given[0].flatten(0, -2)
    with torch.autocast(kind, enabled=False):
        if torch.is_grad_enabled():
            out = _Stack.apply(rows, first is not None, *given[1:])
        else:
            parts = [_evaluate(part, first is not None, given[1:]) for part in rows.split(ROWS)]
            out = parts[0] if len(parts) == 1 else torch.cat(parts)
    return out.unflatten(0, x.shape[:-1])


def _evaluate(x: Tensor, has_first: bool, weights: list[Tensor]) -> Tensor:
    if has_first:
        x = F.silu(F.linear(x, weights[0]), inplace=True).mul_(GAIN)
    for one, two in zip(weights[has_first::2], weights[has_first + 1 :: 2], strict=True):
        change = F.silu(F.linear(F.silu(F.linear(x, one), inplace=True).mul_(GAIN), two), inplace=True)
        x = x * ROOT_HALF if x.requires_grad or not has_first else x.mul_(ROOT_HALF)
        x.add_(change, alpha=GAIN * ROOT_HALF)
        has_first = True  # from here on x is ours to write to
    return x


class _Stack(torch.autograd.Function):
    """The layers with a gradient that keeps only what stands before each activation, and the result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, has_first: bool, *weights: Tensor) -> Tensor:
        before = []
        given = x
        if has_first:
            before.append(F.linear(x, weights[0]))
            x = activation(before[-1])
        for one, two in zip(weights[has_first::2], weights[has_first + 1 :: 2], strict=True):
            before.append(F.linear(x, one))
            before.append(F.linear(activation(before[-1]), two))
            x = F.silu(before[-1]).mul_(GAIN).add_(x).mul_(ROOT_HALF)
        ctx.has_first = has_first
        n_residual = (len(weights) - has_first) // 2
        ctx.save_for_backward(*weights, *before, *([x] if n_residual else []), *([given] if has_first else []))
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        first: int = int(ctx.has_first)
        saved = list(ctx.saved_tensors)
        given = saved.pop() if first else None
        count = len(saved) // 2
        weights, before = saved[:count], saved[count : 2 * count]
        x = saved[-1] if count > first else None
        gradients: list[Tensor] = []
        g = gradient
        for k in range(count - 1, first, -2):
            one, two, z1, z2 = weights[k - 1], weights[k], before[k - 1], before[k]
            if x is None:
                break
            x = (x / ROOT_HALF).sub_(F.silu(z2), alpha=GAIN)
            g = g * ROOT_HALF
            d2 = torch.ops.aten.silu_backward(g, z2).mul_(GAIN)
            gradients.append(d2.mT @ activation(z1))
            d1 = torch.ops.aten.silu_backward(d2 @ two, z1).mul_(GAIN)
            gradients.append(d1.mT @ x)
            g = torch.addmm(g, d1, one)
        if first and given is not None:
            d = torch.ops.aten.silu_backward(g, before[0]).mul_(GAIN)
            gradients.append(d.mT @ given)
            g = d @ weights[0]
        return g, None, *reversed(gradients)


ENVELOPE_POWER = 5


class RadialBasis(nn.Module):
    """Functions of the distance that go to zero at the cutoff with two derivatives.

    ``gaussian``: K Gaussians with centres evenly over 0 .. cutoff, one spacing wide. ``bessel``: the K
    spherical Bessel functions of order 0, √(2/c) sin(k π d / c) / d, of lengths in units of the cutoff.

    Arguments:
        kind: Which.
        size: Number K of functions.
        cutoff: In Å.
    """

    def __init__(self, kind: Literal["gaussian", "bessel"], size: int, cutoff: float) -> None:
        super().__init__()
        self.kind, self.size, self.cutoff = kind, size, cutoff

    def forward(self, distance: Tensor) -> Tensor:
        """Basis of distances (E,) in Å, shape (E, K)."""
        d = distance / self.cutoff
        if self.kind == "gaussian":
            centres = torch.linspace(0, 1, self.size, dtype=d.dtype, device=d.device)
            basis = torch.exp(-0.5 * ((d[:, None] - centres) * (self.size - 1)).square())
        else:
            order = torch.arange(1, self.size + 1, dtype=d.dtype, device=d.device)
            basis = math.sqrt(2) * torch.sin(math.pi * order * d[:, None]) / d[:, None]
        return envelope(d)[:, None] * basis


def envelope(d: Tensor) -> Tensor:
    """Polynomial 1 + a d^p + b d^(p+1) + c d^(p+2) of distances (E,) in units of the cutoff, 0 beyond it (p = 5)."""
    p = ENVELOPE_POWER
    a, b, c = -(p + 1) * (p + 2) / 2, p * (p + 2), -p * (p + 1) / 2
    power = d.pow(p)
    return torch.where(d < 1, 1 + power * (a + d * (b + c * d)), torch.zeros_like(d))


def zonal_harmonics(cosine: Tensor, degrees: int) -> Tensor:
    """Y_l0 for l = 0 .. degrees - 1 of cosines (...), stacked on a new axis before the last: (..., degrees, K)."""
    legendre = [torch.ones_like(cosine), cosine]
    for degree in range(2, degrees):
        one, two = legendre[-1], legendre[-2]
        legendre.append(((2 * degree - 1) * cosine * one - (degree - 1) * two) / degree)
    scaled = [math.sqrt((2 * k + 1) / (4 * math.pi)) * value for k, value in enumerate(legendre[:degrees])]
    return torch.stack(scaled, -2)


class Bases(NamedTuple):
    """Bases that the blocks share, already projected down.

    Attributes:
        triplet: Radial values for triplet messages, shape (E, R).
        site: Radial values for updates of sites, shape (E, R).
        circular: Radial half of the circular basis, shape (E, C, L).
        harmonics: Angular half: Y_l0 of the angle between every two edges of a site, zero for an edge with
            itself, shape (sites, K * L, K), rows ordered by edge, then by degree.
    """

    triplet: Tensor
    site: Tensor
    circular: Tensor
    harmonics: Tensor


class TripletMessages(nn.Module):
    """Messages to each edge from the other edges at its target, and the same to its mirror image."""

    def __init__(self, edge: int, triplet: int, bilinear: int, radial: int, circular: int) -> None:
        super().__init__()
        self.edge = Activated(edge, edge)
        self.radial = dense(radial, edge)
        self.scale_radial = Scale()
        self.down = Activated(edge, triplet)
        self.bilinear = dense(circular * triplet, bilinear)
        self.scale_sum = Scale()
        self.up = Activated(bilinear, edge)
        self.up_mirror = Activated(bilinear, edge)

    def forward(self, m: Tensor, bases: Bases, graph: Graph) -> Tensor:
        """From edges (E, edge) to edges (E, edge)."""
        x = self.down(self.scale_radial(self.edge(m) * self.radial(bases.triplet)))
        table = graph.table(x)
        degrees = bases.circular.shape[-1]
        summed = (bases.harmonics.to(x.dtype) @ table).unflatten(1, (graph.width, degrees))
        mixed = bases.circular.to(x.dtype) @ graph.edges(summed)
        x = self.scale_sum(self.bilinear(mixed.flatten(1)))
        return half_sum(self.up(x), self.up_mirror(x).index_select(0, graph.reverse))


class EdgeEmbedding(nn.Module):
    """Edge vectors from both sites and what is known of the edge: a dense layer over the three, computed in parts."""

    def __init__(self, site: int, known: int, edge: int) -> None:
        super().__init__()
        # Columns for source, target and edge, in the published order.
        self.weight = nn.Parameter(he_orthogonal_(torch.empty(edge, 2 * site + known)))
        self.site = site

    def forward(self, h: Tensor, known: Tensor, graph: Graph) -> Tensor:
        """From sites (B N, site) and edges (E, known) to edges (E, edge)."""
        source, target, edge = self.weight.split([self.site, self.site, self.weight.shape[1] - 2 * self.site], 1)
        x = nn.functional.linear(known, edge)
        x = x + nn.functional.linear(h, source).index_select(0, graph.source)
        x = x + nn.functional.linear(h, target).index_select(0, graph.target)
        return activation(x)


class SiteUpdate(nn.Module):
    """Messages to a site from its edges."""

    def __init__(self, site: int, edge: int, radial: int, residuals: int) -> None:
        super().__init__()
        self.radial = dense(radial, edge)
        self.scale_sum = Scale()
        self.layers = Residuals(site, residuals, edge)

    def forward(self, m: Tensor, bases: Bases, graph: Graph) -> Tensor:
        """From edges (E, edge) to sites (B N, site)."""
        # Σ_e (W r_e) m_e = Σ_k W_k Σ_e r_ek m_e: the sum over edges is a matrix product.
        summed = graph.table(bases.site.to(m.dtype)).mT @ graph.table(m)
        return self.layers(self.scale_sum((summed * self.radial.weight.mT.to(m.dtype)).sum(1)))


class Interaction(nn.Module):
    """One block: triplet messages update the edges, these the sites, and the sites the edges again."""

    def __init__(
        self, site: int, edge: int, triplet: int, bilinear: int, radial: int, circular: int, depth: Depth
    ) -> None:
        super().__init__()
        self.skip = Activated(edge, edge)
        self.triplets = TripletMessages(edge, triplet, bilinear, radial, circular)
        self.before = Residuals(edge, depth.before_skip)
        self.after = Residuals(edge, depth.after_skip)
        self.site_update = SiteUpdate(site, edge, radial, depth.site)
        self.concatenate = EdgeEmbedding(site, edge, edge)
        self.concatenated = Residuals(edge, depth.concatenated)

    def forward(self, h: Tensor, m: Tensor, bases: Bases, graph: Graph) -> tuple[Tensor, Tensor]:
        """Sites (B N, site) and edges (E, edge) to the same."""
        x = self.before(half_sum(self.skip(m), self.triplets(m, bases, graph)))
        m = self.after(half_sum(m, x))
        h = half_sum(h, self.site_update(m, bases, graph))
        return h, half_sum(m, self.concatenated(self.concatenate(h, m, graph)))


class Depth(NamedTuple):
    """Residual layers in the places of a block."""

    before_skip: int
    after_skip: int
    concatenated: int
    site: int


class EdgeScore(nn.Module):
    """One number for each edge: layers of the edge vector, times a radial factor, contracted.

    Arguments:
        edge: Width of edge vectors.
        radial: Width of the projected radial basis.
        residuals: Residual layers behind the first dense layer.
        linear: Whether a dense layer without activation follows.
    """

    def __init__(self, edge: int, radial: int, residuals: int, linear: bool) -> None:
        super().__init__()
        self.layers = Residuals(edge, residuals, edge)
        self.linear = dense(edge, edge) if linear else None
        self.radial = dense(radial, edge)
        self.out = dense(edge, 1)
        self.scale = Scale()

    def forward(self, m: Tensor, radial: Tensor) -> Tensor:
        """From edges (E, edge) and radial values (E, R) to (E,), in the precision of the radial values."""
        x = self.layers(m)
        # out · (W r ∘ x) = r · ((W ∘ out)ᵀ x), and a linear layer before it is part of the same product.
        onto = self.radial.weight * self.out.weight.mT
        if self.linear is not None:
            onto = self.linear.weight.mT @ onto
        return self.scale((nn.functional.linear(x, onto.mT).to(radial.dtype) * radial).sum(-1))
