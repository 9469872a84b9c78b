"""Embeddings of scalars."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SinusoidalEmbedding(nn.Module):
    """Sines, then cosines of a scalar at frequencies from 1 down to 1e-4 (Vaswani et al., 2017, section 3.5).

    Arguments:
        width: Number of features, even.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        steps = torch.arange(half, dtype=torch.float64) / max(1, half - 1)
        self.register_buffer("frequencies", torch.exp(-math.log(1e4) * steps).float(), persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        """Features (..., width) of scalars (...)."""
        angle = value[..., None] * self.frequencies.to(value.dtype)
        return torch.cat([angle.sin(), angle.cos()], -1)
