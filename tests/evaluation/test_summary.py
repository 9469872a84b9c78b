"""Summaries: sums over groups, denominators, warnings, JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from nucleate.evaluation.summary import Protocol, summarise


def table(n: int = 240, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    systems = ["Li", "Li-O", "Fe-Li-O", "Fe-Li-O-P"]
    frame = pd.DataFrame(
        {
            "status": rng.choice(["ok", "unconverged", "no_reference"], n, p=[0.8, 0.1, 0.1]),
            "n_atoms": rng.integers(1, 21, n),
            "chemical_system": rng.choice(systems, n),
            "n_competing_phases": pd.array(rng.choice([0, 3, 11, 40], n), dtype="Int64"),
            "energy_above_hull": rng.normal(0.1, 0.1, n),
            "rmsd_to_relaxed": rng.random(n),
            "rmsd_matched": pd.array(rng.random(n) < 0.9, dtype="boolean"),
            "space_group": rng.choice([0, 1, 62, 225], n),
            "relaxed_space_group": rng.choice([0, 1, 62, 225], n),
        }
    )
    for name in ("is_valid", "is_unique", "is_novel", "is_stable", "formula_known"):
        values = pd.array(rng.random(n) < 0.7, dtype="boolean")
        values[rng.random(n) < 0.1] = pd.NA
        frame[name] = values
    return frame


def test_rates_equal_a_plain_count() -> None:
    frame = table()
    summary = summarise(frame)
    plain = [
        all(row[f"is_{name}"] is not pd.NA and row[f"is_{name}"] for name in ("stable", "unique", "novel"))
        for _, row in frame.iterrows()
    ]
    rate = summary.rate("S.U.N.")
    assert (rate.count, rate.total) == (sum(plain), len(frame))
    found = frame["space_group"] > 0
    p1 = summary.rate("P1 as generated")
    assert (p1.count, p1.total) == (int((frame["space_group"] == 1).sum()), int(found.sum()))


@pytest.mark.parametrize("suffix", ["atoms", "element", "competing"])
def test_groups_partition_the_crystals(suffix: str) -> None:
    summary = summarise(table())
    for name in ("valid", "S.U.N."):
        parts = [rate for rate in summary.rates if rate.name == name and suffix in rate.group]
        assert len(parts) in (4, 5)
        assert sum(rate.count for rate in parts) == summary.rate(name).count
        assert sum(rate.total for rate in parts) == summary.rate(name).total


def test_row_order_changes_nothing() -> None:
    frame = table()
    shuffled = frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(summarise(frame).table(), summarise(shuffled).table())


def test_a_suspicious_rate_is_pointed_out() -> None:
    frame = table()
    frame["is_novel"] = False
    assert any("novel is exactly 0" in text for text in summarise(frame).warnings)
    assert not any("exactly" in text for text in summarise(frame[:100]).warnings)
    assert not any("exactly" in text for text in summarise(table()).warnings)


def test_text_and_json_state_the_protocol() -> None:
    summary = summarise(table(), Protocol(potential="chgnet 0.3.0", reference="union"))
    text = str(summary)
    assert "chgnet 0.3.0" in text
    assert "union" in text
    assert "≤ 0.1 eV/atom" in text
    record = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    keys = {"protocol", "metrics", "warnings", "statuses", "funnel", "published", "comparison", "curves"}
    assert keys == set(record)


def test_the_headline_is_the_part_of_the_text_that_matters_most() -> None:
    summary = summarise(table(), Protocol(potential="chgnet 0.3.0", reference="union"))
    lines = summary.headline.splitlines()
    assert set(lines) < set(str(summary).splitlines())
    assert any("S.U.N." in line for line in lines)
    assert any("energy above hull" in line for line in lines)
    assert lines[-1].startswith("protocol: ")
    assert not any("of the first" in line for line in lines)


def test_missing_columns_and_no_rows() -> None:
    summary = summarise(pd.DataFrame({"is_valid": [True, False]}))
    assert [rate.name for rate in summary.rates] == ["valid"]
    assert summarise(table()[:0]).rate("valid").total == 0
    with pytest.raises(KeyError):
        summary.rate("novel")


def test_what_a_reference_seems_to_lack_is_pointed_out() -> None:
    table = pd.DataFrame(
        {
            "status": ["ok"] * 3,
            "chemical_system": ["Hf-Rb", "O", "Li-O"],
            "energy_above_hull": [-2.5, 0.0, -0.1],
            "n_competing_phases": [0, 0, 3],
        }
    )
    lacking, far = summarise(table).warnings
    assert lacking.startswith("1 of 3 crystals have no competing compound")
    assert far.startswith("1 of 3 crystals lie more than 0.3 eV/atom below the hull")


def test_rates_and_means_of_nothing_are_words() -> None:
    assert "nan" not in str(summarise(table()[:0]))
