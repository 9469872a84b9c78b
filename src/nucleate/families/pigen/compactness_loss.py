"""The physics of PIGEN's loss: compactness of the crystal that a noisy one is estimated to become.

Vasylenko et al., Physics-informed diffusion models (2025), Eqs. 2-4, leave open which crystal is meant, and the
public code has held several answers. ``estimate`` is ours; the others are kept by name for comparison and
make sense for the published configuration alone (Gaussian species, raw cells, answers that are noise):

- ``noise``: the most likely species and the cell of the noise that the network predicts, undone by √ᾱ; the gradient
  goes through the cell alone.
- ``draft``: the same without any gradient, with the radius of the following element, cut to 1e-6 .. 1e5 and
  its logarithm taken above 1.
- ``types``: species softmax(x̂_0 / 0.1), cell x̂_0 without gradient, volume at least 1 Å³, weighted with ᾱ.
- ``full``: the same with the gradient through the cell.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.descriptors.compactness import expected_compactness, sphere_volumes

Variant = Literal["none", "estimate", "noise", "draft", "types", "full"]
UPSTREAM: tuple[Variant, ...] = tuple(name for name in get_args(Variant) if name not in ("none", "estimate"))
SHARPNESS = 0.1
"""Temperature of the species in the variants ``types`` and ``full``."""


def estimate_loss(probabilities: Tensor, lattice: Tensor, mask: Tensor, target: Tensor, gate: Tensor) -> Tensor:
    """gate · (log C - log C_0)², shape (B,); free of scale, zero where C_0 is not known.

    Arguments:
        probabilities: Of the species at each site of the estimated clean crystal, shape (B, N, S).
        lattice: Its cells in Å, shape (B, 3, 3).
        mask: True on real sites, shape (B, N).
        target: Compactness C_0 of the clean crystals, NaN where undefined, shape (B,).
        gate: Share of the signal in the noisy cell, ᾱ(t), shape (B,).
    """
    found = expected_compactness(probabilities, lattice, mask)
    known = target.isfinite() & found.isfinite() & (target > 0)
    # What is not known must not spoil the gradient of the rest.
    ratio = torch.where(known, found, torch.ones_like(found)) / torch.where(known, target, torch.ones_like(target))
    return gate * ratio.log().square()


def upstream_loss(
    variant: Variant, species: Tensor, noise: Tensor, cell: Tensor, cell_noise: Tensor, alpha_bar: Tensor,
    mask: Tensor, target: Tensor,
) -> Tensor:  # fmt: skip
    """One of the published variants, shape (B,); see the module.

    Arguments:
        variant: Which.
        species: Noisy one-hot vectors, shape (B, N, S).
        noise: The network's answer for them, of the same shape.
        cell: Noisy cells, nine numbers in Å each, shape (B, 9).
        cell_noise: The network's answer for them, of the same shape.
        alpha_bar: ᾱ(t), shape (B,).
        mask: True on real sites, shape (B, N).
        target: Compactness of the clean crystals, NaN where undefined, shape (B,).
    """
    volumes = torch.nan_to_num(sphere_volumes(species.shape[-1]).to(species))
    signal, spread = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    if variant in ("noise", "draft"):
        number = noise.argmax(-1)
        filled = volumes[number if variant == "noise" else (number + 1).clamp_max(len(volumes) - 1)]
        volume = torch.linalg.det(cell_noise.unflatten(-1, (3, 3))).abs() / signal**3 * mask.sum(1) ** 3
        found = (filled * mask).sum(1) / volume.clamp_min(1e-6)
        if variant == "noise":
            return _log_cosh(found - target)
        error = (found.detach() - target).square().clamp(1e-6, 1e5)
        return torch.where(error > 1, error.log(), error)
    clean = (species - spread[:, None, None] * noise) / signal.clamp_min(0.1)[:, None, None]
    lattice = ((cell - spread[:, None] * cell_noise) / signal.clamp_min(0.1)[:, None]).unflatten(-1, (3, 3))
    if variant == "types":
        lattice = lattice.detach()
    filled = (torch.softmax(clean / SHARPNESS, -1) @ volumes * mask).sum(1)
    found = filled / torch.linalg.det(lattice).abs().clamp_min(1.0)
    return alpha_bar * _log_cosh(found - target)


def _log_cosh(x: Tensor) -> Tensor:
    """log cosh x without overflow; zero and without gradient where x is not known."""
    x = torch.where(x.isfinite(), x, torch.zeros_like(x))
    return x.abs() + F.softplus(-2 * x.abs()) - torch.log(torch.tensor(2.0, dtype=x.dtype, device=x.device))
