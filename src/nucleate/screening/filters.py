"""A filter as data: a column of the candidates, a comparison and a threshold; and its verdict on each row.

A value that is undefined never passes, and is counted as what it is: not low, not high, but unknown, with the cause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import JsonValue

from nucleate.errors import RELAXED, Status, UserError
from nucleate.runs.columns import Stage, described

Comparison = Literal["<", "<=", ">", ">=", "=", "<x<", "<=x<=", "known"]
Threshold = float | bool | tuple[float, float] | None

STAGES: tuple[Stage, ...] = get_args(Stage)
PASSES, LOW, HIGH, FAILS, UNDEFINED = "passes", "too low", "too high", "fails", "undefined"
"""Verdicts of a filter on a row; ``fails`` is a wrong flag or another number than the one asked for."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_WINDOW = re.compile(rf"({_NUMBER})\s*(<=?)\s*([A-Za-z]\w*)\s*(<=?)\s*({_NUMBER})")
_ONE_SIDE = re.compile(rf"([A-Za-z]\w*)\s*(<=|>=|<|>|==?)\s*({_NUMBER}|true|false)")
_KNOWN = re.compile(r"([A-Za-z]\w*)\s+is\s+known")
_KEEP_FORMS = "such as 'compactness < 0.85', '0.55 < compactness < 0.85', 'formula_known = false' or 'density is known'"


