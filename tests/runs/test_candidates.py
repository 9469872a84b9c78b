"""Candidates: what goes in comes back, in any order and from any shard."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status, UserError
from nucleate.io.interop import from_pymatgen
from nucleate.io.validation import Failure
from nucleate.runs.candidates import Candidates
from nucleate.runs.columns import CANDIDATE_COLUMNS, INPUT_COLUMNS, schema
from nucleate.runs.run import read_shard


def named(crystals, first=0):
    return Candidates.from_crystals(crystals, [f"c{first + i}" for i in range(len(crystals))], "test")


def failures(n):
    return Candidates.from_failures(
        [Failure(i, f"f{i}", Status.INVALID_INPUT, "unreadable") for i in range(n)], [f"f{i}" for i in range(n)], "test"
    )


def same(first, second):
    """Whether two sets of candidates hold the same."""
    for left, right in ((first.crystals, second.crystals), (first.final, second.final)):
        assert left.n_atoms.tolist() == right.n_atoms.tolist()
        assert torch.equal(left.numbers, right.numbers)
        np.testing.assert_array_equal(left.frac.numpy(), right.frac.numpy())
        np.testing.assert_array_equal(left.lattice.numpy(), right.lattice.numpy())
    np.testing.assert_array_equal(first.has_relaxed, second.has_relaxed)
    for name in {*first.table, *second.table}:
        pd.testing.assert_series_equal(first.column(name), second.column(name), check_names=False)
    return True


@st.composite
def mixed(draw):
    """Some crystals of random sizes, some of them relaxed, and some rows without one."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, 5), min_size=0, max_size=6))
    crystals = Crystals.from_lists(
        [rng.integers(1, 100, n).tolist() for n in sizes],
        [torch.from_numpy(rng.random((n, 3))) for n in sizes],
        [torch.from_numpy(rng.normal(size=(3, 3))) for _ in sizes],
    )
    parts = [named(crystals), failures(draw(st.integers(0, 2)))]
    found = Candidates.concatenate(parts)
    found = found[rng.permutation(len(found))]
    relaxed = found.has_sites & (rng.random(len(found)) < 0.5)
    sites = int(found.crystals.n_atoms[torch.from_numpy(relaxed)].sum())
    found = found.with_relaxed(relaxed, rng.random((sites, 3)), rng.normal(size=(int(relaxed.sum()), 3, 3)))
    return found.with_columns(
        {
            "energy_above_hull": np.where(rng.random(len(found)) < 0.3, np.nan, rng.normal(size=len(found))),
            "is_unique": [None if x < 0.3 else bool(x < 0.7) for x in rng.random(len(found))],
            "space_group": [None if x < 0.3 else int(230 * x) for x in rng.random(len(found))],
            "duplicate_of": [None if x < 0.5 else "c0" for x in rng.random(len(found))],
        }
    )


