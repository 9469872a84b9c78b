"""What the share of a class among the sites says about its species.

A network that sees masked sites only cannot tell the one site of a class from the six of another. Until species
around say more, Bayes' rule on the training data does: p(species | share) is p(species) p(share | species) /
p(share).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

EDGES = (0.08, 0.15, 0.22, 0.3, 0.4, 0.55, 0.7, 0.9)
"""Between bins of shares of the sites."""
SHARES = len(EDGES) + 1
PRIOR_SITES = 20.0
"""Sites with the shares of all species together that are added to those of each species."""


def species_by_share(numbers: Tensor, mask: Tensor, n_species: int) -> Tensor:
    """log p(share | species) - log p(share), shape (n_species, SHARES).

    Arguments:
        numbers: Atomic numbers of training crystals, shape (B, N).
        mask: True on real sites, shape (B, N).
        n_species: Species are 1 .. n_species.
    """
    same = (numbers[:, :, None] == numbers[:, None, :]) & mask[:, None, :]
    share = same.sum(-1) / mask.sum(1, keepdim=True)
    column = _bin(share[mask])
    counts = torch.zeros(n_species, SHARES, device=numbers.device)
    counts.index_put_((numbers[mask] - 1, column), torch.ones_like(column, dtype=counts.dtype), accumulate=True)
    overall = (counts.sum(0) + 1) / (counts.sum() + SHARES)
    given = (counts + PRIOR_SITES * overall) / (counts.sum(1, keepdim=True) + PRIOR_SITES)
    return given.log() - overall.log()


def leaning(share_logits: Tensor, classes: Tensor) -> Tensor:
    """Logits (B, K, n_species) of classes by their shares; ``classes`` as in :class:`ClassSpecies`."""
    n_classes = int(classes.max()) + 1
    inside = torch.where(classes < 0, n_classes, classes)
    size = F.one_hot(inside, n_classes + 1)[..., :-1].sum(1)
    share = size / (classes >= 0).sum(1, keepdim=True)
    return share_logits.T[_bin(share)]


def _bin(share: Tensor) -> Tensor:
    return torch.bucketize(share, torch.tensor(EDGES, device=share.device, dtype=share.dtype), right=True)
