"""Coverage: how much of a reference a set comes near to (recall), and how much of the set is near to it (precision).

CDVAE's COV-R and COV-P with three differences. Its fingerprints need the tables of another package; ours are the
site-averaged order parameters of :mod:`nucleate.descriptors.local_environments` and statistics of four properties
of the elements. Its cutoffs belong to its data sets; ours are taken from the reference: they are such that half of its
crystals are near to another one of it, which is what a perfect set as large as the reference would reach. And its two
conditions may be met by two different neighbours; here one neighbour has to meet both.

Recall grows with the number of crystals, so that it compares sets of one size only; precision does not.

References:
    | Crystal diffusion variational autoencoder for periodic material generation (Xie et al., 2022), "coverage"
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII, SYMBOLS
from nucleate.crystal.formula import ELECTRONEGATIVITIES, count_table
from nucleate.descriptors.local_environments import structure_fingerprints
from nucleate.intervals import Rate

NEAR_SHARE = 0.5
"""Share of the reference that is near to another crystal of it; at nine of ten even random ones are near to some."""

_PERIOD_ENDS = (2, 10, 18, 36, 54, 86)


@dataclass(frozen=True)
class Coverage:
    """Outcome of :func:`coverage`.

    Attributes:
        recall: Crystals of the reference that have one of the set near them.
        precision: Crystals of the set that have one of the reference near them.
        own: Crystals of the reference that have another one of it near them, about ``NEAR_SHARE`` by construction.
        structure_cutoff: Largest distance of two structures that are near, dimensionless.
        composition_cutoff: Largest distance of two compositions that are near, dimensionless.
    """

    recall: Rate
    precision: Rate
    own: Rate
    structure_cutoff: float
    composition_cutoff: float


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of crystals, in which nearness is measured.

    Attributes:
        structure: Shape (B, 37); NaN where a crystal has none.
        composition: Shape (B, 16); NaN where a crystal has none.
    """

    structure: NDArray[np.float64]
    composition: NDArray[np.float64]

    @classmethod
    def of(cls, crystals: Crystals) -> Fingerprints:
        """Fingerprints of B crystals."""
        return cls(structure_fingerprints(crystals).numpy(), composition_fingerprints(crystals))


def composition_fingerprints(crystals: Crystals) -> NDArray[np.float64]:
    """Mean, spread, minimum and maximum over the atoms of four properties of their elements, shape (B, 16).

    The properties: Pauling electronegativity, covalent radius in Å, period, column of the periodic table. NaN for a
    crystal without atoms or with an element that has no radius; a missing electronegativity is left out.
    """
    counts = count_table(crystals).astype(float)
    values = _element_properties()
    columns = []
    for column in values.T:
        known = np.isfinite(column)
        weights = np.where(known, counts, 0.0)
        total = weights.sum(1)
        filled = np.where(known, column, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = weights @ filled / total
            spread = np.sqrt(np.clip(weights @ filled**2 / total - mean**2, 0, None))
        low = np.where(weights > 0, filled, np.inf).min(1)
        high = np.where(weights > 0, filled, -np.inf).max(1)
        columns += [mean, spread, low, high]
    table = np.stack(columns, 1)
    lacks = (counts > 0) @ ~np.isfinite(values[:, 1]) | (counts.sum(1) == 0)
    table[lacks | ~np.isfinite(table).all(1)] = np.nan
    return table


def coverage(found: Fingerprints, reference: Fingerprints) -> Coverage:
    """COV-R and COV-P of B crystals against a reference of R; one without fingerprints counts as near to nothing."""
    scale = np.nanstd(reference.composition, axis=0) if len(reference.composition) else np.ones(1)
    scale = np.where(scale > 0, scale, 1.0)
    inside = (
        _distances(reference.structure, reference.structure),
        _distances(reference.composition / scale, reference.composition / scale),
    )
    for table in inside:
        np.fill_diagonal(table, np.inf)
    units = _usual(inside[0]), _usual(inside[1])
    limit = _usual(_farther(inside, units))
    across = (
        _distances(found.structure, reference.structure),
        _distances(found.composition / scale, reference.composition / scale),
    )
    own, near = (_farther(tables, units) <= limit for tables in (inside, across))
    return Coverage(
        Rate("coverage recall", "all", int(near.any(0).sum()), near.shape[1]),
        Rate("coverage precision", "all", int(near.any(1).sum()), near.shape[0]),
        Rate("reference covered by itself", "all", int(own.any(1).sum()), len(own)),
        units[0] * limit,
        units[1] * limit,
    )


def _farther(
    tables: tuple[NDArray[np.float64], NDArray[np.float64]], units: tuple[float, float]
) -> NDArray[np.float64]:
    """The larger of the two distances, each in its unit."""
    return np.maximum(tables[0] / units[0], tables[1] / units[1])


def _usual(table: NDArray[np.float64]) -> float:
    """The distance within which ``NEAR_SHARE`` of the rows have a neighbour; 1 where that says nothing."""
    nearest = table.min(1, initial=np.inf)
    nearest = nearest[np.isfinite(nearest)]
    found = float(np.quantile(nearest, NEAR_SHARE, method="higher")) if len(nearest) else 0.0
    return found if found > 0 else 1.0


def _distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances, shape (A, B); infinite where a fingerprint is missing."""
    return np.nan_to_num(cdist(first, second), nan=np.inf)


def _element_properties() -> NDArray[np.float64]:
    """Electronegativity, radius, period and column by atomic number, shape (104, 4); NaN where unknown."""
    table = np.full((len(SYMBOLS), 4), np.nan)
    table[:, 0] = [chi or np.nan for chi in ELECTRONEGATIVITIES]
    table[1 : len(COVALENT_RADII), 1] = COVALENT_RADII[1:]
    table[:, 2] = np.searchsorted(_PERIOD_ENDS, np.arange(len(SYMBOLS))) + 1
    table[:, 3] = [_column(z) for z in range(len(SYMBOLS))]
    return table


def _column(z: int) -> int:
    """Column 1 to 18 of the periodic table; 3 for all lanthanides and actinides."""
    if z in (1, 2):
        return 1 if z == 1 else 18
    start = max((end for end in (0, *_PERIOD_ENDS) if end < z), default=0)
    place, length = z - start, {2: 8, 10: 8, 18: 18, 36: 18, 54: 32, 86: 32}.get(start, 2)
    if place <= 2:
        return place
    if length == 8:
        return place + 10
    return place if length == 18 else max(3, place - 14)
