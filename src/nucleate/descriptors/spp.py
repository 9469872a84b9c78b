"""Statistical proxy potentials: how usual the interatomic distances of a crystal are for its elements."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import minimum_distances, neighbors, usable_cells
from nucleate.descriptors.element_tables import MAX_Z, pair_rows
from nucleate.descriptors.proxy_potentials import CUTOFF, IMAGES, Images, PotentialTable, taper
from nucleate.errors import UserError

SITES_AT_ONCE = 2048
"""Sites whose pairs are held in memory together, so that 10 crystals of 200 atoms weigh what 200 of 10 do."""

MAX_PAIRS = 2_000_000
"""Directed pairs within the cutoff beyond which a crystal is not looked at: 200 atoms at 0.6 Å³ each, for example."""


class ProxyPotential(NamedTuple):
    """Scores of B crystals.

    Attributes:
        score: Mean potential over the pairs of the crystal in units of kT, shape (B,); the lower, the more usual. NaN
            where it is undefined: no usable cell, no pair in reach, millions of them, or an element beyond Z = 96.
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
    the mean over all pairs within 11 Å, every image counted, which does not depend on the cell (pairs beyond 9 Å fade
    out of sum and count alike). ``minimum`` is what the paper's code computes: the mean over the pairs of sites of the
    cell, each at its shortest periodic distance. It depends on the cell and tends to 0 in large ones, so its threshold
    holds for primitive cells of the sizes that the table was derived from. A cell of one site has only the pair with
    its own nearest image.

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
    for part in countable_chunks(crystals):
        pairs = score_chunk(crystals[part])
        zeros = score.new_zeros(len(part))
        count = zeros.index_add(0, pairs.crystal, pairs.weights)
        energies = table.energies(pairs.rows, pairs.distances)
        fallback = table.is_fallback[pairs.rows] * pairs.weights
        score[part] = zeros.index_add(0, pairs.crystal, energies) / count
        share[part] = zeros.index_add(0, pairs.crystal, fallback) / count
    return ProxyPotential(score, share)


def countable_chunks(crystals: Crystals) -> Iterator[Tensor]:
    """Indices (k,) of the crystals whose pairs can be counted, in order, in portions that fit into memory.

    Left out are cells that are not usable, elements beyond Z = 96, and more than ``MAX_PAIRS`` pairs.
    """
    known = ((crystals.numbers > 0) & (crystals.numbers <= MAX_Z) | ~crystals.mask).all(1) & (crystals.n_atoms > 0)
    pairs = crystals.n_atoms.double().square() / crystals.volume * (4 / 3 * torch.pi * CUTOFF**3)
    index = (known & usable_cells(crystals) & (pairs <= MAX_PAIRS)).nonzero().flatten()
    portion = crystals.n_atoms[index].cumsum(0) // SITES_AT_ONCE
    yield from index.split(portion.unique_consecutive(return_counts=True)[1].tolist())


class _Pairs(NamedTuple):
    """Pairs of atoms: their crystal, row of their elements, distance in Å, and what they count, each of shape (E,)."""

    crystal: Tensor
    rows: Tensor
    distances: Tensor
    weights: Tensor


def _minimum(crystals: Crystals) -> _Pairs:
    """Each pair of distinct sites at its shortest distance, whatever that is."""
    n = crystals.numbers.shape[1]
    later = torch.ones(n, n, dtype=torch.bool).triu(1)
    pairs = crystals.mask[:, :, None] & crystals.mask[:, None, :] & later
    if n:
        pairs[:, 0, 0] |= crystals.n_atoms == 1
    crystal, i, j = pairs.nonzero().unbind(1)
    rows = pair_rows(crystals.numbers[crystal, i], crystals.numbers[crystal, j])
    distances = minimum_distances(crystals)[crystal, i, j]
    return _Pairs(crystal, rows, distances, torch.ones_like(distances))


def _all(crystals: Crystals) -> _Pairs:
    """All pairs in reach, each in both directions, which leaves the mean as it is.

    They fade out of the count as their potential does, so that the mean does not jump when one crosses the cutoff.
    """
    found = neighbors(crystals, CUTOFF)
    numbers = crystals.numbers
    rows = pair_rows(numbers[found.crystal, found.first], numbers[found.crystal, found.second])
    return _Pairs(found.crystal, rows, found.distance, taper(found.distance))
