"""A funnel: filters one after the other, what each lets through, and what each would let through alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import JsonValue

from nucleate.errors import UserError
from nucleate.intervals import Rate
from nucleate.runs.columns import described
from nucleate.screening.filters import FAILS, HIGH, LOW, PASSES, UNDEFINED, Filter


@dataclass(frozen=True)
class Largest:
    """A question to the survivors: the largest value of a column among those that passed up to a filter."""

    column: str
    after: str


@dataclass(frozen=True)
class Funnel:
    """Filters in their order.

    Attributes:
        name: What results call it.
        filters: The first is applied first.
        largest: What is asked of the survivors.
        source: The work that it follows.
        notes: What a reader must know of how it differs from there.
    """

    name: str
    filters: tuple[Filter, ...]
    largest: tuple[Largest, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.filters:
            raise UserError(f"funnel {self.name}", "no filter", "at least one")
        names = [rule.name for rule in self.filters]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise UserError(f"funnel {self.name}", f"two filters named {twice[0]!r}", "a name for each")
        for question in self.largest:
            if question.after not in names:
                raise UserError(f"funnel {self.name}", f"after = {question.after!r}", f"one of {', '.join(names)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        asked = [rule.column for rule in self.filters] + [question.column for question in self.largest]
        return tuple(dict.fromkeys(asked))

    def check_columns(self, known: Collection[str]) -> None:
        """Raises:
        UserError: It reads a column that no run has.
        """
        for column in self.columns:
            if column not in known:
                raise UserError(f"funnel {self.name}", f"the column {column!r}", f"one of {', '.join(sorted(known))}")

    def with_thresholds(self, items: Sequence[str]) -> Funnel:
        """The same funnel with some thresholds changed, each as ``name=value``.

        Raises:
            UserError: A text has no ``=``, no filter has that name, or the value does not fit it.
        """
        changed = {rule.name: rule for rule in self.filters}
        for item in items:
            name, separator, value = item.partition("=")
            name = name.strip()
            if not separator:
                raise UserError("--threshold", repr(item), "NAME=VALUE, such as compactness=0.5..0.9")
            if name not in changed:
                raise UserError("--threshold", repr(name), f"a filter of {self.name}: {', '.join(changed)}")
            changed[name] = changed[name].with_threshold(value)
        return replace(self, filters=tuple(changed.values()))

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values; a file with them is a funnel again."""
        return {
            "name": self.name,
            "source": self.source,
            "notes": list(self.notes),
            "filters": [rule.to_dict() for rule in self.filters],
            "largest": [{"column": question.column, "after": question.after} for question in self.largest],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "funnel") -> Funnel:
        """The funnel that :meth:`to_dict` or a user's file describes.

        Raises:
            UserError: A key is missing or unknown, or a value does not fit.
        """
        if not isinstance(values, Mapping):
            raise UserError(where, repr(values)[:80], "a table with filters")
        unknown = set(values) - {"name", "source", "notes", "filters", "largest"}
        if unknown:
            raise UserError(where, f"the key {min(unknown)!r}", "name, source, notes, filters or largest")
        lists = {key: values.get(key, []) for key in ("filters", "largest", "notes")}
        for key, items in lists.items():
            if not isinstance(items, list):
                raise UserError(where, f"{key} = {items!r}"[:80], "a list")
        filters = tuple(Filter.from_dict(item, f"{where}, filter {i}") for i, item in enumerate(lists["filters"], 1))
        largest = []
        for item in lists["largest"]:
            if not isinstance(item, Mapping) or set(item) != {"column", "after"}:
                raise UserError(f"{where}, largest", repr(item), "column and after")
            largest.append(Largest(str(item["column"]), str(item["after"])))
        name, source = str(values.get("name", "custom")), str(values.get("source", ""))
        return cls(name, filters, tuple(largest), source, tuple(str(note) for note in lists["notes"]))


@dataclass(frozen=True)
class Count:
    """Counts of a filter over some rows.

    Attributes:
        entered: How many came.
        passed: How many went through.
        refused: Why the others did not: ``too low``, ``too high`` or ``fails``, with their counts; zeros are left out.
        undefined: Rows without a value, by cause.
    """

    entered: int
    passed: int
    refused: Mapping[str, int]
    undefined: Mapping[str, int]

    def to_dict(self) -> dict[str, JsonValue]:
        return {
            "entered": self.entered,
            "passed": self.passed,
            "refused": dict(self.refused),
            "undefined": dict(self.undefined),
        }


@dataclass(frozen=True)
class Level:
    """Counts of rows below (or above) a further threshold (eV/atom, ...), in sequence and alone."""

    threshold: float
    in_sequence: int
    alone: int


