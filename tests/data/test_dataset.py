"""Datasets: the table follows the crystals, gaps are NaN, and the cache never changes an answer."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from nucleate.data import cache
from nucleate.data.dataset import Dataset, hold_out_system, load_dataset, split
from nucleate.data.inspect import rendered, summarise
from nucleate.errors import UserError

PAIRS = [("Na", "Cl"), ("Li", "F"), ("Mg", "O"), ("Li", "O"), ("Ti", "O"), ("K", "Br")]


def _cif(a: str, b: str) -> str:
    return str(CifWriter(Structure(Lattice.cubic(4.0), [a, b], [[0, 0, 0], [0.5] * 3])))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "salts.csv.gz"
    rows = {
        "material_id": [f"s-{i}" for i in range(6)],
        "formula": ["NaCl", "LiF", "MgO", "LiO", "TiO", "KBr"],
        "band_gap": ["5.0", "", "7.8", "nan", "0", "NA"],
        "count": ["1", "2", "3", "4", "5", "6"],
        "mixed": ["1.5", "2", "high", "", "4", "5"],
        "cif": [_cif(a, b) for a, b in PAIRS],
    }
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_rows_and_columns_belong_together(table):
    dataset = load_dataset(table, columns=["band_gap", "count"])
    assert dataset.ids == [f"s-{i}" for i in range(6)]
    assert dataset.crystals.numbers.tolist() == [[11, 17], [3, 9], [12, 8], [3, 8], [22, 8], [19, 35]]
    gap = dataset.column("band_gap")
    assert gap.isnan().tolist() == [False, True, False, True, False, True]
    assert gap[[0, 2, 4]].tolist() == [5.0, 7.8, 0.0]
    assert dataset.column("count").dtype == torch.float64
    assert dataset.table["formula"].tolist()[0] == "NaCl"
    part = dataset[[4, 1]]
    assert part.ids == ["s-4", "s-1"]
    assert part.crystals.numbers.tolist() == [[22, 8], [3, 9]]
    assert dataset[gap > 1].ids == ["s-0", "s-2"]
    assert len(dataset[2:]) == 4


def test_text_in_a_numeric_column_is_named(table):
    with pytest.raises(UserError) as caught:
        load_dataset(table, columns=["mixed"])
    assert str(caught.value).startswith(f"{table}, row 3 (s-2), column 'mixed': found 'high'")
    with pytest.raises(UserError, match="no column 'bulk_modulus'; expected one of .*band_gap"):
        load_dataset(table, columns=["bulk_modulus"])


def test_infinite_numbers_are_refused(tmp_path):
    pd.DataFrame({"x": ["1", "inf"], "cif": [_cif("Na", "Cl")] * 2}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match=r"row 2 .*inf"):
        load_dataset(tmp_path / "a.csv", columns=["x"])


def test_sodium_nitride_is_not_a_missing_value(tmp_path):
    pd.DataFrame({"formula": ["NaN", "NaCl"], "cif": [_cif("Na", "N"), _cif("Na", "Cl")]}).to_csv(
        tmp_path / "a.csv", index=False
    )
    assert load_dataset(tmp_path / "a.csv").table["formula"].tolist() == ["NaN", "NaCl"]


def test_bad_rows_are_left_out_and_counted_as_in_the_file(tmp_path):
    cifs = [_cif("Na", "Cl"), "broken", _cif("Mg", "O")]
    pd.DataFrame({"gap": ["1", "2", "wide"], "cif": cifs}).to_csv(tmp_path / "a.csv", index=False)
    dataset = load_dataset(tmp_path / "a.csv")
    assert len(dataset) == 2
    assert [failure.row for failure in dataset.failures] == [1]
    with pytest.raises(UserError, match="row 3 .*'wide'"):
        dataset.column("gap")
    pd.DataFrame({"cif": ["broken"]}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(UserError, match="no crystal in 1 rows"):
        load_dataset(tmp_path / "b.csv")


def _equal(first: Dataset, second: Dataset) -> bool:
    tensors = all(
        torch.equal(getattr(first.crystals, name), getattr(second.crystals, name))
        for name in ("numbers", "frac", "lattice", "n_atoms")
    )
    return tensors and first.table.equals(second.table) and first.failures == second.failures


def test_the_cache_gives_the_same_and_is_used(table, own_cache, monkeypatch):
    fresh = load_dataset(table, cache=False)
    assert not any(own_cache.iterdir())
    first = load_dataset(table)

    def never(_path):
        raise AssertionError("read again")

    monkeypatch.setattr("nucleate.data.dataset.read_structures", never)
    assert _equal(load_dataset(table), fresh)
    assert _equal(first, fresh)
    names = {file.suffix for file in own_cache.rglob("*") if file.is_file()}
    assert names == {".safetensors", ".parquet", ".json"}


@pytest.mark.parametrize("damage", ["crystals.safetensors", "table.parquet", "meta.json", "cut", "version"])
def test_a_damaged_cache_is_read_anew(table, own_cache, damage):
    fresh = load_dataset(table)
    (entry,) = (own_cache / "nucleate" / "structures").iterdir()
    if damage == "cut":
        (entry / "crystals.safetensors").unlink()
    elif damage == "version":
        meta = json.loads((entry / "meta.json").read_text())
        (entry / "meta.json").write_text(json.dumps(meta | {"version": -1}))
    else:
        content = bytearray((entry / damage).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (entry / damage).write_bytes(content)
    assert _equal(load_dataset(table), fresh)
    assert _equal(load_dataset(table), fresh)


def test_a_cache_that_cannot_be_written_costs_nothing(table, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_dataset(table)) == 6


def test_the_key_is_the_content(table, tmp_path):
    copy = tmp_path / "copy.csv.gz"
    copy.write_bytes(table.read_bytes())
    assert cache.content_hash(copy) == cache.content_hash(table)
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "a.cif").write_text(_cif("Na", "Cl"))
    before = cache.content_hash(folder)
    (folder / "a.cif").rename(folder / "b.cif")
    assert cache.content_hash(folder) != before
    with pytest.raises(UserError, match="no file or folder"):
        cache.content_hash(tmp_path / "missing")


@pytest.fixture
def many() -> Dataset:
    from nucleate.crystal.crystals import Crystals

    n = 400
    crystals = Crystals.from_lists([[3, 8]] * n, [[[0, 0, 0], [0.5] * 3]] * n, [np.eye(3) * 4] * n)
    return Dataset(crystals, pd.DataFrame({"id": [f"m-{i}" for i in range(n)], "x": np.arange(n)}))


def test_splits_are_whole_disjoint_and_seeded(many):
    parts = split(many, 0.1, 0.05, seed=3)
    assert [len(part) for part in parts] == [340, 40, 20]
    assert sorted(name for part in parts for name in part.ids) == sorted(many.ids)
    assert [part.ids for part in split(many, 0.1, 0.05, seed=3)] == [part.ids for part in parts]
    assert split(many, 0.1, seed=4)[1].ids != parts[1].ids
    shuffled = many[np.random.default_rng(0).permutation(len(many))]
    assert [set(part.ids) for part in split(shuffled, 0.1, 0.05, seed=3)] == [set(part.ids) for part in parts]


def test_rows_of_one_id_stay_together(many):
    doubled = Dataset(many.crystals, many.table.assign(id=[f"m-{i // 2}" for i in range(len(many))]))
    train, validation, _ = split(doubled, 0.3)
    assert not set(train.ids) & set(validation.ids)


@pytest.mark.parametrize(("validation", "test"), [(1.0, 0.0), (0.5, 0.5), (-0.1, 0.0)])
def test_impossible_shares_are_refused(many, validation, test):
    with pytest.raises(UserError, match="shares"):
        split(many, validation, test)


def test_a_system_is_held_out_with_its_subsystems(table):
    dataset = load_dataset(table)
    rest, held = hold_out_system(dataset, "Li-Ti-O")
    assert held.table["formula"].tolist() == ["LiO", "TiO"]
    assert sorted([*rest.ids, *held.ids]) == dataset.ids
    with pytest.raises(UserError, match="chemical system"):
        hold_out_system(dataset, "Li-Xx")


def test_a_summary_counts_what_is_there(table):
    summary = summarise(load_dataset(table))
    json.dumps(summary)
    assert summary["rows"] == 6
    assert summary["atoms"]["histogram"]["1-4"] == 6
    assert summary["elements"]["O"] == 3
    assert summary["elements"]["Li"] == 2
    columns = {column["name"]: column for column in summary["columns"]}
    assert columns["band_gap"]["missing"] == 3
    assert columns["band_gap"]["max"] == 7.8
    assert columns["mixed"]["kind"] == "text"
    assert columns["formula"]["different"] == 6


def test_a_summary_can_be_shown(table):
    import io

    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=120).print(rendered(summarise(load_dataset(table))))
    assert "band_gap" in out.getvalue()
    assert "3 (50%)" in out.getvalue()


def test_real_data_is_fast_and_whole(shared_data):
    dataset = load_dataset(shared_data / "mp" / "train.csv.gz", columns=["e_above_hull", "band_gap"])
    assert len(dataset) == 9705
    assert not dataset.failures
    assert dataset.crystals.n_atoms.tolist() == dataset.table["nsites"].tolist()
    assert not dataset.column("e_above_hull").isnan().any()
    assert 0.3 < dataset.column("band_gap").isnan().double().mean() < 0.4
