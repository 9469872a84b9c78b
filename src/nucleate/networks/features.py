"""Input features of networks: embeddings of scalars, and features of pairs of sites that respect periodicity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nucleate.crystal.periodic import image_offsets, minimum_image


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


def image_basis(difference: Tensor, lattice: Tensor, n_basis: int, cutoff: float) -> Tensor:
    """Gaussians of the distance, summed over the periodic images of each pair.

    Images within one cell of the nearest by fractional coordinate are counted, which covers the first
    neighbours of a reduced cell. The pair of a site with itself leaves out distance zero. A cosine
    envelope takes every term smoothly to zero at the cutoff.

    Arguments:
        difference: Fractional vectors, shape (B, P, 3).
        lattice: Cells as rows in Å, shape (B, 3, 3).
        n_basis: Number K of Gaussians, centred evenly from 0.5 Å to the cutoff.
        cutoff: Reach in Å.

    Returns:
        Shape (B, P, K).
    """
    offsets = image_offsets(1, difference.device).to(difference.dtype)
    vectors = (minimum_image(difference) @ lattice)[:, :, None] + (offsets @ lattice)[:, None]
    distance = vectors.square().sum(-1).clamp_min(1e-12).sqrt()
    centres = torch.linspace(0.5, cutoff, n_basis, device=distance.device, dtype=distance.dtype)
    width = (cutoff - 0.5) / n_basis
    envelope = 0.5 * (torch.cos(torch.pi * (distance / cutoff).clamp_max(1.0)) + 1.0) * (distance > 1e-3)
    gaussians = torch.exp(-0.5 * ((distance[..., None] - centres) / width) ** 2)
    return (envelope[..., None, :] @ gaussians)[..., 0, :]
