"""Reading runs, whole and torn."""

import pandas as pd
import pytest

from nucleate.errors import UserError
from nucleate.report import run_data
from nucleate.report.run_data import read_run
from nucleate.runs.columns import CANDIDATE_COLUMNS, schema
from nucleate.runs.run import Run, write_shard
from nucleate.screening.ranking import ranked


def test_reads_what_the_campaign_writes(make_run, rows):
    folder = make_run([])
    content = [
        {name: row.get(name) for name in CANDIDATE_COLUMNS}
        for row in (rows.rocksalt(0), rows.failed(1, "time_limit", "60 s"))
    ]
    write_shard(folder / "candidates" / "00000.parquet", content, schema(CANDIDATE_COLUMNS))
    run = read_run(folder)
    assert run.candidates["relaxed_lattice"][0].shape == (3, 3)
    assert run.candidates["numbers"][1].tolist() == [12] * 4 + [8] * 4
    assert run.candidates["relaxed_frac"][1] is None
    assert run.extra_columns == ("density",)
    known = {*run_data._KNOWN, "density"}
    assert set(CANDIDATE_COLUMNS) <= known


def test_same_order_as_the_campaign(make_run, rows):
    content = [
        rows.failed(0, "exploded", ""), rows.rocksalt(9, meets_request=False), rows.rocksalt(4, is_unique=False),
        rows.rocksalt(3, is_novel=False), rows.rocksalt(2), rows.rocksalt(7, energy_above_hull=None, is_stable=None),
    ]  # fmt: skip
    folder = make_run([])
    content = [{name: row.get(name) for name in CANDIDATE_COLUMNS} for row in content]
    write_shard(folder / "candidates" / "00000.parquet", content, schema(CANDIDATE_COLUMNS))
    expected = ranked(Run.open(folder).candidates())["id"].tolist()
    assert read_run(folder).candidates["id"].tolist() == expected


def test_flat_and_nested_matrices_are_the_same(make_run, rows):
    flat = rows.rocksalt(0)
    flat = flat | {"frac": [x for row in flat["frac"] for x in row]}
    run = read_run(make_run([flat]))
    assert run.candidates["frac"][0].shape == (8, 3)


def test_missing_columns_are_unknown(make_run):
    run = read_run(make_run([{"id": "a", "energy_above_hull": 0.1}]))
    assert run.candidates["is_stable"].isna().all()
    assert run.candidates["formula"][0] == "?"
    assert run.candidates["status"][0] == "unknown"


def test_not_finite_is_unknown(make_run, rows):
    row = rows.rocksalt(0, energy_above_hull=float("inf"), rmsd_to_relaxed=float("nan"))
    run = read_run(make_run([row]))
    assert run.candidates[["energy_above_hull", "rmsd_to_relaxed"]].isna().all(axis=None)


def test_torn_shard_and_unfinished_run_are_warnings(make_run):
    folder = make_run(chunk_plan=[[0, 2], [2, 4], [4, 6]])
    (folder / "candidates" / "00001.parquet").write_bytes(b"PAR1 torn")
    run = read_run(folder)
    assert len(run.candidates) == 4
    assert "00001.parquet" in run.warnings[0]
    assert "1 of 3 chunks" in run.warnings[1]


@pytest.mark.parametrize(
    "content", ["[]", "{}", "null", '{"phases": [{"formula": "Li"}]}', "not json", '{"phases": 3}']
)
def test_bad_hull_file_is_a_warning(make_run, content):
    folder = make_run()
    (folder / "hull.json").write_text(content)
    run = read_run(folder)
    assert len(run.phases) == 0
    assert any("hull.json" in warning for warning in run.warnings)


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "no run.json"), ("{", "not JSON"), ('{"format_version": 9}', "9"), ('{"format_version": 2}', "kind")],
)
def test_no_run_is_one_clear_line(tmp_path, content, found):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match=found):
        read_run(tmp_path)


def test_cifs_by_candidate(make_run):
    folder = make_run()
    (folder / "cifs").mkdir()
    (folder / "cifs" / "c000000_MgO.cif").write_text("data_a")
    (folder / "cifs" / "stranger.cif").write_text("data_b")
    assert read_run(folder).cifs == {"c000000": "data_a"}


def test_request_that_is_not_understood_is_a_warning(make_run):
    run = read_run(make_run(settings={"model": "random", "where": ["chemical_system=Xx"]}))
    assert any("request" in warning for warning in run.warnings)


def test_shards_of_different_columns(make_run, rows):
    folder = make_run([rows.rocksalt(0)])
    pd.DataFrame([rows.rocksalt(1, band_gap=1.5)]).to_parquet(folder / "candidates" / "00001.parquet")
    run = read_run(folder)
    assert set(run.extra_columns) == {"density", "band_gap"}
