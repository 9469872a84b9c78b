"""A small fixed set of requests, and the share of results on target for each: how well models meet what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import pandas as pd

from nucleate.conditions.quantities import OF_THE_CRYSTAL, QUANTITIES, Quantity
from nucleate.errors import RELAXED
from nucleate.intervals import Rate

if TYPE_CHECKING:
    from nucleate.families.registry import ModelEntry


@dataclass(frozen=True)
class BenchmarkRequest:
    """One quantity asked for.

    Attributes:
        quantity: What is asked for, and how a result is judged.
        value: As it stands in ``--where``; a single number where results have a window.
    """

    quantity: Quantity
    value: str

    @property
    def where(self) -> str:
        """The request as a condition, such as ``n_atoms=8``."""
        return f"{self.quantity.name}={self.value}"

    @property
    def window(self) -> tuple[float, float]:
        """Smallest and largest result on target, in the unit of the quantity."""
        value = float(self.value)
        return self.quantity.window((value, value))

    @property
    def counts_if(self) -> str:
        """The window of results on target, in words."""
        one = self.quantity
        if one.measure == "crystal":
            return "exactly so"
        low, high = self.window
        text = f"at most {high:g}" if low == -inf else f"{low:g} to {high:g}"
        return f"{text}{' ' + one.unit if one.unit else ''}{', relaxed' if one.relaxed else ''}"

    def rate(self, candidates: pd.DataFrame, name: str) -> Rate | None:
        """Share of all candidates that are on target; unknown is off. None where the column is known of none."""
        column = self.quantity.column
        if column not in candidates or candidates[column].isna().all():
            return None
        if self.quantity.measure == "crystal":
            hit = candidates[column].eq(True).fillna(False)
        else:
            hit = pd.to_numeric(candidates[column], errors="coerce").between(*self.window)
            if self.quantity.relaxed:
                hit &= candidates["status"].isin(RELAXED)
        return Rate(name, self.where, int(hit.sum()), len(candidates))


REQUESTS = tuple(
    BenchmarkRequest(QUANTITIES[name], value)
    for name, value in (
        ("chemical_system", "Li-Mn-O"),
        ("composition", "SrTiO3"),
        ("n_atoms", "8"),
        ("space_group", "225"),
        ("compactness", "0.7"),
        ("local_environment_diversity", "9"),
        ("complexity", "1.5"),
        ("hhi_score", "2000"),
        ("energy_above_hull", "0"),
        ("saturation_magnetization", "1"),
        ("magnetic_density", "0.08"),
        ("formation_energy", "-2"),
    )
)
"""Each is judged by the crystal, a descriptor or the potential. What needs a trained predictor is not here."""


def requests_of(entry: ModelEntry) -> tuple[BenchmarkRequest, ...]:
    """The requests that a model or searcher may be able to meet.

    Any generator may take those of the crystal; whether it does shows when it is asked.
    """
    return tuple(one for one in REQUESTS if one.quantity.name in (*OF_THE_CRYSTAL, *entry.conditions))


def unmeasured(conditions: Sequence[str]) -> list[str]:
    """Names of the conditions that a model offers and nothing here measures."""
    measured = {one.quantity.name for one in REQUESTS}
    return [name for name in conditions if name not in measured]
