"""Dense layers of GemNet, their residual stacks with little memory, and scale factors fitted to data.

Activations are SiLU / 0.6 and sums of two are multiplied by 1/√2, which keeps the variance near 1
(Gasteiger et al., 2021, appendix). A stack of layers keeps for its gradient only what stands before each
activation; what stands behind is computed again from it, and the input of a residual layer from its output. That
halves the memory of a training step and costs no matrix product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

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
