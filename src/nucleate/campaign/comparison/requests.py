"""A small fixed set of requests, and what counts as an answer to each: how well models do what they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import pandas as pd

from nucleate.errors import RELAXED
from nucleate.intervals import Rate

if TYPE_CHECKING:
    from nucleate.families.registry import ModelEntry


@dataclass(frozen=True)
class Target:
    """A request and its measure.

    Attributes:
        condition: What is asked for.
        value: As it stands in ``--where``.
        column: Of a run, in which the answer is measured; ``meets_request`` where the crystal itself says.
        low, high: Values of the column that are on target.
        relaxed: The answer is that of the relaxed crystal, so that all are relaxed.
        unit: Of the column.
    """

    condition: str
    value: str
    column: str = "meets_request"
    low: float = -inf
    high: float = inf
    relaxed: bool = False
    unit: str = ""

    @property
    def where(self) -> str:
        """As a condition."""
        return f"{self.condition}={self.value}"

    @property
    def counts_if(self) -> str:
        """What is on target, in words."""
        if self.column == "meets_request":
            return "exactly so"
        window = f"at most {self.high:g}" if self.low == -inf else f"{self.low:g} to {self.high:g}"
        return f"{window}{' ' + self.unit if self.unit else ''}{', relaxed' if self.relaxed else ''}"

    def rate(self, candidates: pd.DataFrame, name: str) -> Rate | None:
        """Share of all candidates that are on target; unknown is off. None where the column is known of none."""
        if self.column not in candidates or candidates[self.column].isna().all():
            return None
        if self.column == "meets_request":
            hit = candidates["meets_request"].eq(True).fillna(False)
        else:
            hit = pd.to_numeric(candidates[self.column], errors="coerce").between(self.low, self.high)
            if self.relaxed:
                hit &= candidates["status"].isin(RELAXED)
        return Rate(name, self.where, int(hit.sum()), len(candidates))


TARGETS = (
    Target("chemical_system", "Li-Mn-O"),
    Target("composition", "SrTiO3"),
    Target("n_atoms", "8"),
    Target("space_group", "225"),
    Target("compactness", "0.7", "compactness", 0.67, 0.73),
    Target("local_environment_diversity", "9", "local_environment_diversity", 8.75, 9.25, unit="bits"),
    Target("complexity", "1.5", "complexity", 1.4, 1.6, unit="bits/atom"),
    Target("hhi_score", "2000", "hhi_score", 1500.0, 2500.0),
    Target("energy_above_hull", "0", "energy_above_hull", high=0.025, relaxed=True, unit="eV/atom"),
    Target("saturation_magnetization", "1", "saturation_magnetization", 0.75, 1.25, relaxed=True, unit="T"),
    Target("magnetic_density", "0.08", "magnetic_density", 0.06, 0.1, relaxed=True, unit="µB/Å³"),
    Target("formation_energy", "-2", "formation_energy", -2.25, -1.75, relaxed=True, unit="eV/atom"),
)
"""Each is judged by the crystal, a descriptor or the potential. What needs a trained predictor is not here."""

OF_THE_MOMENTS = ("saturation_magnetization", "magnetic_density")
"""Columns that the potential's moments give."""

OF_THE_CRYSTAL = ("chemical_system", "composition", "n_atoms", "space_group")
"""What any generator may take; whether it does shows when it is asked."""


def targets_of(entry: ModelEntry) -> tuple[Target, ...]:
    """The requests that a model or searcher may be able to meet."""
    return tuple(t for t in TARGETS if t.condition in OF_THE_CRYSTAL or t.condition in entry.conditions)


def unjudged(conditions: Sequence[str]) -> list[str]:
    """Conditions that a model offers and nothing here can judge."""
    judged = {target.condition for target in TARGETS}
    return [name for name in conditions if name not in judged]
