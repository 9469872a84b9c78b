"""Derives statistical proxy potentials from a set of crystals.

For each element pair, the radial distribution function of every crystal that holds it (pairs at r, over those of a
uniform gas of the same density) is averaged over these crystals, each with the same weight. Pairs seen in few crystals
lean on the average of their class of elements, taken at equal distance in sums of covalent radii: n crystals count n,
the class counts ``CLASS_WEIGHT``. U = -ln g then is a potential of mean force in units of kT, 0 where a pair is as
frequent as in the bulk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import neighbors
from nucleate.descriptors.element_tables import MAX_Z, N_CLASSES, N_PAIRS, pair_classes, pair_lengths, pair_rows
from nucleate.descriptors.proxy_potentials import (
    CUTOFF,
    IMAGES,
    N_SCALED,
    SCALED_STEP,
    PotentialTable,
    class_curves,
    nodes,
)
from nucleate.descriptors.spp import countable_chunks, proxy_potential
from nucleate.errors import UserError

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
    counts: PairCounts, thresholds: Mapping[str, float] | None = None, details: Mapping[str, Any] | None = None
) -> PotentialTable:
    """The table of potentials that counts imply, rounded as it is stored."""
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
    details: Mapping[str, Any] | None = None,
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
