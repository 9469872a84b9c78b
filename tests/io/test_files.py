"""Every format gives back what it was given, in order and with its names; every fault has its line."""

import gzip
import os
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from minerals import RUTILE, SALT
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.cif import CifWriter

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.errors import SkippedWarning, Status, UserError
from nucleate.io import bounds, members
from nucleate.io.files import convert_structures, file_names, read_structures, write_structures
from nucleate.io.interop import from_pymatgen, to_pymatgen
from nucleate.io.validation import Record, gather_records, plain

EXACT = ["out.extxyz", "out.parquet", "out.db", "out.vasp", "POSCAR"]
CIFS = ["out.cif", "out.cif.gz", "folder", "out.zip", "out.csv", "out.csv.gz"]
WITH_PROPERTIES = ["out.extxyz", "out.parquet", "out.db", "out.csv", "out.csv.gz"]

printable = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@pytest.mark.parametrize("name", EXACT + CIFS)
@settings(max_examples=2)
@given(seed=st.integers(0, 2**32 - 1))
def test_row_i_is_crystal_i_in_every_format(make_crystals, same_crystals, tmp_path_factory, name, seed):
    crystals = make_crystals(seed, 12, 6)
    ids = [f"{(7 * i) % 12}" for i in range(12)]  # neither in order nor padded
    path = tmp_path_factory.mktemp("formats") / name
    write_structures(crystals, path, ids)
    found = read_structures(path)
    assert found.ids == ids
    assert found.rows == list(range(12))
    assert not found.failures
    if name in EXACT:
        same_crystals(found.crystals, crystals, 1e-8)  # extended XYZ prints 8 digits
        return
    matcher = StructureMatcher(primitive_cell=True)
    for mine, theirs in zip(to_pymatgen(crystals), to_pymatgen(found.crystals), strict=True):
        assert matcher.fit(mine, theirs)


@pytest.mark.parametrize("name", [*EXACT, *CIFS])
@settings(max_examples=4)
@given(ids=st.lists(printable, min_size=3, max_size=3))
def test_ids_come_back_whatever_they_are(make_crystals, tmp_path_factory, name, ids):
    quotes = {"'", '"'}
    if any(quotes <= set(identifier) or "\\" in identifier for identifier in ids):
        return  # a CIF has no way to write both quotes
    path = tmp_path_factory.mktemp("ids") / name
    write_structures(make_crystals(0, 3), path, ids)
    assert read_structures(path).ids == ids


@pytest.mark.parametrize("name", WITH_PROPERTIES)
def test_properties_travel_with_their_rows(make_crystals, tmp_path, name):
    table = pd.DataFrame({"gap": [0.5, np.nan, 2.0], "label": ["a", "b c", "d"], "count": [1, 2, 3]})
    write_structures(make_crystals(0, 3), tmp_path / name, ["x", "y", "z"], table)
    found = read_structures(tmp_path / name).properties
    assert found["gap"].tolist()[::2] == [0.5, 2.0]
    assert np.isnan(found["gap"][1])
    assert found["label"].tolist() == ["a", "b c", "d"]
    assert found["count"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["out.cif", "folder", "out.zip", "out.csv"])
def test_written_cifs_are_not_p1(tmp_path, name):
    path = tmp_path / name
    write_structures(from_pymatgen([SALT, RUTILE]), path, ["salt", "rutile"])
    if name == "folder":
        text = "".join(file.read_text() for file in sorted(path.iterdir()))
    elif name == "out.zip":
        with zipfile.ZipFile(path) as archive:
            text = "".join(archive.read(member).decode() for member in archive.namelist())
    else:
        text = path.read_text()
    assert "_space_group_IT_number   225" in text
    assert "_space_group_IT_number   136" in text
    assert "'P 1'" not in text


