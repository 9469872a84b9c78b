"""Statistical proxy potentials: how usual the interatomic distances of a crystal are for its elements."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import minimum_distances, neighbors, usable_cells
from nucleate.descriptors.element_pairs import MAX_Z, pair_rows
from nucleate.descriptors.potential_table import CUTOFF, IMAGES, Images, PotentialTable
from nucleate.errors import UserError

CHUNK = 256
"""Crystals scored at once."""


class ProxyPotential(NamedTuple):
    """Scores of B crystals.

    Attributes:
        score: Mean potential over the pairs of the crystal in units of kT, shape (B,); the lower, the more usual. NaN
            where it is undefined: no usable cell, no pair in reach, or an element beyond Z = 96.
        fallback_share: Share of those pairs whose elements had too few samples, so that the potential is that of
            their class of elements, shape (B,); NaN where the score is.
    """

    score: Tensor
    fallback_share: Tensor


@lru_cache(maxsize=1)
def shipped_table() -> PotentialTable:
    """The table that comes with the package, derived from Materials Project structures."""
    return PotentialTable.load(Path(str(resources.files("nucleate"))) / "descriptors" / "tables" / "mp.safetensors")


def proxy_potential(crystals: Crystals, table: PotentialTable | None = None, images: Images = "all") -> ProxyPotential:
    """Score crystals by their interatomic distances.

    D. Antypov et al., ChemPhysChem 25, e202400254 (2024), as the PIGEN paper uses it. ``all`` is the paper's formula:
    the mean over all pairs within 11 Å, every image counted, which does not depend on the cell. ``minimum`` is what
    the paper's code computes: the mean over the pairs of sites of the cell, each at its shortest periodic distance,
    which depends on the cell and on its size. A cell of one site has only the pair with its own nearest image.
    Each variant has its own threshold in the table.

    Arguments:
        crystals: Batch of B crystals.
        table: The potentials; the shipped ones by default.
        images: Which pairs count.

    Raises:
        UserError: ``images`` is neither variant.
    """
    if images not in IMAGES:
        raise UserError("images", repr(images), f"one of {', '.join(IMAGES)}")
    table = table or shipped_table()
    score_chunk = _minimum if images == "minimum" else _all
    crystals = crystals.to("cpu", torch.float64)
    score = torch.full((len(crystals),), torch.nan, dtype=torch.float64)
    share = score.clone()
    known = ((crystals.numbers > 0) & (crystals.numbers <= MAX_Z) | ~crystals.mask).all(1)
    scored = (known & usable_cells(crystals)).nonzero().flatten()
    for part in scored.split(CHUNK):
        crystal, rows, distances = score_chunk(crystals[part])
        pairs = torch.bincount(crystal, minlength=len(part)).double()
        energies = table.energies(rows, distances)
        score[part] = torch.bincount(crystal, energies, len(part)) / pairs
        share[part] = torch.bincount(crystal, table.is_fallback[rows].double(), len(part)) / pairs
    return ProxyPotential(score, share)


def _minimum(crystals: Crystals) -> tuple[Tensor, Tensor, Tensor]:
    """Crystal, element pair and shortest distance of each pair of distinct sites."""
    n = crystals.numbers.shape[1]
    later = torch.ones(n, n, dtype=torch.bool).triu(1)
    pairs = crystals.mask[:, :, None] & crystals.mask[:, None, :] & later
    if n:
        pairs[:, 0, 0] |= crystals.n_atoms == 1
    crystal, i, j = pairs.nonzero().unbind(1)
    rows = pair_rows(crystals.numbers[crystal, i], crystals.numbers[crystal, j])
    return crystal, rows, minimum_distances(crystals)[crystal, i, j]


def _all(crystals: Crystals) -> tuple[Tensor, Tensor, Tensor]:
    """Crystal, element pair and distance of all pairs in reach; each comes in both directions, so means agree."""
    found = neighbors(crystals, CUTOFF)
    numbers = crystals.numbers
    rows = pair_rows(numbers[found.crystal, found.first], numbers[found.crystal, found.second])
    return found.crystal, rows, found.distance
