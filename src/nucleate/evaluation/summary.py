"""Averages of a candidate table: each rate with denominator, interval and protocol, by group and number of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import JsonValue

from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.errors import RELAXED
from nucleate.evaluation.reference_comparison import comparison_lines
from nucleate.intervals import NAME_WIDTH, Mean, Rate
from nucleate.matching.reduced_cells import SAME_STRUCTURE
from nucleate.runs.columns import described
from nucleate.screening.funnel import FunnelResult
from nucleate.screening.published_protocols import Outcome
from nucleate.screening.ranking import STABLE_WITHIN

CURVES = {"unique": ("is_unique",), "novel": ("is_novel",), "unique and novel": ("is_unique", "is_novel")}
"""Curves by name, and the flags that must all hold."""


def sample_counts(n: int) -> list[int]:
    """Numbers of samples at which a curve of n is given: 1, 2 and 5 times powers of ten, and n."""
    steps = [factor * 10**power for power in range(1, 8) for factor in (1, 2, 5)]
    return [step for step in steps if step < n] + ([n] if n else [])


def sample_curves(candidates: pd.DataFrame, at: Sequence[int] | None = None) -> tuple[Rate, ...]:
    """Share of the first k candidates that are unique, novel, or both, for rising k.

    A candidate is unique if it equals none before it, so that the value at k is exactly that of a run of k samples.
    Novelty does not depend on k but for chance; the product is what a longer run still brings.

    Arguments:
        candidates: Rows in the order in which they were drawn, with ``is_unique`` and ``is_novel``; unknown is no.
        at: Numbers of samples; by default :func:`sample_counts`.

    Returns:
        Rates named as in :data:`CURVES`, their group ``first k``.
    """
    rates = []
    for name, columns in CURVES.items():
        if not set(columns) <= set(candidates):
            continue
        holds = np.logical_and.reduce([candidates[column].eq(True).fillna(False) for column in columns])
        reached = np.cumsum(holds)
        rates += [Rate(name, f"first {k}", int(reached[k - 1]), k) for k in at or sample_counts(len(candidates))]
    return tuple(rates)


ATOM_BINS = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 20))
COMPETING_BINS = ((0, 0), (1, 5), (6, 20), (21, None))
SUSPICIOUS_FROM = 100
"""A rate of exactly 0 or 1 over more crystals than this is pointed out."""

FAR_BELOW = -0.3
"""eV/atom; so far below the hull a phase that the reference lacks is the likelier explanation."""

RATES = {
    "valid": "is_valid",
    "unique": "is_unique",
    "novel": "is_novel",
    "stable": "is_stable",
    "formula known": "formula_known",
    "meets request": "meets_request",
}
"""Name of a rate and the column that it counts; a column that is not there has no rate."""

_AVERAGED = ("energy_above_hull", "rmsd_to_relaxed")
"""Columns that have a mean beside the descriptors; a column that is not there has none."""


@dataclass(frozen=True)
class Protocol:
    """How the columns were made; printed beside every rate.

    Attributes:
        potential, reference, relaxation, matcher: In words.
        threshold: Energy above the hull, in eV/atom, up to which a crystal is stable.
        n_requested: Crystals that were asked for.
        draw_below: Energy above the hull as generated, in eV/atom, up to which crystals were kept; None where all were.
        n_drawn: How many the kept ones were drawn from.
    """

    potential: str = "not stated"
    reference: str = "not stated"
    relaxation: str = "relax-v1"
    threshold: float = STABLE_WITHIN
    matcher: str = str(SAME_STRUCTURE)
    n_requested: int | None = None
    draw_below: float | None = None
    n_drawn: int | None = None

    def __str__(self) -> str:
        counted = "every crystal generated"
        if self.draw_below is not None:
            counted = "the crystals kept" + (f" of {self.n_drawn:,} generated" if self.n_drawn else "")
            counted += f", different ones at most {self.draw_below:g} "
            counted += "eV/atom above the hull as they came where enough were"
        return (
            f"potential {self.potential}; relaxation {self.relaxation}; reference {self.reference}; stable: energy "
            f"above hull ≤ {self.threshold:g} eV/atom, unconverged counts as not stable; unique and novel: "
            f"{self.matcher}; denominator: {counted}, unknown counts as no; 95 % Wilson intervals"
        )


HEADLINE_MEAN = "energy above hull"


@dataclass(frozen=True)
class Summary:
    """Averages of a set of candidates.

    Attributes:
        protocol: How the columns were made.
        rates: Shares for all crystals (group ``all``), then by group.
        means: Means and medians, likewise.
        statuses: Number of crystals with each status.
        warnings: What a reader should doubt.
        funnel: What passes the filters of the run's funnel, where it has one.
        published: The rates of the published protocol that the run follows, where it follows one.
        comparison: The set beside a reference, as :meth:`Comparison.to_dict` has it, where that was made.
        curves: Uniqueness and novelty of the first k candidates.
    """

    protocol: Protocol
    rates: tuple[Rate, ...]
    means: tuple[Mean, ...]
    statuses: dict[str, int]
    warnings: tuple[str, ...]
    funnel: FunnelResult | None = None
    published: Outcome | None = None
    comparison: Mapping[str, Any] | None = None
    curves: tuple[Rate, ...] = ()

    def rate(self, name: str, group: str = "all") -> Rate:
        """The rate of that name and group.

        Raises:
            KeyError: There is none.
        """
        for rate in self.rates:
            if (rate.name, rate.group) == (name, group):
                return rate
        raise KeyError(f"no rate {name!r} for {group!r}")

    def table(self) -> pd.DataFrame:
        """A row for each rate and mean, with its interval."""
        rows = [
            {"name": r.name, "group": r.group, "value": r.value, "low": r.interval[0], "high": r.interval[1],
             "count": r.count, "total": r.total}
            for r in self.rates
        ]  # fmt: skip
        rows += [
            {"name": m.name, "group": m.group, "value": m.value, "low": m.value - 1.96 * m.standard_error,
             "high": m.value + 1.96 * m.standard_error, "count": m.count, "total": m.count + m.missing,
             "median": m.median}
            for m in self.means
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["name", "group", "value", "low", "high", "count", "total", "median"])

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values for JSON; what is not finite is None."""
        records = self.table().astype(object)
        return {
            "protocol": asdict(self.protocol) | {"text": str(self.protocol)},
            "statuses": {**self.statuses},
            "metrics": [
                {
                    key: None if isinstance(value, float) and not np.isfinite(value) else value
                    for key, value in row.items()
                }
                for row in records.to_dict("records")
            ],
            "warnings": list(self.warnings),
            "funnel": None if self.funnel is None else self.funnel.to_dict(),
            "published": None if self.published is None else self.published.to_dict(),
            "comparison": None if self.comparison is None else {**self.comparison},
            "curves": [
                {"name": rate.name, "samples": rate.total, "value": rate.value, "low": low, "high": high}
                for rate in self.curves
                for low, high in [rate.interval]
            ],
        }

    def __str__(self) -> str:
        means = [f"{mean.name:>{NAME_WIDTH}}  {mean}" for mean in self.means if mean.group == "all"]
        beside = comparison_lines(self.comparison) if self.comparison else []
        return "\n".join([*self._rate_lines(), *means, *_curve_lines(self.curves), *beside, *self._last_lines()])

    @property
    def headline(self) -> str:
        """Rates, hull distance, what was asked to be counted, and the protocol: what fits on a screen."""
        means = [
            f"{m.name:>{NAME_WIDTH}}  {m}" for m in self.means if m.group == "all" and m.name.startswith(HEADLINE_MEAN)
        ]
        return "\n".join([*self._rate_lines(), *means, *self._last_lines()])

    def _rate_lines(self) -> list[str]:
        return [f"{rate.name:>{NAME_WIDTH}}  {rate}" for rate in self.rates if rate.group == "all"]

    def _last_lines(self) -> list[str]:
        lines = [str(part) for part in (self.funnel, self.published) if part is not None]
        lines += [f"warning: {text}" for text in self.warnings]
        return [*lines, f"protocol: {self.protocol}"]