@dataclass(frozen=True)
class Filter:
    """A condition that a crystal must fulfil to stay.

    Attributes:
        name: By which thresholds are changed and results are named.
        column: Of the candidate table.
        comparison: How the value compares with the threshold; ``<x<`` and ``<=x<=`` are windows, ``known`` asks for
            any value.
        threshold: A number, a flag, the two ends of a window, or none.
        unit: Of the threshold, such as eV/atom; empty where it has none.
        stage: Which structure the value belongs to: as ``generated``; ``relaxed``, and then only a relaxation that
            converged counts; or ``final``, the relaxed one where there is one.
        source: Where the threshold comes from.
        title: A few words for pictures.
        levels: Further thresholds that are counted beside and decide nothing.
    """

    name: str
    column: str
    comparison: Comparison
    threshold: Threshold = None
    unit: str = ""
    stage: Stage = "generated"
    source: str = ""
    title: str = ""
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        low, high = self.window
        if low > high:
            raise UserError(f"filter {self.name}", f"a window from {low:g} to {high:g}", "one from low to high")
        if self.levels and self.comparison not in ("<", "<=", ">", ">="):
            raise UserError(f"filter {self.name}", "levels", "levels only beside one threshold, such as 'x < 0.05'")

    @classmethod
    def parse(cls, name: str, keep: str, **more: Any) -> Filter:
        """A filter from its condition in words, such as ``0.55 < compactness < 0.85``.

        Unit and stage follow from the column where they are not given.

        Raises:
            UserError: The text is no condition.
        """
        text = keep.strip()
        column: str
        comparison: Any
        threshold: Threshold
        if found := _WINDOW.fullmatch(text):
            low, first, column, second, high = found.groups()
            if first != second:
                raise UserError(f"filter {name}", repr(text), "the same sign on both sides, < or <=")
            comparison, threshold = f"{first}x{first}", (float(low), float(high))
        elif found := _ONE_SIDE.fullmatch(text):
            column, comparison, value = found.groups()
            comparison = "=" if comparison == "==" else comparison
            threshold = value == "true" if value in ("true", "false") else float(value)
            if isinstance(threshold, bool) and comparison != "=":
                raise UserError(f"filter {name}", repr(text), f"'{column} = {value}'")
        elif found := _KNOWN.fullmatch(text):
            column, comparison, threshold = found.group(1), "known", None
        else:
            raise UserError(f"filter {name}", repr(text), _KEEP_FORMS)
        given = {key: value for key, value in more.items() if value}
        of = described(column)
        return cls(name, column, comparison, threshold, **{"unit": of.unit, "stage": of.stage, **given})

    @property
    def window(self) -> tuple[float, float]:
        """Lower and upper end of what passes, in the unit of the filter (eV/atom, ...); infinite where none is."""
        value = self.threshold
        if isinstance(value, tuple):
            return value
        if value is None:
            return -np.inf, np.inf
        if self.comparison in ("<", "<="):
            return -np.inf, float(value)
        return float(value), float(value) if self.comparison == "=" else np.inf

    @property
    def keep(self) -> str:
        """The condition in words; :meth:`parse` reads it again."""
        match self.threshold:
            case None:
                return f"{self.column} is known"
            case bool():
                return f"{self.column} = {str(self.threshold).lower()}"
            case (low, high):
                sign = self.comparison.split("x")[0]
                return f"{low:.15g} {sign} {self.column} {sign} {high:.15g}"
            case value:
                return f"{self.column} {self.comparison} {value:.15g}"

    @property
    def label(self) -> str:
        """The title, or the name in words."""
        return self.title or self.name.replace("_", " ")

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values, as a file of a funnel holds them."""
        return {
            "name": self.name,
            "keep": self.keep,
            "unit": self.unit,
            "stage": self.stage,
            "source": self.source,
            "title": self.title,
            "levels": list(self.levels),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "filter") -> Filter:
        """The filter that :meth:`to_dict` or a user's file describes.

        Raises:
            UserError: A key is missing or unknown, or a value does not fit.
        """
        if not isinstance(values, Mapping):
            raise UserError(where, repr(values), "a table with name and keep")
        unknown = set(values) - {"name", "keep", "unit", "stage", "source", "title", "levels"}
        if unknown:
            raise UserError(where, f"the key {min(unknown)!r}", "name, keep, unit, stage, source, title or levels")
        for key in ("name", "keep"):
            if not isinstance(values.get(key), str) or not values[key].strip():
                raise UserError(where, f"{key} = {values.get(key)!r}", f"a text for {key}")
        name = values["name"].strip()
        for key in ("unit", "source", "title"):
            if not isinstance(values.get(key, ""), str):
                raise UserError(f"filter {name}", f"{key} = {values[key]!r}", "a text")
        stage = values.get("stage", "")
        if stage and stage not in STAGES:
            raise UserError(f"filter {name}", f"stage = {stage!r}", f"one of {', '.join(STAGES)}")
        levels = values.get("levels", ())
        if not isinstance(levels, list | tuple) or not all(_is_number(level) for level in levels):
            raise UserError(f"filter {name}", f"levels = {levels!r}", "a list of numbers")
        more = {key: values.get(key, "") for key in ("unit", "stage", "source", "title")}
        return cls.parse(name, values["keep"], **more, levels=tuple(float(level) for level in levels))

    def with_threshold(self, text: str) -> Filter:
        """The same filter with another threshold: a number, ``true`` or ``false``, or for a window ``0.5..0.9``.

        An end of a window that is left out stays: ``0.5..`` changes the lower one alone.

        Raises:
            UserError: The text does not fit the filter.
        """
        where, text = f"threshold {self.name}", text.strip()
        match self.threshold:
            case None:
                raise UserError(where, repr(text), "no threshold: this filter only asks for a known value")
            case bool():
                if text not in ("true", "false"):
                    raise UserError(where, repr(text), "true or false")
                return replace(self, threshold=text == "true")
            case (low, high):
                first, separator, last = text.partition("..")
                if not separator:
                    raise UserError(where, repr(text), f"a window such as {low:g}..{high:g}")
                ends = (_finite(where, first) if first else low, _finite(where, last) if last else high)
                return replace(self, threshold=ends)
            case _:
                return replace(self, threshold=_finite(where, text))

    def verdicts(self, candidates: pd.DataFrame) -> NDArray[np.str_]:
        """The verdict on each row, shape (B,): one of ``PASSES, LOW, HIGH, FAILS, UNDEFINED``."""
        return self._verdicts(self._values(candidates), self)

    def verdicts_at(self, level: float, candidates: pd.DataFrame) -> NDArray[np.str_]:
        """The verdicts with another threshold, in the unit of the filter (eV/atom, ...), shape (B,)."""
        return self._verdicts(self._values(candidates), replace(self, threshold=level, levels=()))

    @staticmethod
    def _verdicts(values: NDArray[np.float64], rule: Filter) -> NDArray[np.str_]:
        low, high = rule.window
        if rule.comparison in ("=", "known"):
            wrong = values != low if rule.comparison == "=" else np.zeros(len(values), bool)
            choices = [(np.isnan(values), UNDEFINED), (wrong, FAILS)]
        else:
            strict = rule.comparison in ("<", ">", "<x<")
            below = values <= low if strict else values < low
            above = values >= high if strict else values > high
            choices = [
                (np.isnan(values), UNDEFINED),
                (below & (low > -np.inf), LOW),
                (above & (high < np.inf), HIGH),
            ]
        return np.select([mask for mask, _ in choices], [word for _, word in choices], PASSES)

    def causes(self, candidates: pd.DataFrame) -> list[str]:
        """Why the value is undefined, for each row: its status, the elements at fault, or ``no value``."""
        if self.column not in candidates:
            return ["not computed"] * len(candidates)
        status = _texts(candidates, "status")
        notes = _texts(candidates, "undefined_descriptors")
        pattern = re.compile(rf"\b{re.escape(self.column)} \(([^)]*)\)")
        causes = []
        for state, note in zip(status, notes, strict=True):
            elements = pattern.search(note)
            unrelaxed = self.stage == "relaxed" and state not in ("", Status.OK)
            if unrelaxed or state in (Status.INVALID_INPUT, Status.NOT_FINITE):
                causes.append(state)
            else:
                causes.append(f"no value for {elements.group(1)}" if elements else "no value")
        return causes

    def _values(self, candidates: pd.DataFrame) -> NDArray[np.float64]:
        """The column as numbers, flags as 0 and 1; NaN where undefined, shape (B,)."""
        if self.column not in candidates:
            return np.full(len(candidates), np.nan)
        values = pd.to_numeric(candidates[self.column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        values = np.where(np.isfinite(values), values, np.nan)
        if self.stage == "relaxed" and "status" in candidates:
            values = np.where(candidates["status"].astype(str).isin(RELAXED), values, np.nan)
        return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _finite(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UserError(where, repr(text), "a number") from None
    if not isfinite(value):
        raise UserError(where, repr(text), "a finite number")
    return value


def _texts(candidates: pd.DataFrame, column: str) -> list[str]:
    if column not in candidates:
        return [""] * len(candidates)
    return ["" if pd.isna(value) else str(value) for value in candidates[column]]