def test_folders_of_poscars_and_cifs_mix_and_sort_naturally(tmp_path):
    for n in (10, 9, 1):
        (tmp_path / f"entry{n}").mkdir()
        SALT.to(tmp_path / f"entry{n}" / "POSCAR", fmt="poscar")
    RUTILE.to(tmp_path / "rutile.cif", fmt="cif")
    (tmp_path / "notes.txt").write_text("no structure")
    (tmp_path / ".hidden.cif").write_text("no structure")
    found = read_structures(tmp_path)
    assert found.ids == ["entry1", "entry9", "entry10", "rutile"]
    assert found.crystals.n_atoms.tolist() == [8, 8, 8, 6]


def test_foreign_cifs_are_named_by_their_file_or_block(tmp_path):
    text = str(CifWriter(SALT))
    (tmp_path / "a.cif").write_text(text)
    assert read_structures(tmp_path / "a.cif").ids == ["a"]
    (tmp_path / "b.cif").write_text(text + text.replace("data_NaCl", "data_again"))
    assert read_structures(tmp_path / "b.cif").ids == ["NaCl", "again"]
    (tmp_path / "c.cif").write_bytes(text.replace("\n", "\r\n").encode())
    assert len(read_structures(tmp_path / "c.cif").crystals) == 1


def test_one_bad_row_is_a_row_with_a_reason(tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    good = str(CifWriter(SALT))
    (folder / "1-good.cif").write_text(good)
    (folder / "2-mixed.cif").write_text(good.replace("0.00000000  0.00000000  0.00000000  1\n", "0.0  0.0  0.0  0.5\n"))
    (folder / "3-empty.cif").write_text("")
    (folder / "4-broken.cif").write_bytes(b"\xff\xfe\x00data_\x00")
    (folder / "5-good.cif").write_text(good)
    found = read_structures(folder)
    assert found.ids == ["1-good", "5-good"]
    assert found.rows == [0, 4]
    assert found.n_rows == 5
    assert [failure.id for failure in found.failures] == ["2-mixed", "3-empty", "4-broken"]
    assert {failure.status for failure in found.failures} == {Status.INVALID_INPUT}
    assert found.failures[0].reason == "site Na0: partial occupancies (0.5)"
    table = pd.DataFrame({"id": ["a", "b", "c"], "cif": [good, None, good]})
    table.to_parquet(tmp_path / "t.parquet")
    assert read_structures(tmp_path / "t.parquet").rows == [0, 2]


def test_compressed_members_and_names_of_the_wild(tmp_path):
    folder = tmp_path / "wild"
    (folder / "mp-1").mkdir(parents=True)
    text = SALT.to(fmt="poscar")
    (folder / "mp-1" / "CONTCAR.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("LiFePO4_POSCAR", "POSCAR_mp-149", "mp-149.POSCAR", "1-POSCAR.txt", "a.vasp"):
        (folder / name).write_text(text)
    (folder / "b.CIF.gz").write_bytes(gzip.compress(str(CifWriter(SALT)).encode()))
    (folder / "c.mcif").write_text(str(CifWriter(SALT)))
    found = read_structures(folder)
    assert not found.failures
    assert set(found.ids) == {"mp-1", "LiFePO4_POSCAR", "POSCAR_mp-149", "mp-149", "1-POSCAR", "a", "b", "c"}
    with tarfile.open(tmp_path / "wild.tar.gz", "w:gz") as archive:
        archive.add(folder, "wild")
    assert read_structures(tmp_path / "wild.tar.gz").ids == found.ids
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "wild.tar.gz").read_bytes()[:200])
    with pytest.raises(UserError, match="damaged"):
        read_structures(tmp_path / "cut.tar.gz")


def test_a_folder_without_structure_files_names_what_it_has(tmp_path):
    write_structures(from_pymatgen([SALT]), tmp_path / "made" / "crystals.csv", ["salt"])
    with pytest.raises(UserError, match=r"no structure files but crystals\.csv"):
        read_structures(tmp_path / "made")


