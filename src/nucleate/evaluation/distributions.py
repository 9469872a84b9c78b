"""How far two sets of crystals lie apart in one quantity: numbers by Wasserstein, kinds by Jensen and Shannon.

References:
    | Crystal diffusion variational autoencoder for periodic material generation (Xie et al., 2022), "property
      statistics": earth mover's distances of density and of the number of elements
    | LeMat-GenBench (Betala et al., 2025), "distribution": Jensen-Shannon distance of kinds
    | Wyckoff Transformer (Kazeev et al., 2025): chi-squared of space groups
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Spread:
    """One number of a set beside that of a reference.

    Attributes:
        name: What it is.
        unit: Its unit; empty where it has none.
        distance: Wasserstein-1 distance of the two distributions, in the unit; NaN where one is empty.
        scale: Standard deviation in the reference, in the unit, to judge the distance by.
        found: Quantiles 5, 25, 50, 75 and 95 % of the set.
        expected: The same of the reference.
        count: Crystals of the set with a value.
        missing: Crystals of the set without one; they are left out of the distance.
    """

    name: str
    unit: str
    distance: float
    scale: float
    found: tuple[float, ...]
    expected: tuple[float, ...]
    count: int
    missing: int


@dataclass(frozen=True)
class Shares:
    """Kinds in a set beside those in a reference.

    Attributes:
        name: What they are kinds of.
        distance: Jensen-Shannon distance, 0 (equal) to 1 (nothing in common); NaN where one is empty.
        chi_squared: Pearson's statistic of the shares over the kinds of the reference; NaN where one is empty.
        found: Share of each kind in the set, the largest first.
        expected: The same of the reference.
        count: Crystals of the set that have a kind.
        missing: Crystals of the set that have none.
    """

    name: str
    distance: float
    chi_squared: float
    found: Mapping[str, float]
    expected: Mapping[str, float]
    count: int
    missing: int


def wasserstein(first: ArrayLike, second: ArrayLike) -> float:
    """Wasserstein-1 distance of two samples of any shape, in their unit (Å, eV/atom, ...); finite values alone count.

    Returns:
        NaN where one sample is empty.
    """
    a, b = finite(first), finite(second)
    return float(wasserstein_distance(a, b)) if len(a) and len(b) else float("nan")


def jensen_shannon(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Jensen-Shannon distance of two sets of weights, base 2: the square root of the divergence, 0 to 1.

    Returns:
        NaN where one has no weight.
    """
    kinds = sorted(first.keys() | second.keys())
    p, q = (np.array([weights.get(kind, 0.0) for kind in kinds]) for weights in (first, second))
    return float(np.nan_to_num(jensenshannon(p, q, 2.0))) if p.sum() > 0 and q.sum() > 0 else float("nan")


def chi_squared(found: Mapping[str, float], expected: Mapping[str, float]) -> float:
    """Sum of (p - q)² / q over the kinds of the reference, p the set's shares among those kinds.

    As WyFormer's evaluation has it: of shares, not counts, so that it does not grow with the set; kinds that the
    reference lacks are left out.

    Returns:
        NaN where the two have no kind in common.
    """
    kinds = [kind for kind, weight in expected.items() if weight > 0]
    p, q = (np.array([weights.get(kind, 0.0) for kind in kinds]) for weights in (found, expected))
    if not p.sum() > 0:
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) ** 2 / q).sum())


def spread(name: str, unit: str, found: ArrayLike, expected: ArrayLike) -> Spread:
    """Compare one number of a set, shape (B,), with that of a reference, shape (R,); NaN is a missing value."""
    a, b = finite(found), finite(expected)
    scale = float(b.std()) if len(b) else float("nan")
    missing = np.size(found) - len(a)
    return Spread(name, unit, wasserstein(a, b), scale, _quantiles(a), _quantiles(b), len(a), missing)


def shares(
    name: str, found: Mapping[str, float], expected: Mapping[str, float], count: int, missing: int = 0
) -> Shares:
    """Compare the shares of kinds in a set with those in a reference."""
    distance, statistic = jensen_shannon(found, expected), chi_squared(found, expected)
    return Shares(name, distance, statistic, _normalised(found), _normalised(expected), count, missing)


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """The finite values as a flat array, shape (n,), in their unit."""
    flat = np.asarray(values, dtype=float).ravel()
    return flat[np.isfinite(flat)]


def _quantiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist()) if len(values) else (float("nan"),) * len(QUANTILES)


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    ordered = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return {kind: weight / total for kind, weight in ordered if weight > 0}
