"""A filter: its words, its thresholds, and its verdict against a plain comparison of each row."""

from __future__ import annotations

import math
import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.errors import UserError
from nucleate.screening.filters import FAILS, HIGH, LOW, PASSES, UNDEFINED, Filter

SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq}
VALUES = st.one_of(st.floats(-3, 3), st.sampled_from([-1.0, 0.0, 1.0, math.nan, math.inf, None]))


def table(values, **more):
    return pd.DataFrame({"x": pd.Series(values, dtype=object), **more})


@given(st.lists(VALUES, max_size=12), st.sampled_from(sorted(SIGNS)), st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
def test_one_sided_filters_compare_as_python_does(values, sign, threshold):
    rule = Filter.parse("f", f"x {sign} {threshold}")
    expected = [v is not None and math.isfinite(v) and SIGNS[sign](v, threshold) for v in values]
    assert (rule.verdicts(table(values)) == PASSES).tolist() == expected


@given(st.lists(VALUES, max_size=12), st.booleans())
def test_windows_are_two_one_sided_filters(values, closed):
    sign = "<=" if closed else "<"
    found = Filter.parse("f", f"-1 {sign} x {sign} 1").verdicts(table(values))
    over = Filter.parse("f", f"x >{sign[1:]} -1").verdicts(table(values)) == PASSES
    under = Filter.parse("f", f"x {sign} 1").verdicts(table(values)) == PASSES
    assert ((found == PASSES) == (over & under)).all()
    known = np.array([v is not None and math.isfinite(v) for v in values], bool)
    assert ((found == UNDEFINED) == ~known).all()
    assert ((found == LOW) == (known & ~over)).all()
    assert ((found == HIGH) == (known & ~under)).all()


@pytest.mark.parametrize("dtype", [object, "boolean"])
def test_flags(dtype):
    rows = pd.DataFrame({"is_novel": pd.Series([True, False, None], dtype=dtype)})
    assert Filter.parse("f", "is_novel = true").verdicts(rows).tolist() == [PASSES, FAILS, UNDEFINED]
    assert Filter.parse("f", "is_novel = false").verdicts(rows).tolist() == [FAILS, PASSES, UNDEFINED]
    assert Filter.parse("f", "is_novel is known").verdicts(rows).tolist() == [PASSES, PASSES, UNDEFINED]


def test_a_column_that_is_not_there_passes_nothing():
    rule = Filter.parse("f", "y < 1")
    assert rule.verdicts(table([0.0])).tolist() == [UNDEFINED]
    assert rule.causes(table([0.0])) == ["not computed"]


def test_a_relaxed_value_counts_only_where_the_relaxation_converged():
    rows = pd.DataFrame(
        {
            "energy_above_hull": [0.0, 0.0, None, 0.0],
            "status": ["ok", "unconverged", "no_reference", "time_limit"],
        }
    )
    rule = Filter.parse("hull", "energy_above_hull < 0.05")
    assert rule.stage == "relaxed"
    assert rule.unit == "eV/atom"
    assert rule.verdicts(rows).tolist() == [PASSES, UNDEFINED, UNDEFINED, UNDEFINED]
    assert rule.causes(rows)[1:] == ["unconverged", "no_reference", "time_limit"]


def test_the_cause_names_elements_of_its_own_column():
    rows = pd.DataFrame(
        {
            "compactness": [None, None, None],
            "status": ["ok", "invalid_input", "unconverged"],
            "undefined_descriptors": ["compactness (He, Kr), hhi_score (He)", "", "hhi_score (Kr)"],
        }
    )
    rule = Filter.parse("c", "compactness > 0.5")
    assert rule.causes(rows) == ["no value for He, Kr", "invalid_input", "no value"]


@pytest.mark.parametrize(
    "keep",
    ["x < 0.05", "x >= -1e-3", "x = 225", "0.55 < x < 0.85", "0 <= x <= 1", "is_novel = true", "x is known", "x <= .5"],
)
def test_words_are_read_again(keep):
    rule = Filter.parse("f", keep, source="s", title="t", unit="u", stage="final")
    assert Filter.parse("f", rule.keep, source="s", title="t", unit="u", stage="final") == rule
    assert Filter.from_dict(rule.to_dict()) == rule


@pytest.mark.parametrize(
    "keep", ["", "x", "x < y", "0.5 < x", "1 < x < 0", "0 < x <= 1", "x < true", "x < nan", "x != 1", "import os"]
)
def test_what_is_no_condition_is_refused(keep):
    with pytest.raises(UserError):
        Filter.parse("f", keep)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "f"},
        {"name": "", "keep": "x < 1"},
        {"name": "f", "keep": 3},
        {"name": "f", "keep": "x < 1", "threshold": 2},
        {"name": "f", "keep": "x < 1", "stage": "melted"},
        {"name": "f", "keep": "x < 1", "levels": ["a"]},
        {"name": "f", "keep": "x < 1", "levels": [float("nan")]},
        {"name": "f", "keep": "0 < x < 1", "levels": [0.5]},
        {"name": "f", "keep": "x < 1", "unit": 3},
        "x < 1",
    ],
)
def test_a_bad_description_is_a_users_mistake(values):
    with pytest.raises(UserError):
        Filter.from_dict(values)


def test_thresholds():
    window = Filter.parse("c", "0.55 < compactness < 0.85")
    assert window.with_threshold("0.4..0.9").threshold == (0.4, 0.9)
    assert window.with_threshold("0.4..").threshold == (0.4, 0.85)
    assert window.with_threshold("..0.9").threshold == (0.55, 0.9)
    assert Filter.parse("f", "x < 1").with_threshold("2").threshold == 2.0
    assert Filter.parse("f", "is_novel = true").with_threshold("false").threshold is False
    for rule, text in [
        (window, "0.5"),
        (window, "0.9..0.5"),
        (window, "a..b"),
        (Filter.parse("f", "x < 1"), "inf"),
        (Filter.parse("f", "x < 1"), "0..1"),
        (Filter.parse("f", "is_novel = true"), "1"),
        (Filter.parse("f", "x is known"), "1"),
    ]:
        with pytest.raises(UserError):
            rule.with_threshold(text)
