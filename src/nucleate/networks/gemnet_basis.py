"""Bases of distance and angle in GemNet (Gasteiger et al., 2021, section 4; Klicpera et al., 2020, section 5)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

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
        """Of distances (E,) in Å, shape (E, K)."""
        d = distance / self.cutoff
        if self.kind == "gaussian":
            centres = torch.linspace(0, 1, self.size, dtype=d.dtype, device=d.device)
            basis = torch.exp(-0.5 * ((d[:, None] - centres) * (self.size - 1)).square())
        else:
            order = torch.arange(1, self.size + 1, dtype=d.dtype, device=d.device)
            basis = math.sqrt(2) * torch.sin(math.pi * order * d[:, None]) / d[:, None]
        return envelope(d)[:, None] * basis


def envelope(d: Tensor) -> Tensor:
    """Polynomial 1 + a d^p + b d^(p+1) + c d^(p+2) of distances in units of the cutoff, zero beyond it (p = 5)."""
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
