"""Features of the sites of a template for a network, before any species is known.

A network that sees masked sites cannot tell the one site of a class from the six of another; these numbers say
how large each class and orbit is and how many coordinates of an orbit are free.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.symmetry.orbits import SiteOrbits

CLASSES = 8
"""Classes that are told apart; further ones look like the last."""
WIDTH = 1 + CLASSES + 2 + 4


def site_features(orbits: SiteOrbits, classes: Tensor, told: Tensor) -> Tensor:
    """Features (B, N, WIDTH): a one, the class, its share and its orbit's share of the sites, free coordinates.

    Arguments:
        orbits: Ties of the sites.
        classes: Class of each site, larger ones first, -1 at padding, shape (B, N).
        told: Crystals that walk by a template; all features are zero elsewhere, shape (B,).
    """
    real = classes >= 0
    both = real[:, None, :] & real[:, :, None]
    count = real.sum(1, keepdim=True).clamp_min(1)
    of_class = ((classes[:, :, None] == classes[:, None, :]) & both).sum(-1) / count
    of_orbit = ((orbits.first[:, :, None] == orbits.first[:, None, :]) & both).sum(-1) / count
    free = orbits.basis.abs().sum(-2).gt(0).sum(-1)
    parts = [
        torch.ones_like(of_class)[..., None],
        F.one_hot(classes.clamp(0, CLASSES - 1), CLASSES),
        torch.stack([of_class, of_orbit], -1),
        F.one_hot(free, 4),
    ]
    features = torch.cat([part.to(orbits.shift.dtype) for part in parts], -1)
    return features * (real & told[:, None])[..., None]
