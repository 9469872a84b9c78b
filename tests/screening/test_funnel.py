"""A funnel's counts: monotone in sequence, alone as brute force has them, and nothing undefined gets through."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleate.errors import UserError
from nucleate.screening.filters import Filter
from nucleate.screening.funnel import Funnel, Largest, apply_funnel, stopped_by
from nucleate.screening.funnels import BUILT_IN, find_funnel

FUNNEL = Funnel(
    "test",
    (
        Filter.parse("a", "compactness > 0.5"),
        Filter.parse("b", "formula_known = false"),
        Filter.parse("e", "energy_above_hull < 0.05", levels=(0.1, 0.025)),
    ),
    (Largest("complexity", "b"),),
)
STATUSES = ["ok", "ok", "ok", "unconverged", "no_reference", "invalid_input"]
NUMBERS = st.one_of(st.none(), st.just(math.nan), st.floats(0, 1))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(STATUSES),
            "compactness": NUMBERS,
            "formula_known": st.sampled_from([True, False, None]),
            "energy_above_hull": st.one_of(NUMBERS, st.floats(0, 0.1)),
            "complexity": NUMBERS,
        }
    ),
    max_size=25,
)


def frame(rows):
    columns = ["status", "compactness", "formula_known", "energy_above_hull", "complexity"]
    return pd.DataFrame(rows, columns=columns)


def plainly(row):
    """Whether each filter lets a row through, written out."""
    known = {k: v is not None and not (isinstance(v, float) and math.isnan(v)) for k, v in row.items()}
    hull = row["energy_above_hull"] if known["energy_above_hull"] and row["status"] in ("ok", "no_reference") else None
    return (
        known["compactness"] and row["compactness"] > 0.5,
        row["formula_known"] is False,
        hull is not None and hull < 0.05,
    ), hull


@given(ROWS)
def test_counts_are_those_of_brute_force(rows):
    result = apply_funnel(FUNNEL, frame(rows))
    passes = [plainly(row)[0] for row in rows]
    for k, step in enumerate(result.steps):
        assert step.alone.passed == sum(p[k] for p in passes)
        assert step.in_sequence.passed == sum(all(p[: k + 1]) for p in passes)
        assert step.in_sequence.entered == sum(all(p[:k]) for p in passes)
    for level in result.steps[2].levels:
        below = [hull is not None and hull < level.threshold for _, hull in map(plainly, rows)]
        assert level.alone == sum(below)
        assert level.in_sequence == sum(b and all(p[:2]) for b, p in zip(below, passes, strict=True))


@given(ROWS)
def test_laws(rows):
    table = frame(rows)
    result = apply_funnel(FUNNEL, table)
    left = len(rows)
    assert result.total == left
    for step in result.steps:
        for count in (step.in_sequence, step.alone):
            assert count.entered == count.passed + sum(count.refused.values()) + sum(count.undefined.values())
        assert step.in_sequence.entered == left
        assert step.in_sequence.passed <= min(left, step.alone.passed)
        assert step.alone.entered == len(rows)
        left = step.in_sequence.passed
    assert result.survivors == left == stopped_by(FUNNEL, table).count(None)
    for rate in result.rates():
        assert not rows or rate.interval[0] - 1e-12 <= rate.value <= rate.interval[1] + 1e-12
    names = [rule.name for rule in FUNNEL.filters]
    for name, step in zip(names, result.steps, strict=True):
        assert stopped_by(FUNNEL, table).count(name) == step.in_sequence.entered - step.in_sequence.passed
    json.dumps(result.to_dict(), allow_nan=False)
    assert "funnel test" in str(result)


@given(ROWS)
def test_the_largest_is_a_survivors(rows):
    table = frame(rows)
    (best,) = apply_funnel(FUNNEL, table).best
    survivors = [i for i, row in enumerate(rows) if all(plainly(row)[0][:2])]
    values = [rows[i]["complexity"] for i in survivors]
    known = [v for v in values if v is not None and not math.isnan(v)]
    assert best.value == (max(known) if known else None)
    if known:
        assert best.row in survivors


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_empty_run_and_one_that_failed_entirely(name):
    funnel = find_funnel(name)
    for rows in (pd.DataFrame(), pd.DataFrame({"status": ["invalid_input"] * 3})):
        result = apply_funnel(funnel, rows)
        assert result.survivors == 0
        assert all(sum(step.alone.undefined.values()) == len(rows) for step in result.steps)
        json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_funnel_is_data(name, tmp_path):
    funnel = find_funnel(name)
    file = tmp_path / "funnel.json"
    file.write_text(json.dumps(funnel.to_dict()))
    assert find_funnel(str(file)) == funnel
    file.write_text(json.dumps(apply_funnel(funnel, pd.DataFrame()).to_dict()))
    assert find_funnel(str(file)) == funnel


def test_the_papers_funnel():
    funnel = find_funnel("pigen")
    keeps = {rule.name: (rule.keep, rule.stage) for rule in funnel.filters}
    assert keeps["new_formula"] == ("formula_known = false", "generated")
    assert keeps["compactness"] == ("0.55 < compactness < 0.85", "generated")
    assert keeps["m_led"] == ("local_environment_diversity > 9", "generated")
    assert keeps["hull"] == ("energy_above_hull < 0.05", "relaxed")
    assert keeps["new_prototype"] == ("has_prototype = false", "relaxed")
    assert funnel.filters[4].levels == (0.1, 0.035, 0.025)


def test_a_users_file(tmp_path):
    file = tmp_path / "porous.toml"
    file.write_text(
        '[[filters]]\nname = "open"\nkeep = "0.2 < compactness < 0.5"\n'
        '[[filters]]\nname = "hull"\nkeep = "energy_above_hull < 0.05"\nlevels = [0.1]\n'
        '[[largest]]\ncolumn = "complexity"\nafter = "hull"\n'
    )
    funnel = find_funnel(str(file))
    assert funnel.name == "porous"
    assert funnel.columns == ("compactness", "energy_above_hull", "complexity")
    funnel.check_columns(funnel.columns)
    with pytest.raises(UserError, match="complexity"):
        funnel.check_columns(("compactness", "energy_above_hull"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not toml",
        "filters = 3",
        "filters = []",
        "filters = [1]",
        'threshold = 3\n[[filters]]\nname = "a"\nkeep = "x < 1"\n',
        '[[filters]]\nname = "a"\nkeep = "x < 1"\n[[filters]]\nname = "a"\nkeep = "x > 1"\n',
        '[[filters]]\nname = "a"\nkeep = "x < 1"\n[[largest]]\ncolumn = "x"\nafter = "b"\n',
        '[[filters]]\nname = "a"\nkeep = "x < 1"\n[[largest]]\ncolumn = "x"\n',
    ],
)
def test_a_bad_file_is_a_users_mistake(content, tmp_path):
    file = tmp_path / "funnel.toml"
    file.write_text(content)
    with pytest.raises(UserError):
        find_funnel(str(file))


def test_a_bad_name_a_large_file_and_bytes(tmp_path):
    with pytest.raises(UserError, match="pigen"):
        find_funnel("pidgin")
    large, binary = tmp_path / "large.toml", tmp_path / "binary.json"
    large.write_text("# " + "x" * 300_000)
    binary.write_bytes(b"\xff\xfe\x00")
    for file in (large, binary):
        with pytest.raises(UserError):
            find_funnel(str(file))


def test_thresholds_by_name():
    funnel = FUNNEL.with_thresholds(["a=0.7", "e=0.01"])
    assert [rule.threshold for rule in funnel.filters] == [0.7, False, 0.01]
    for item in ("a", "z=1", "a=x"):
        with pytest.raises(UserError):
            FUNNEL.with_thresholds([item])
    assert find_funnel("none") is None
