"""Measures by which sets of crystals are compared: rates and means, of all and of what every family can represent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from pydantic import JsonValue

from nucleate.crystal.elements import SYMBOLS
from nucleate.errors import RELAXED, Status
from nucleate.evaluation.distributions import jensen_shannon
from nucleate.evaluation.summary import summarise
from nucleate.intervals import Rate
from nucleate.screening.funnel import Funnel, apply_funnel
from nucleate.symmetry.space_group import CRYSTAL_SYSTEMS, crystal_system

ALL, COMMON = "all", "common"
"""Every crystal, and those that every family can represent."""
MOST_ELEMENTS, MOST_ATOMS = 3, 20
EXCLUDED = frozenset({2, 10, 18, 36, 43, 54, 61, *range(84, 119)})
"""Noble gases, Tc, Pm, and polonium and beyond: MatterGen's training data have none of them."""

OF_THE_REFERENCE = (
    "novel",
    "stable",
    "formula known",
    "S.U.N.",
    "valid S.U.N.",
    "on or below the hull",
    "energy above hull (eV/atom)",
)
"""Measures that are taken again with each further reference."""
GROUP_DISTANCE = {"as generated": "space_group", "relaxed": "relaxed_space_group"}
GENERATION, ALL_STAGES = "S.U.N. per core-hour of generation", "S.U.N. per core-hour, relaxation included"
ON_TARGET, NOT_ASKED = "on target", "on target, not asked"
DISTANCE, CHANCE = "space-group distance to the data", "the same of as many crystals of the data"
"""Names of metrics."""
COLUMNS = ("subset", "reference", "metric", "group", "value", "low", "high", "count", "total", "median")
"""Columns of :func:`measures`; ``low`` to ``high`` is a 95 % interval, missing where there is none."""

_DRAWS = 200
"""Samples of the data whose distance to the data shows what chance alone makes."""


def common_subset(candidates: pd.DataFrame) -> pd.Series:
    """Which crystals every family can represent: at most 3 elements and 20 atoms, none of the excluded elements.

    A row without a crystal belongs to no subset.
    """
    elements = candidates["numbers"].map(lambda numbers: {int(z) for z in numbers})
    fits = elements.map(lambda found: 0 < len(found) <= MOST_ELEMENTS and found.isdisjoint(EXCLUDED))
    return fits & candidates["n_atoms"].le(MOST_ATOMS)


def subsets(candidates: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each subset, by its name."""
    return {ALL: candidates, COMMON: candidates[common_subset(candidates).astype(bool)]}


def excluded_symbols() -> str:
    """The excluded elements in words."""
    return ", ".join(SYMBOLS[z] for z in sorted(EXCLUDED) if z < 84) + ", and all from Po on"


def measures(
    candidates: pd.DataFrame,
    reference: str,
    groups: Mapping[str, Mapping[str, int]] | None = None,
    funnel: Funnel | None = None,
) -> pd.DataFrame:
    """All that is measured of a set.

    Arguments:
        candidates: Rows of a screened run.
        reference: What the rows were judged with.
        groups: How often each space group is in the data, by subset; without them there is no distance to the data.
        funnel: Whose pass rates are counted.

    Returns:
        A row for each number, with ``COLUMNS``.
    """
    found = []
    for subset, rows in subsets(candidates).items():
        rows = rows.reset_index(drop=True)
        found.append(_summary(rows).assign(subset=subset))
        extra = [*_rates(rows), *_steps(funnel, rows)]
        found.append(pd.DataFrame([rate_row(rate) for rate in extra]).assign(subset=subset))
        if groups is not None:
            found.append(pd.DataFrame(list(_distances(rows, groups[subset]))).assign(subset=subset))
    return pd.concat(found, ignore_index=True).assign(reference=reference).reindex(columns=list(COLUMNS))


def measures_of_reference(candidates: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Those of :func:`measures` that another reference changes."""
    table = measures(candidates, reference)
    return table[table["metric"].isin(OF_THE_REFERENCE)].reset_index(drop=True)


def group_counts(groups: Iterable[int]) -> dict[str, int]:
    """How often each space group was found, by its number; 0 is none."""
    return dict(Counter(str(int(group)) for group in groups if group > 0))


def chance_distance(counts: Mapping[str, int], n: int, seed: int = 0) -> float:
    """Mean Jensen-Shannon distance (0 to 1) of samples of ``n`` from the data to the data: no model can undercut it."""
    if not n or not counts:
        return float("nan")
    names, weights = list(counts), np.array(list(counts.values()), dtype=float)
    draws = np.random.default_rng(seed).multinomial(n, weights / weights.sum(), size=_DRAWS)
    return float(np.mean([jensen_shannon(dict(zip(names, draw.tolist(), strict=True)), counts) for draw in draws]))


def _summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Rates and means of all rows, by size, and by number of elements."""
    table = summarise(rows).table().rename(columns={"name": "metric"})
    return table[~table["group"].str.contains("competing")]


def _rates(rows: pd.DataFrame) -> Iterator[Rate]:
    n = len(rows)
    ended = rows["status"].isin(RELAXED)
    on_hull = rows["status"].eq(str(Status.OK)) & pd.to_numeric(rows["energy_above_hull"]).le(0)
    yield Rate("relaxed", "all", int(ended.sum()), n)
    yield Rate("on or below the hull", "all", int(on_hull.sum()), n)
    if "has_prototype" in rows:
        yield Rate("prototype matched", "all", int(rows["has_prototype"].eq(True).sum()), n)
    groups = pd.to_numeric(rows.loc[ended, "relaxed_space_group"], errors="coerce").dropna()
    systems = Counter(crystal_system(int(group)) for group in groups)
    for name in CRYSTAL_SYSTEMS:
        yield Rate("crystal system", name, systems[name], len(groups))


def _steps(funnel: Funnel | None, rows: pd.DataFrame) -> Iterator[Rate]:
    if funnel is None:
        return
    for step in apply_funnel(funnel, rows).steps:
        yield Rate("funnel, in sequence", step.filter.label, step.in_sequence.passed, len(rows))
        yield Rate("funnel, alone", step.filter.label, step.alone.passed, len(rows))


def _distances(rows: pd.DataFrame, data: Mapping[str, int]) -> Iterator[dict[str, JsonValue]]:
    ended = rows["status"].isin(RELAXED)
    for state, column in GROUP_DISTANCE.items():
        groups = pd.to_numeric(rows[column], errors="coerce")[ended if state == "relaxed" else slice(None)].dropna()
        counts = group_counts(groups)
        for metric, value in (
            (DISTANCE, jensen_shannon(counts, data)),
            (CHANCE, chance_distance(data, len(groups))),
        ):
            yield {"metric": metric, "group": state, "value": value, "count": len(groups), "total": len(rows)}


def rate_row(rate: Rate) -> dict[str, JsonValue]:
    """A rate with its interval under the names of ``COLUMNS``."""
    low, high = rate.interval
    return {
        "metric": rate.name,
        "group": rate.group,
        "value": rate.value,
        "low": low,
        "high": high,
        "count": rate.count,
        "total": rate.total,
    }