def test_a_folder_takes_what_is_a_structure_and_names_the_rest(tmp_path):
    write_structures(from_pymatgen([SALT]), tmp_path / "a.cif", ["salt"])
    write_structures(from_pymatgen([SALT, RUTILE]), tmp_path / "b.extxyz")
    SALT.to(tmp_path / "c.json")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "POSCAR").write_text(SALT.to(fmt="poscar"))
    (tmp_path / "run.json").write_text('{"kind": "design"}')
    (tmp_path / "notes.txt").write_text("no structure")
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.warns(SkippedWarning, match=r"notes\.txt, run\.json, table\.csv"):
        found = read_structures(tmp_path)
    assert found.ids == ["a", "00000", "00001", "c", "d"]
    assert found.crystals.n_atoms.tolist() == [8, 8, 6, 8, 8]
    assert found.skipped == ("notes.txt", "run.json", "table.csv")


def test_our_own_files_that_are_renamed_are_called_after_their_files(tmp_path):
    write_structures(from_pymatgen([SALT, RUTILE]), tmp_path / "in", ["c000001", "c000002"])
    (tmp_path / "in" / "c000001.cif").rename(tmp_path / "in" / "best.cif")
    (tmp_path / "in" / "c000002.cif").rename(tmp_path / "in" / "2-c000002_TiO2.cif")
    found = read_structures(tmp_path / "in")
    assert found.ids == ["c000002", "best"]
    assert found.properties["source_file"].tolist() == ["2-c000002_TiO2.cif", "best.cif"]


def test_the_output_of_mattergen_is_read_once(tmp_path):
    write_structures(from_pymatgen([SALT, RUTILE]), tmp_path / "generated_crystals.extxyz")
    write_structures(from_pymatgen([SALT, RUTILE]), tmp_path / "generated_crystals_cif.zip")
    (tmp_path / "generated_trajectories.zip").write_bytes((tmp_path / "generated_crystals_cif.zip").read_bytes())
    others = ("generated_crystals_cif.zip", "generated_trajectories.zip")
    for _ in range(2):
        with pytest.warns(SkippedWarning):
            found = read_structures(tmp_path)
        assert found.crystals.n_atoms.tolist() == [8, 6]
        assert found.skipped == others
        (tmp_path / "generated_crystals.extxyz").unlink(missing_ok=True)
        others = others[1:]


