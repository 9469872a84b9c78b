"""Rates and means that carry their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""
NAME_WIDTH = 35
"""Columns that names take in lines of rates and means."""


@dataclass(frozen=True)
class Rate:
    """A share of crystals with its 95 % interval.

    Attributes:
        name: What was counted.
        group: Which crystals were counted; ``all`` for every one.
        count: How many met the criterion.
        total: How many there were (the denominator).
    """

    name: str
    group: str
    count: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; NaN of nothing."""
        return self.count / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 % (J. Am. Stat. Assoc. 22, 209 (1927)); (0, 1) of nothing."""
        return wilson(self.count, self.total)

    def __str__(self) -> str:
        if not self.total:
            return "none of none"
        low, high = self.interval
        return f"{self.value:.1%} ({self.count} of {self.total}; 95 % interval {low:.1%} to {high:.1%})"


@dataclass(frozen=True)
class Mean:
    """A mean with its spread.

    Attributes:
        name: What was averaged, with its unit.
        group: Which crystals were averaged.
        value: The mean, in that unit (eV/atom, Å, none); NaN of nothing.
        median: The median; NaN of nothing.
        standard_error: Of the mean; NaN of fewer than two.
        count: Number of values.
        missing: Crystals of the group without a value.
    """

    name: str
    group: str
    value: float
    median: float
    standard_error: float
    count: int
    missing: int

    def __str__(self) -> str:
        if not self.count:
            return "of none"
        return f"{self.value:.4g} ± {self.standard_error:.2g} (median {self.median:.4g}, {self.count} crystals)"


def wilson(count: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Score interval of a share: the values of p that the observed count does not reject."""
    if total == 0:
        return 0.0, 1.0
    share, scale = count / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    low = max(0.0, centre - half) if count else 0.0  # exact, where rounding would leave 5e-17
    high = min(1.0, centre + half) if count < total else 1.0
    return low, high


def percent_text(count: int, total: int, digits: int = 0) -> str:
    """A share in percent and its interval as plain tables print them, ``58 (53-64)``; a dash of nothing."""
    if total == 0:
        return "—"
    low, high = wilson(count, total)
    return f"{100 * count / total:.{digits}f} ({100 * low:.{digits}f}-{100 * high:.{digits}f})"