@settings(max_examples=30, deadline=None)
@given(found=mixed())
def test_parquet_gives_back_what_was_written(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    found.to_parquet(folder / "a.parquet", CANDIDATE_COLUMNS)
    again = Candidates.from_parquet(folder / "a.parquet")
    assert same(again, found)
    again.to_parquet(folder / "b.parquet", CANDIDATE_COLUMNS)
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()
    assert pq.read_schema(folder / "a.parquet").equals(schema(CANDIDATE_COLUMNS))


@settings(max_examples=30, deadline=None)
@given(found=mixed(), cut=st.integers(0, 8))
def test_parts_together_are_the_whole(found, cut, tmp_path_factory):
    parts = [found[:cut], found[cut:]]
    assert same(Candidates.concatenate(parts)[:], found[:])
    folder = tmp_path_factory.mktemp("shards")
    for k, part in enumerate(parts):
        part.to_parquet(folder / f"{k}.parquet", CANDIDATE_COLUMNS)
    assert same(Candidates.from_parquet(folder / "0.parquet", folder / "1.parquet"), found)


@settings(max_examples=30, deadline=None)
@given(found=mixed())
def test_a_mask_selects_what_its_numbers_select(found):
    mask = np.arange(len(found)) % 2 == 0
    assert same(found[mask], found[mask.nonzero()[0]])
    assert found[mask].ids == [name for name, there in zip(found.ids, mask, strict=True) if there]


@settings(max_examples=30, deadline=None)
@given(found=mixed())
def test_without_its_relaxed_crystal_a_candidate_is_what_was_generated(found):
    every = np.ones(len(found), bool)
    bare = found.without_relaxed(every)
    np.testing.assert_array_equal(bare.final.lattice.numpy(), found.crystals.lattice.numpy())
    assert not bare.has_relaxed.any()
    assert same(found.without_relaxed(~every), found)


def test_unread_structures_are_empty_lists_and_unknown_values_null(tmp_path):
    failures(2).to_parquet(tmp_path / "0.parquet", CANDIDATE_COLUMNS)
    rows = pq.read_table(tmp_path / "0.parquet").to_pylist()
    assert [rows[0][name] for name in ("numbers", "frac", "lattice")] == [[], [], []]
    assert rows[0]["relaxed_frac"] is None
    assert rows[0]["energy_above_hull"] is None
    assert rows[1]["reason"] == "unreadable"


def test_crystals_that_are_not_finite_say_so_and_keep_their_numbers(prototypes):
    crystals = from_pymatgen(prototypes()[:2])
    crystals.frac[1, 0, 0] = torch.nan
    found = named(crystals.to(dtype=torch.float32))
    assert found.column("status").tolist() == [Status.OK, Status.NOT_FINITE]
    assert found.crystals.frac.dtype == torch.float64
    assert found.column("n_atoms").tolist() == crystals.n_atoms.tolist()


def test_columns_take_the_type_of_the_table_and_no_infinity():
    found = failures(3).with_columns({"energy_above_hull": [0.1, np.inf, None], "is_novel": [True, None, False]})
    assert found.column("energy_above_hull").isna().tolist() == [False, True, True]
    assert found.column("is_novel").dtype == "boolean"
    assert found.column("is_stable").isna().all()
    some = found.with_columns({"is_novel": [False]}, np.array([True, False, False]))
    assert some.column("is_novel").tolist()[0] is False
    assert some.column("is_novel").tolist()[2] is False
    assert found.column("is_novel").tolist()[0] is True  # the first ones are left as they were


def test_candidates_whose_crystal_is_taken_keep_their_row(prototypes):
    found = named(from_pymatgen(prototypes()[:3]))
    left = found.without_crystals(np.array([False, True, False]))
    assert left.has_sites.tolist() == [True, False, True]
    assert left.ids == found.ids
    assert left.column("n_atoms").tolist() == found.column("n_atoms").tolist()
    assert left.crystals.lattice[1].isnan().all()


def test_pandas_sees_the_columns_as_parquet_has_them(tmp_path):
    found = failures(2).with_columns({"energy_above_hull": [0.5, None], "is_novel": [None, True]})
    found.to_parquet(tmp_path / "0.parquet", list(found.table))
    pd.testing.assert_frame_equal(found.to_pandas(), pq.read_table(tmp_path / "0.parquet").to_pandas())


def test_no_candidates_are_candidates_too(tmp_path):
    none = Candidates.concatenate([])
    none.to_parquet(tmp_path / "0.parquet", INPUT_COLUMNS)
    assert len(Candidates.from_parquet(tmp_path / "0.parquet")) == len(none) == 0


def test_a_torn_shard_is_named(tmp_path):
    failures(2).to_parquet(tmp_path / "0.parquet", INPUT_COLUMNS)
    content = (tmp_path / "0.parquet").read_bytes()
    (tmp_path / "0.parquet").write_bytes(content[:50])
    with pytest.raises(UserError, match=r"0\.parquet.*not complete Parquet"):
        Candidates.from_parquet(tmp_path / "0.parquet")


def test_a_flipped_byte_in_the_data_of_a_shard_is_noticed_and_named(tmp_path):
    crystals = Crystals.from_lists([[29, 79]] * 40, [[[0.0] * 3, [0.5] * 3]] * 40, [np.eye(3) * 3.0] * 40)
    path = tmp_path / "00000.parquet"
    Candidates.from_crystals(crystals, [f"c{i:06d}" for i in range(40)], "made").to_parquet(path, INPUT_COLUMNS)
    whole, known = path.read_bytes(), read_shard(path)
    group = pq.read_metadata(path).row_group(0)
    column = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "id")
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    for place in range(end - 24, end, 4):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(UserError, match=str(path)):
            read_shard(path)
    path.write_bytes(whole)
    assert read_shard(path).equals(known)
