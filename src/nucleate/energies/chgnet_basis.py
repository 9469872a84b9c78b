"""The radial and angular functions that CHGNet describes bonds and angles by, with their derivatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ENVELOPE_POWER = 8


def bessel(lengths: Tensor, frequencies: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Radial Bessel functions times a polynomial envelope, and their derivatives in 1/Å; (U, 31), float32.

    Gasteiger et al., Directional message passing for molecular graphs (ICLR 2020), equations 7 and 8.

    Arguments:
        lengths: In Å, shape (U,), float64.
        frequencies: Shape (31,).
        cutoff: In Å; both are 0 beyond.
    """
    p = ENVELOPE_POWER
    x = (lengths / cutoff).clamp(max=1.0)
    power = x ** (p - 1)
    envelope = 1 + power * x * (-(p + 1) * (p + 2) / 2 + x * (p * (p + 2) - p * (p + 1) / 2 * x))
    slope = power * (-p * (p + 1) * (p + 2) / 2) * (1 - x) ** 2 / cutoff
    scale = math.sqrt(2 / cutoff) / lengths
    outer, outer_slope = scale * envelope, scale * (slope - envelope / lengths)
    phases = x.to(frequencies.dtype)[:, None] * frequencies
    sines, outer = torch.sin(phases), outer.to(frequencies.dtype)[:, None]
    slopes = (
        torch.cos(phases)
        .mul_(outer * (frequencies / cutoff))
        .addcmul_(sines, outer_slope.to(frequencies.dtype)[:, None])
    )
    return sines * outer, slopes


def fourier(angles: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """1/sqrt(2), sines and cosines over sqrt(pi), and their derivatives; (A, 31), float32.

    Arguments:
        angles: In radians, shape (A,), float64.
        frequencies: Shape (15,).
    """
    phases = angles.to(frequencies.dtype)[:, None] * frequencies
    sines, cosines = torch.sin(phases), torch.cos(phases)
    constant = torch.full_like(phases[:, :1], math.sqrt(0.5))
    values = torch.cat([constant, sines, cosines], dim=1)
    slopes = torch.cat([torch.zeros_like(constant), cosines * frequencies, sines * -frequencies], dim=1)
    return values / math.sqrt(math.pi), slopes / math.sqrt(math.pi)
