"""Batches of crystals of equal size, so that no arithmetic is spent on padding."""

from __future__ import annotations

import torch
from torch import Tensor


def epoch_batches(n_atoms: Tensor, pairs: int, limits: tuple[int, int], seed: int, epoch: int) -> list[Tensor]:
    """Rows of every batch of one epoch, in random order.

    Arguments:
        n_atoms: Sites of each crystal, shape (R,).
        pairs: Pairs of sites in a batch, about; a batch's time and memory follow them.
        limits: Fewest and most crystals in a batch, the last of each size excepted.
        seed: Of the training.
        epoch: Number of the epoch; every epoch has an order of its own.
    """
    generator = torch.Generator().manual_seed(stream_seed(seed, epoch))
    shuffled = torch.randperm(len(n_atoms), generator=generator)
    batches: list[Tensor] = []
    for size in n_atoms.unique().tolist():
        rows = shuffled[n_atoms[shuffled] == size]
        batches += rows.split(min(max(pairs // size**2, limits[0]), limits[1]))
    order = torch.randperm(len(batches), generator=generator)
    return [batches[i] for i in order.tolist()]


def stream_seed(seed: int, number: int) -> int:
    """Seed of the generator of one step or epoch.

    The processor's generator looks at the lowest 32 bits alone, so the higher bits of the seed are folded into them.
    """
    spread = seed * 0x9E3779B97F4A7C15 % 2**64
    return ((spread ^ spread >> 32) + number) % 2**63
