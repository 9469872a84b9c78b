"""What is compared of sets: the common subset, distances of space groups, the pass rates of a funnel."""

import numpy as np
import pandas as pd
import pytest

from nucleate.evaluation.benchmark import (
    ALL,
    COMMON,
    OF_THE_REFERENCE,
    chance_distance,
    common_subset,
    group_counts,
    measures,
    measures_of_reference,
    subsets,
)
from nucleate.evaluation.distributions import jensen_shannon
from nucleate.intervals import wilson
from nucleate.screening.funnels import sun

ROWS = {
    "salt": [11, 17],
    "four elements": [3, 25, 8, 9],
    "noble gas": [54, 9, 9],
    "technetium": [43, 8],
    "actinide": [92, 8, 8],
    "bismuth": [83, 8],
    "too large": [14] * 21,
    "nothing": [],
}


@pytest.fixture
def candidates() -> pd.DataFrame:
    n = len(ROWS)
    return pd.DataFrame(
        {
            "id": list(ROWS),
            "numbers": list(ROWS.values()),
            "n_atoms": [len(numbers) for numbers in ROWS.values()],
            "chemical_system": ["-".join(map(str, sorted(set(numbers)))) for numbers in ROWS.values()],
            "status": ["ok"] * (n - 2) + ["unconverged", "invalid_input"],
            "energy_per_atom": [-1.0] * (n - 1) + [np.nan],
            "energy_above_hull": [-0.01, 0.0, 0.05, 0.2, 0.09, 0.0, 0.0, np.nan],
            "is_valid": [True] * (n - 1) + [None],
            "is_unique": [True] * (n - 1) + [None],
            "is_novel": [True, True, False, True, True, True, True, None],
            "is_stable": [True, True, True, False, True, True, False, False],
            "formula_known": [False] * n,
            "space_group": [225, 1, 1, 2, 62, 225, 227, None],
            "relaxed_space_group": [225, 1, 2, 2, 62, 221, None, None],
            "rmsd_to_relaxed": [0.1] * (n - 1) + [np.nan],
            "rmsd_matched": [True] * (n - 1) + [None],
            "has_prototype": [True, False, False, None, True, False, True, None],
        }
    )


def _row(table: pd.DataFrame, metric: str, subset: str = ALL, group: str = "all") -> pd.Series:
    rows = table[table["metric"].eq(metric) & table["subset"].eq(subset) & table["group"].eq(group)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_subset_is_what_every_family_can_represent(candidates):
    assert candidates["id"][common_subset(candidates)].tolist() == ["salt", "bismuth"]
    assert {name: len(rows) for name, rows in subsets(candidates).items()} == {ALL: len(ROWS), COMMON: 2}


def test_rates_keep_every_row_in_the_denominator(candidates):
    table = measures(candidates, "some", funnel=sun())
    for metric, count in (("on or below the hull", 3), ("relaxed", 6), ("prototype matched", 3), ("S.U.N.", 4)):
        row = _row(table, metric)
        assert (row["count"], row["total"]) == (count, len(ROWS)), metric
        assert (row["low"], row["high"]) == wilson(count, len(ROWS))
    assert _row(table, "S.U.N.", COMMON)["count"] == 2
    assert _row(table, "funnel, in sequence", group="novel")["count"] == 4
    assert _row(table, "crystal system", group="triclinic")["count"] == 3
    assert _row(table, "crystal system", group="cubic")["total"] == 6
    assert table["reference"].eq("some").all()
    assert not table.duplicated(["subset", "metric", "group"]).any()


def test_another_reference_adds_only_what_it_changes(candidates):
    table = measures_of_reference(candidates, "other")
    assert set(table["metric"]) == set(OF_THE_REFERENCE)


def test_space_groups_are_as_far_from_the_data_as_their_shares(candidates):
    data = {ALL: {"225": 10, "62": 30}, COMMON: {"225": 10}}
    table = measures(candidates, "some", data)
    metric = "space-group distance to the data"
    expected = jensen_shannon({"225": 1, "1": 1, "2": 2, "62": 1, "221": 1}, data[ALL])
    assert _row(table, metric, group="relaxed")["value"] == pytest.approx(expected)
    assert _row(table, metric, COMMON, "as generated")["value"] == 0.0
    assert _row(table, metric, COMMON, "relaxed")["value"] == pytest.approx(
        jensen_shannon({"225": 1, "221": 1}, {"225": 1})
    )


def test_chance_alone_makes_a_distance_that_falls_with_the_sample():
    data = {str(group): group for group in range(1, 60)}
    near, nearer, nearest = (chance_distance(data, n) for n in (10, 100, 10_000))
    assert near > nearer > nearest > 0
    assert chance_distance(data, 100) == nearer
    draws = np.random.default_rng(7).choice(list(data), size=(100, 100), p=np.array(list(data.values())) / 1770)
    brute = np.mean([jensen_shannon(group_counts(int(g) for g in draw), data) for draw in draws])
    assert nearer == pytest.approx(brute, rel=0.05)
    assert np.isnan(chance_distance({}, 5))


def test_an_empty_set_has_no_rates_but_does_not_fail(candidates):
    table = measures(candidates.iloc[:0], "none", {ALL: {"1": 1}, COMMON: {"1": 1}}, sun())
    assert _row(table, "valid")["total"] == 0
