"""Statistical proxy potentials: how usual the interatomic distances of a crystal are for its elements.

They are derived from a set of crystals. For each element pair, the radial distribution function of every crystal that
holds it (pairs at r, over those of a uniform gas of the same density) is averaged over these crystals, each with the
same weight. Pairs seen in few crystals lean on the average of their class of elements, taken at equal distance in sums
of covalent radii: n crystals count n, the class counts ``CLASS_WEIGHT``. U = -ln g then is a potential of mean force in
units of kT, 0 where a pair is as frequent as in the bulk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import JsonValue
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import minimum_distances, neighbors, usable_cells
from nucleate.descriptors.element_tables import MAX_Z, N_CLASSES, N_PAIRS, pair_classes, pair_lengths, pair_rows
from nucleate.descriptors.proxy_potentials import (
    CUTOFF,
    IMAGES,
    N_SCALED,
    SCALED_STEP,
    Images,
    PotentialTable,
    class_curves,
    nodes,
    taper,
)
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


BIN = 0.05
"""Å; width of the bins that distances are counted in."""

N_BINS = round(CUTOFF / BIN)
SMOOTHING = 0.1
"""Å; standard deviation of the Gaussian that counts are smoothed with, at least."""

SMOOTHING_SHARE = 0.02
"""The same as a share of the distance: shells far away are known less sharply, since every bond on the way varies."""

SCALED_SMOOTHING = 0.04
"""The same for class averages, in sums of covalent radii."""

BULK = (8.0, 11.0)
"""Å; g is 1 on average over this range."""

FLOOR = 0.02
"""ε of U = -ln((g + ε)/(1 + ε)): what is never seen costs about 4 kT where there is no core."""

CORE_LEVEL = 0.2
"""The core ends at the first node at which g is this large."""

CLASS_WEIGHT = 3.0
"""Crystals that the average of a class counts as."""

MIN_SAMPLES = 3
"""Pairs in fewer crystals have no curve of their own."""

FOLDS = 10
QUANTILE = 0.95


@dataclass(frozen=True)
class PairCounts:
    """Sums of radial distribution functions over crystals.

    Attributes:
        density: Sum over the crystals of g in each bin, shape (N_PAIRS, N_BINS).
        samples: Crystals that hold each pair, shape (N_PAIRS,).
    """

    density: Tensor
    samples: Tensor

    def __add__(self, other: PairCounts) -> PairCounts:
        return PairCounts(self.density + other.density, self.samples + other.samples)

    def __sub__(self, other: PairCounts) -> PairCounts:
        # Cancellation must not leave a negative frequency.
        return PairCounts((self.density - other.density).clamp_min(0), self.samples - other.samples)


def count_pairs(crystals: Crystals) -> PairCounts:
    """Radial distribution functions of all element pairs, summed over the crystals whose pairs can be counted."""
    crystals = crystals.to("cpu", torch.float64)
    density = torch.zeros(N_PAIRS * N_BINS, dtype=torch.float64)
    samples = torch.zeros(N_PAIRS, dtype=torch.int64)
    edges = BIN * torch.arange(N_BINS + 1, dtype=torch.float64)
    shells = 4 / 3 * torch.pi * edges.pow(3).diff()
    for index in countable_chunks(crystals):
        part = crystals[index]
        z = part.numbers
        counts = torch.zeros(len(part), MAX_Z + 1, dtype=torch.float64).scatter_add(1, z, part.mask.double())
        found = neighbors(part, CUTOFF)
        first, second = z[found.crystal, found.first], z[found.crystal, found.second]
        rows = pair_rows(first, second)
        # g = pairs A→B over N_A N_B / V times the shell; A→B and B→A are counted alike, so unlike pairs count half.
        gas = counts[found.crystal, first] * counts[found.crystal, second] / part.volume[found.crystal]
        gas = gas * torch.where(first == second, 1.0, 2.0)
        bins = (found.distance / BIN).long().clamp(max=N_BINS - 1)
        density += torch.bincount(rows * N_BINS + bins, 1 / (gas * shells[bins]), N_PAIRS * N_BINS)
        present = counts[:, 1:] > 0
        _, low, high = (present[:, :, None] & present[:, None, :]).nonzero().unbind(1)
        keep = low <= high
        samples += torch.bincount(pair_rows(low[keep] + 1, high[keep] + 1), minlength=N_PAIRS)
    return PairCounts(density.reshape(N_PAIRS, N_BINS), samples)


def potentials(
    counts: PairCounts, thresholds: Mapping[str, float] | None = None, details: Mapping[str, JsonValue] | None = None
) -> PotentialTable:
    """The table of dimensionless potentials U = -ln g that counts imply, rounded as it is stored; distances in Å."""
    samples = counts.samples.double()[:, None]
    own = _bulk_normalised(counts.density / samples.clamp_min(1))
    classes = _class_averages(own, counts.samples)
    mean = (samples * (own @ _kernel(nodes()).T) + CLASS_WEIGHT * class_curves(classes)) / (samples + CLASS_WEIGHT)
    rows = (counts.samples >= MIN_SAMPLES).nonzero().flatten()
    fallback = _force(classes)
    curves = _force(mean)[rows]
    frequency = class_curves(classes)
    frequency[rows] = mean[rows]
    joins = (frequency >= CORE_LEVEL).double().argmax(1)
    return PotentialTable(
        curves.half().double(),
        rows,
        joins,
        fallback.half().double(),
        counts.samples,
        thresholds or {},
        details or {},
    )


def derive_potentials(
    crystals: Crystals,
    details: Mapping[str, JsonValue] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> PotentialTable:
    """Derive the potentials and their thresholds from crystals.

    A crystal scores too well on a table made from itself, so thresholds are quantiles of held-out scores: each tenth
    of the crystals is scored by a table of the other nine tenths.

    Arguments:
        crystals: The data set; crystals that cannot be counted or scored take no part.
        details: What the table is to say about its origin.
        progress: Called with the stage, the number of crystals finished in it, and how many there are.

    Raises:
        UserError: There are too few crystals to hold some out.
    """
    if len(crystals) < 2 * FOLDS:
        raise UserError("potentials", f"{len(crystals)} crystals", f"at least {2 * FOLDS}, better thousands")
    folds = [torch.arange(k, len(crystals), FOLDS) for k in range(FOLDS)]
    parts: list[PairCounts] = []
    for k, fold in enumerate(folds):
        parts.append(count_pairs(crystals[fold]))
        if progress is not None:
            progress("counting", (k + 1) * len(crystals) // FOLDS, len(crystals))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    scores: dict[str, list[Tensor]] = {images: [] for images in IMAGES}
    for k, (fold, part) in enumerate(zip(folds, parts, strict=True)):
        table = potentials(total - part)
        for images in IMAGES:
            scores[images].append(proxy_potential(crystals[fold], table, images).score)
        if progress is not None:
            progress("scoring", (k + 1) * len(crystals) // FOLDS, len(crystals))
    thresholds: dict[str, float] = {}
    for images in IMAGES:
        found = torch.cat(scores[images])
        found = found[found.isfinite()]
        if not len(found):
            raise UserError(
                "potentials", "no crystal that can be scored", "crystals with at least one pair within 11 Å"
            )
        thresholds[images] = round(float(found.quantile(QUANTILE)), 4)
    settings = {
        "crystals": len(crystals),
        "cutoff": CUTOFF,
        "bin": BIN,
        "smoothing": SMOOTHING,
        "smoothing_share": SMOOTHING_SHARE,
        "class_weight": CLASS_WEIGHT,
        "min_samples": MIN_SAMPLES,
        "quantile": QUANTILE,
        "folds": FOLDS,
    }
    return potentials(total, thresholds, {**settings, **(details or {})})


def _centres() -> Tensor:
    return BIN * (torch.arange(N_BINS, dtype=torch.float64) + 0.5)


def _kernel(places: Tensor) -> Tensor:
    """Gaussian weights of the bins at each place in Å, shape (places, N_BINS), rows add up to 1."""
    width = (SMOOTHING_SHARE * places[:, None]).clamp_min(SMOOTHING)
    weights = torch.exp(-0.5 * ((places[:, None] - _centres()) / width) ** 2)
    return weights / weights.sum(1, keepdim=True)


def _bulk_normalised(g: Tensor) -> Tensor:
    bulk = (_centres() > BULK[0]) & (_centres() < BULK[1])
    level = g[:, bulk].mean(1, keepdim=True)
    return torch.where(level > 0, g / level.clamp_min(1e-9), g)


def _class_averages(own: Tensor, samples: Tensor) -> Tensor:
    """g of each class of pairs over the distance in sums of covalent radii, shape (N_CLASSES, N_SCALED).

    A pair counts by how well it is known, so that one frequent pair does not stand for its class; a class leans on
    the average over all classes as a pair leans on its class.
    """
    scaled = SCALED_STEP * torch.arange(N_SCALED, dtype=torch.float64)
    weight = samples / (samples + CLASS_WEIGHT)
    total = torch.zeros(N_CLASSES, N_SCALED, dtype=torch.float64)
    known = torch.zeros(N_CLASSES, N_SCALED, dtype=torch.float64)
    classes, lengths = pair_classes(), pair_lengths()
    for row in (samples > 0).nonzero().flatten().tolist():
        reach = (_centres() / lengths[row])[None, :]
        kernel = torch.exp(-0.5 * ((scaled[:, None] - reach) / SCALED_SMOOTHING) ** 2)
        mass = kernel.sum(1)
        inside = (scaled * lengths[row] < CUTOFF).double() * weight[row]
        total[classes[row]] += inside * (kernel @ own[row]) / mass.clamp_min(1e-12)
        known[classes[row]] += inside
    overall = (total.sum(0) + 1) / (known.sum(0) + 1)
    return (total + CLASS_WEIGHT * overall) / (known + CLASS_WEIGHT)


def _force(g: Tensor) -> Tensor:
    """Potential of mean force of a radial distribution function, in kT."""
    return -torch.log((g + FLOOR) / (1 + FLOOR))