def test_repairs_and_losses_are_a_property(tmp_path):
    frame = '2\nlattice="5 0 0 0 5 0 0 0 5" properties=species:S:1:pos:R:3:forces:R:3 energy=-7.1 tag=x pbc="T T T"\n'
    (tmp_path / "a.xyz").write_text(frame + "Na 0 0 0 0 0 1\nCl 2.5 2.5 2.5 0 0 -1\n")
    found = read_structures(tmp_path / "a.xyz").properties
    assert found["energy"].tolist() == [-7.1]
    assert found["tag"].tolist() == ["x"]
    assert found["forces"].tolist() == [[[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]]
    assert "read_as" not in found
    (tmp_path / "b.cif").write_text(str(CifWriter(SALT)).replace("_cell_angle_alpha   90.00000000\n", ""))
    assert "90° by the dictionary" in read_structures(tmp_path / "b.cif").properties["read_as"][0]


@pytest.mark.parametrize(
    "start", ["²\n", "99999999999\n", "1" * 5000 + "\n", "1\nProperties=species:S:1:pos:R:999999999\nH 0 0 0\n"]
)
def test_frames_of_impossible_sizes_cost_nothing(tmp_path, start):
    (tmp_path / "a.extxyz").write_text(start)
    assert read_structures(tmp_path / "a.extxyz").failures


def test_frames_that_are_no_crystals(tmp_path):
    path = tmp_path / "frames.extxyz"
    write_structures(from_pymatgen([SALT]), path, ["salt"])
    good = path.read_text()
    molecule = "1\nProperties=species:S:1:pos:R:3\nHe 0 0 0\n"
    unknown = good.replace("Na ", "Qq ")
    path.write_text(good + molecule + unknown + good + "many\nrest\n")
    found = read_structures(path)
    assert found.rows == [0, 3]
    assert "periodic" in found.failures[0].reason
    assert "nothing after it" in found.failures[2].reason
    path.write_text(good + "100000\n\n")
    assert read_structures(path).failures[0].reason.endswith("100,000 atoms")


def test_arrays_that_do_not_fit_are_rows_with_a_reason(make_crystals, tmp_path):
    write_structures(make_crystals(0, 3), tmp_path / "a.parquet")
    table = pd.read_parquet(tmp_path / "a.parquet")
    table.at[1, "frac"] = [[0.0, 0.0]]
    table.to_parquet(tmp_path / "a.parquet")
    found = read_structures(tmp_path / "a.parquet")
    assert found.rows == [0, 2]
    assert "do not fit" in found.failures[0].reason


def _refused(path, **kwargs) -> str:
    with pytest.raises(UserError) as caught:
        read_structures(path)
    assert str(caught.value.where).startswith(str(path))
    return str(caught.value)


def test_unreadable_files_get_one_line(tmp_path):
    assert ".extxyz" in _refused(tmp_path / "a.xlsx")
    assert "nothing there" in _refused(tmp_path / "missing.cif")
    assert "no structure files" in _refused(tmp_path)
    for name in ("e.cif", "e.csv", "e.parquet", "e.zip", "e.db", "e.extxyz"):
        (tmp_path / name).write_bytes(b"")
        assert "empty" in _refused(tmp_path / name)
    for name in ("g.csv.gz", "g.parquet", "g.zip", "g.db"):
        (tmp_path / name).write_bytes(b"garbage that is none of these formats")
        assert "\n" not in _refused(tmp_path / name)
    whole = gzip.compress(b"id,cif\n" + os.urandom(5000).hex().encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in _refused(tmp_path / "cut.csv.gz")
    (tmp_path / "nocif.csv").write_text("id,band_gap\nx,1.0\n")
    assert "'cif'" in _refused(tmp_path / "nocif.csv")
    (tmp_path / "ragged.csv").write_text("id,cif\nx,1\ny,2,3,4\n")
    assert "no table" in _refused(tmp_path / "ragged.csv")
    (tmp_path / "latin.csv").write_bytes("id,cif\né,1\n".encode("latin-1"))
    assert "UTF-8" in _refused(tmp_path / "latin.csv")


def test_bombs_are_not_unfolded(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "FREE_BYTES", 1_000_000)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"0" * 5_000_000))
    assert "more than 1 MB" in _refused(tmp_path / "bomb.csv.gz")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cif", b"0" * 5_000_000)
    assert "MB of content" in _refused(tmp_path / "bomb.zip")


def test_an_archive_with_a_name_that_is_none_has_its_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("abc.cif", "data_")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content[::-1].replace(b"fic.cba", b"fic.cb\0", 1)[::-1])
    assert "damaged" in _refused(tmp_path / "a.zip")


def test_large_members_are_rows_and_names_stay_inside(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MAX_STRUCTURE_BYTES", 2000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.cif", str(CifWriter(RUTILE)))
        archive.writestr("large.cif", b"0" * 5000)
        archive.writestr("__MACOSX/a.cif", b"no")
    found = read_structures(tmp_path / "a.zip")
    assert found.ids == ["evil"]
    assert found.failures[0].id == "large"
    assert "too large" in found.failures[0].reason
    assert not (tmp_path.parent.parent / "evil.cif").exists()


def test_writing_is_whole_or_not_at_all(make_crystals, tmp_path, monkeypatch):
    crystals = make_crystals(0, 2)
    path = tmp_path / "a.cif"
    path.write_text("before")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        write_structures(crystals, path)
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.cif"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written(make_crystals, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="ermission denied"):
        write_structures(make_crystals(0), tmp_path / "a.cif")