def summarise(candidates: pd.DataFrame, protocol: Protocol | None = None) -> Summary:
    """Averages over all candidates, by size, by number of elements and by number of competing compounds.

    A crystal whose answer is unknown counts as a miss. S.U.N. is stable, unique and novel at once. The share of P1
    counts crystals whose space group was found: as generated, and after relaxation with status ``ok``.
    """
    protocol = protocol or Protocol()
    flags = {name: candidates[column].eq(True).fillna(False) for name, column in RATES.items() if column in candidates}
    if "meets_request" in candidates and candidates["meets_request"].isna().all():
        flags.pop("meets request")  # nothing was asked for
    if {"stable", "unique", "novel"} <= flags.keys():
        flags["S.U.N."] = flags["stable"] & flags["unique"] & flags["novel"]
        if "valid" in flags:
            flags["valid S.U.N."] = flags["S.U.N."] & flags["valid"]
    rates: list[Rate] = []
    means: list[Mean] = []
    for group, rows in _groups(candidates):
        for name, flag in flags.items():
            rates.append(Rate(name, group, int(flag[rows].sum()), int(rows.sum())))
        rates += _p1(candidates[rows], group)
        means += _means(candidates[rows], group)
    statuses = (
        {str(k): int(v) for k, v in candidates["status"].value_counts().items()} if "status" in candidates else {}
    )
    return Summary(
        protocol,
        tuple(rates),
        tuple(means),
        statuses,
        tuple(_warnings(rates, candidates)),
        curves=sample_curves(candidates),
    )


