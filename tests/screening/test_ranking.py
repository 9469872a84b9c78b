"""The order of candidates."""

import pandas as pd

from nucleate.conditions.request import Conditions
from nucleate.screening.ranking import ranked


def _rows(*rows):
    names = ["id", "status", "meets_request", "is_stable", "is_unique", "is_novel", "energy_above_hull"]
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])


def test_survivors_come_first_then_the_lower_distance():
    table = _rows(
        ("failed", "exploded", True, False, True, True, None),
        ("far", "ok", True, True, True, True, 0.09),
        ("known", "ok", True, True, True, False, 0.0),
        ("near", "ok", True, True, True, True, 0.01),
        ("repeat", "ok", True, True, False, True, 0.01),
        ("miss", "ok", False, True, True, True, -0.1),
        ("unstable", "ok", True, False, True, True, 0.5),
        ("unknown", "no_reference", True, None, True, True, None),
    )
    found = ranked(table)
    assert found["id"].tolist() == ["near", "far", "known", "unstable", "repeat", "miss", "failed", "unknown"]
    assert found["rank"].tolist() == list(range(1, 9))


def test_of_one_composition_the_lowest_comes_first_known_or_not():
    table = _rows(
        ("new", "ok", True, True, True, True, 0.032),
        ("known", "ok", True, True, True, False, 0.0),
        ("repeat", "ok", True, True, False, False, 0.0),
        ("miss", "ok", False, True, True, True, -0.1),
    )
    asked = Conditions.parse(["composition=Nb3Sn"])
    assert ranked(table, asked)["id"].tolist() == ["known", "new", "repeat", "miss"]
    assert ranked(table, Conditions.parse(["chemical_system=Nb-Sn"]))["id"][0] == "new"


def test_equal_rows_keep_their_order_and_nothing_is_a_table_too():
    table = _rows(*((name, "ok", True, True, True, True, 0.0) for name in "abc"))
    assert ranked(table)["id"].tolist() == ["a", "b", "c"]
    assert len(ranked(table.head(0))) == 0