@dataclass(frozen=True)
class Step:
    """A filter, what it did to those that reached it, and what it does to all rows."""

    filter: Filter
    in_sequence: Count
    alone: Count
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Best:
    """The largest value found, in ``unit`` (eV/atom, ...), and its row's position; None without a survivor."""

    question: Largest
    value: float | None
    row: int | None
    unit: str

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values for JSON."""
        named: dict[str, JsonValue] = {"column": self.question.column, "after": self.question.after}
        return {**named, "value": self.value, "row": self.row, "unit": self.unit}


@dataclass(frozen=True)
class FunnelResult:
    """A funnel applied to the rows of a table; shares are of all rows."""

    funnel: Funnel
    total: int
    steps: tuple[Step, ...]
    best: tuple[Best, ...]

    @property
    def survivors(self) -> int:
        """How many passed every filter."""
        return self.steps[-1].in_sequence.passed

    def rates(self) -> tuple[Rate, ...]:
        """For each filter the share that passed it and all before it, and the share that passes it alone."""
        name = self.funnel.name
        found = []
        for step in self.steps:
            found.append(Rate(f"{name}: {step.filter.name}, in sequence", "all", step.in_sequence.passed, self.total))
            found.append(Rate(f"{name}: {step.filter.name}, alone", "all", step.alone.passed, self.total))
        return tuple(found)

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values for JSON."""

        def share(count: int) -> dict[str, JsonValue]:
            rate = Rate("", "", count, self.total)
            return {"value": rate.value if self.total else None, "low": rate.interval[0], "high": rate.interval[1]}

        steps: list[JsonValue] = [
            {
                "filter": step.filter.name,
                "keep": step.filter.keep,
                "unit": step.filter.unit,
                "stage": step.filter.stage,
                "in_sequence": step.in_sequence.to_dict() | {"share_of_all": share(step.in_sequence.passed)},
                "alone": step.alone.to_dict() | {"share_of_all": share(step.alone.passed)},
                "levels": [
                    {
                        "threshold": level.threshold,
                        "in_sequence": level.in_sequence,
                        "alone": level.alone,
                        "share_of_all": share(level.in_sequence),
                    }
                    for level in step.levels
                ],
            }
            for step in self.steps
        ]
        return {
            "funnel": self.funnel.to_dict(),
            "total": self.total,
            "steps": steps,
            "largest": [best.to_dict() for best in self.best],
        }

    def __str__(self) -> str:
        lines = [f"funnel {self.funnel.name}: {self.total} crystals"]
        width = max(len(_condition(step.filter)) for step in self.steps)
        for step in self.steps:
            rate = Rate("", "", step.in_sequence.passed, self.total)
            low, high = rate.interval
            undefined = sum(step.in_sequence.undefined.values())
            lines.append(
                f"  {_condition(step.filter):<{width}}  {step.in_sequence.passed:>6} of {step.in_sequence.entered:<6}"
                f" {rate.value:6.1%} of all ({low:.1%} to {high:.1%}); alone {step.alone.passed}"
                + (f"; {undefined} undefined" if undefined else "")
            )
            lines += [
                f"  {'at ' + format(level.threshold, 'g') + ' ' + step.filter.unit:>{width}}  {level.in_sequence:>6}"
                for level in step.levels
            ]
        for best in self.best:
            shown = "none" if best.value is None else f"{best.value:.4g} {best.unit}".rstrip()
            lines.append(f"  largest {best.question.column} after {best.question.after}: {shown}")
        return "\n".join(lines)


def apply_funnel(funnel: Funnel, candidates: pd.DataFrame) -> FunnelResult:
    """Count what passes.

    Arguments:
        funnel: The filters.
        candidates: A row a crystal. A column that is not there leaves all rows undefined.
    """
    left = np.ones(len(candidates), bool)
    everything = left.copy()
    steps, after = [], {}
    for rule in funnel.filters:
        verdicts, causes = rule.verdicts(candidates), rule.causes(candidates)
        levels = []
        for threshold in rule.levels:
            passed = rule.verdicts_at(threshold, candidates) == PASSES
            levels.append(Level(threshold, int((passed & left).sum()), int(passed.sum())))
        alone = _count(verdicts, causes, everything)
        steps.append(Step(rule, _count(verdicts, causes, left), alone, tuple(levels)))
        left = left & (verdicts == PASSES)
        after[rule.name] = left
    best = tuple(_largest(question, candidates, after[question.after]) for question in funnel.largest)
    return FunnelResult(funnel, len(candidates), tuple(steps), best)


def stopped_by(funnel: Funnel, candidates: pd.DataFrame) -> list[str | None]:
    """The name of the first filter that each row does not pass; None for a survivor."""
    stopped: list[str | None] = [None] * len(candidates)
    for rule in reversed(funnel.filters):
        for i in np.flatnonzero(rule.verdicts(candidates) != PASSES).tolist():
            stopped[i] = rule.name
    return stopped


def _count(verdicts: NDArray[np.str_], causes: Sequence[str], rows: NDArray[np.bool_]) -> Count:
    found = {word: int((verdicts[rows] == word).sum()) for word in (LOW, HIGH, FAILS)}
    undefined = Counter(causes[i] for i in np.flatnonzero(rows & (verdicts == UNDEFINED)).tolist())
    return Count(
        entered=int(rows.sum()),
        passed=int((verdicts[rows] == PASSES).sum()),
        refused={word: count for word, count in found.items() if count},
        undefined=dict(undefined.most_common()),
    )


def _largest(question: Largest, candidates: pd.DataFrame, rows: NDArray[np.bool_]) -> Best:
    values = np.full(len(candidates), np.nan)
    if question.column in candidates:
        values = pd.to_numeric(candidates[question.column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    values = np.where(rows & np.isfinite(values), values, -np.inf)
    row = int(values.argmax()) if len(values) and values.max() > -np.inf else None
    return Best(question, None if row is None else float(values[row]), row, described(question.column).unit)


def _condition(rule: Filter) -> str:
    return f"{rule.name}: {rule.keep} {rule.unit if rule.comparison != 'known' else ''}".rstrip()
