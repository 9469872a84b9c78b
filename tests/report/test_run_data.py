"""Reading runs, whole and torn."""

import pytest

from nucleate.errors import UserError
from nucleate.report.run_data import read_run
from nucleate.runs.run import Run
from nucleate.screening.ranking import ranked


def test_values_have_the_types_of_their_columns(make_run, rows):
    run = read_run(make_run([rows.rocksalt(0), rows.failed(1, "time_limit", "60 s")]))
    assert run.candidates["relaxed_lattice"][0].shape == (3, 3)
    assert run.candidates["numbers"][1].tolist() == [12] * 4 + [8] * 4
    assert run.candidates["relaxed_frac"][1] is None
    assert run.candidates["n_competing_phases"].isna().tolist() == [False, True]
    assert run.candidates["duplicate_of"].tolist() == ["", ""]
    assert run.extra_columns == ("density",)


def test_same_order_as_the_campaign(make_run, rows):
    content = [
        rows.failed(0, "exploded", ""), rows.rocksalt(9, meets_request=False), rows.rocksalt(4, is_unique=False),
        rows.rocksalt(3, is_novel=False), rows.rocksalt(2), rows.rocksalt(7, energy_above_hull=None, is_stable=None),
    ]  # fmt: skip
    folder = make_run(content)
    expected = ranked(Run.open(folder).candidates())["id"].tolist()
    assert read_run(folder).candidates["id"].tolist() == expected


def test_columns_that_a_run_lacks_are_unknown(make_run, rows):
    run = read_run(make_run([rows.rocksalt(0)]))
    assert run.candidates["has_prototype"].isna().all()
    assert run.candidates["stopped_by"][0] == ""


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


def test_shards_of_different_columns(make_run, rows):
    folder = make_run([rows.rocksalt(0)], chunk_plan=[[0, 1], [1, 2]])
    rows.write(folder / "candidates" / "00001.parquet", [rows.rocksalt(1, band_gap=1.5)])
    run = read_run(folder)
    assert set(run.extra_columns) == {"density", "band_gap"}
    assert run.candidates["band_gap"].isna().tolist() == [True, False]