def _curve_lines(curves: tuple[Rate, ...]) -> list[str]:
    """Uniqueness and novelty against the number of samples, a line each."""
    found: dict[str, list[str]] = {}
    for rate in curves:
        found.setdefault(rate.name, []).append(f"{rate.total}: {rate.value:.1%}")
    return [
        f"{name + ' of the first':>{NAME_WIDTH}}  {', '.join(points)}"
        for name, points in found.items()
        if len(points) > 1
    ]


def _groups(candidates: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Name and row mask of each group that holds a crystal, ``all`` first even when empty."""
    everything = pd.Series(True, index=candidates.index)
    yield "all", everything
    masks: list[tuple[str, pd.Series]] = []
    if "n_atoms" in candidates:
        size = candidates["n_atoms"]
        masks += [(f"{low}-{high} atoms", size.between(low, high)) for low, high in ATOM_BINS]
        masks.append((f"over {ATOM_BINS[-1][1]} atoms", size > ATOM_BINS[-1][1]))
    if "chemical_system" in candidates:
        elements = (
            candidates["chemical_system"].fillna("").str.split("-").map(lambda names: len(list(filter(None, names))))
        )
        masks += [(f"{n} element{'s' if n > 1 else ''}", elements == n) for n in sorted(set(elements) - {0})]
    if "n_competing_phases" in candidates:
        competing = pd.to_numeric(candidates["n_competing_phases"], errors="coerce")
        for low, high in COMPETING_BINS:
            label = "over 20" if high is None else str(low) if low == high else f"{low}-{high}"
            masks.append((f"{label} competing compounds", competing.between(low, np.inf if high is None else high)))
    for name, mask in masks:
        mask = mask.fillna(False).astype(bool)
        if mask.any():
            yield name, mask


def _p1(candidates: pd.DataFrame, group: str) -> list[Rate]:
    rates = []
    for name, column in (("P1 as generated", "space_group"), ("P1 relaxed", "relaxed_space_group")):
        if column in candidates:
            found = pd.to_numeric(candidates[column], errors="coerce")
            if column == "relaxed_space_group" and "status" in candidates:
                found = found[candidates["status"].isin(RELAXED)]
            found = found[found > 0]
            rates.append(Rate(name, group, int((found == 1).sum()), len(found)))
    if "rmsd_matched" in candidates:
        matched = candidates["rmsd_matched"].dropna()
        rates.append(
            Rate("no match with its relaxed structure", group, int((~matched.astype(bool)).sum()), len(matched))
        )
    return rates


def _means(candidates: pd.DataFrame, group: str) -> list[Mean]:
    means = []
    for column in (*_AVERAGED, *DESCRIPTORS):
        if column in candidates:
            name = described(column).heading
            values = pd.to_numeric(candidates[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            values = values[np.isfinite(values)]
            n = len(values)
            error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
            centre, median = (float(values.mean()), float(np.median(values))) if n else (float("nan"), float("nan"))
            means.append(Mean(name, group, centre, median, error, n, len(candidates) - n))
    return means


def _warnings(rates: list[Rate], candidates: pd.DataFrame) -> Iterator[str]:
    for rate in rates:
        if rate.group == "all" and rate.total > SUSPICIOUS_FROM and rate.count in (0, rate.total):
            yield f"{rate.name} is exactly {rate.value:.0f} on {rate.total} crystals: check that it was measured"
    if "energy_above_hull" in candidates and len(candidates) and candidates["energy_above_hull"].isna().all():
        yield "no crystal has a hull distance, so none counts as stable; the reason of each row says why"
    if "n_competing_phases" in candidates and len(candidates):
        alone = pd.to_numeric(candidates["n_competing_phases"], errors="coerce").eq(0)
        if "chemical_system" in candidates:
            alone &= candidates["chemical_system"].fillna("").str.contains("-")
        if alone.any():
            share = f"{alone.sum()} of {len(candidates)} crystals"
            yield f"{share} have no competing compound, only the elements: their hull distance is generous"
    if "energy_above_hull" in candidates:
        far = pd.to_numeric(candidates["energy_above_hull"], errors="coerce") < FAR_BELOW
        if far.any():
            yield (
                f"{far.sum()} of {len(candidates)} crystals lie more than {-FAR_BELOW:g} eV/atom below the hull: "
                "rather compounds that the reference lacks than discoveries; a larger reference tells"
            )