def test_writing_refuses_what_it_cannot_do(make_crystals, tmp_path):
    crystals = make_crystals(0, 2)
    with pytest.raises(UserError, match="suffix '.xlsx'"):
        write_structures(crystals, tmp_path / "a.xlsx")
    with pytest.raises(UserError, match="one for each"):
        write_structures(crystals, tmp_path / "a.cif", ["only one"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "keep.txt").write_text("keep")
    with pytest.raises(UserError, match="already there"):
        write_structures(crystals, tmp_path / "full")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError):
        write_structures(crystals, tmp_path / "taken" / "a.cif")


def test_names_of_files_sort_as_the_rows(tmp_path):
    assert file_names(["mp-1", "mp-2", "mp-10"]) == ["mp-1", "mp-2", "mp-10"]
    assert file_names(["b", "a"]) == ["00000_b", "00001_a"]
    assert len(set(file_names(["same", "same", "a/b", "a b"]))) == 4


def test_no_crystals_can_be_written_and_read(tmp_path):
    empty = from_pymatgen([])
    write_structures(empty, tmp_path / "a.parquet")
    assert len(read_structures(tmp_path / "a.parquet").crystals) == 0
    write_structures(empty, tmp_path / "a.csv")
    found = read_structures(tmp_path / "a.csv")
    assert found.n_rows == 0
    assert torch.equal(found.crystals.numbers, empty.numbers)


def test_a_conversion_says_what_it_leaves_out(tmp_path):
    frame = '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:forces:R:3 energy={} pbc="T T {}"\n'
    sites = "Na 0 0 0 0 0 1\nCl 2.5 2.5 2.5 0 0 -1\n"
    (tmp_path / "a.xyz").write_text(frame.format(-7.1, "T") + sites + frame.format(-7.2, "F") + sites)
    done = convert_structures(tmp_path / "a.xyz", tmp_path / "b.csv")
    assert (done.n, done.left_out, done.skipped) == (1, ("forces",), ())
    assert done.failures[0].row == 1
    assert "three directions" in done.failures[0].reason
    assert read_structures(tmp_path / "b.csv").properties["energy"].tolist() == [-7.1]
    for name in ("c.parquet", "d.extxyz.gz", "e.db"):
        assert convert_structures(tmp_path / "a.xyz", tmp_path / name).left_out == ()
        again = read_structures(tmp_path / name).properties
        assert [list(row) for row in again["forces"][0]] == [[0, 0, 1], [0, 0, -1]]
    assert convert_structures(tmp_path / "a.xyz", tmp_path / "f").left_out == ("energy", "forces")
    (tmp_path / "none.xyz").write_text(frame.format(1, "F") + sites)
    with pytest.raises(UserError, match="no crystal; no cell"):
        convert_structures(tmp_path / "none.xyz", tmp_path / "g.csv")
    assert not (tmp_path / "g.csv").exists()
    with pytest.raises(UserError, match="suffix"):
        convert_structures(tmp_path / "a.xyz", tmp_path / "g.db.gz")


def test_properties_of_several_kinds_and_odd_texts_can_be_written(make_crystals, tmp_path):
    (entry,) = [ParsedStructure(*(value.numpy() for value in make_crystals(0, 1).sites(0)))]
    values = [1, "a", [1.0], [[2.0]], True, 10**30, "\ud800", None]
    records = [Record(entry, "\ud800", {} if value is None else {"x": plain(value)}) for value in values]
    found = gather_records(records)
    for name in ("a.parquet", "a.csv", "a.db", "a.extxyz"):
        write_structures(found.crystals, tmp_path / name, found.ids, found.properties)
        assert len(read_structures(tmp_path / name).properties["x"]) == len(values)


def test_the_index_of_a_parquet_table_is_a_column_if_it_has_a_name(make_crystals, tmp_path):
    write_structures(make_crystals(0, 2), tmp_path / "a.parquet", ["x", "y"])
    table = pd.read_parquet(tmp_path / "a.parquet")
    table.set_index("id").to_parquet(tmp_path / "b.parquet")
    assert read_structures(tmp_path / "b.parquet").ids == ["x", "y"]
    table.iloc[::-1].to_parquet(tmp_path / "c.parquet")
    assert list(read_structures(tmp_path / "c.parquet").properties) == []
