"""Losses of a reconstructed matrix: the paper's squared error, or a loss of its own for each block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nucleate.representations.ircr import IRCR


def squared_error(answer: Tensor, clean: Tensor) -> Tensor:
    """Mean over all entries of scaled matrices (B, rows, columns), shape (B,); the paper's reconstruction loss."""
    return (answer - clean).square().mean((1, 2))


def block_losses(ircr: IRCR, answer: Tensor, clean: Tensor, raw: Tensor) -> dict[str, Tensor]:
    """Losses of the blocks of matrices (B, rows, columns), each of shape (B,).

    Elements and occupancies are a choice among the rows of a column, or the columns of a site, and nothing, whose
    logit is 0; their cross-entropies are summed over columns and sites. Coordinates count on occupied sites.

    Arguments:
        ircr: The representation.
        answer: Logits in the rows E and O, scaled values elsewhere.
        clean: The scaled matrices.
        raw: The same as they were encoded.
    """
    blocks, k = ircr.blocks, ircr.k
    species = raw[:, blocks["E"], :k]
    element = torch.where(species.amax(1) > 0, species.argmax(1) + 1, 0)
    logits = F.pad(answer[:, blocks["E"], :k], (0, 0, 1, 0))
    sites = raw[:, blocks["O"], :k]
    occupied = sites.amax(2) > 0
    column = torch.where(occupied, sites.argmax(2) + 1, 0)
    choices = F.pad(answer[:, blocks["O"], :k], (1, 0)).mT
    off = (answer - clean)[:, blocks["C"], :3].abs().mean(2)
    return {
        "elements": F.cross_entropy(logits, element, reduction="none").sum(1),
        "occupancy": F.cross_entropy(choices, column, reduction="none").sum(1),
        "coordinates": (off * occupied).sum(1) / occupied.sum(1).clamp_min(1),
        "cell": (answer - clean)[:, blocks["L"], :3].abs().sum((1, 2)),
    }
