"""New points of a latent space from known ones.

Local and global perturbation: Ren et al., Matter 5, 314 (2022); spherical interpolation: White, arXiv:1609.04468.
"""

from __future__ import annotations

import torch
from torch import Tensor


def local(points: Tensor, noise: Tensor, scale: float) -> Tensor:
    """Points (n, D) moved by standard normal noise (n, D) times a scale; MagGen's way."""
    return points + scale * noise


def everywhere(known: Tensor, noise: Tensor, scale: float) -> Tensor:
    """Points of the normal distribution, axis by axis, of known ones (P, D); its width is multiplied by the scale."""
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
