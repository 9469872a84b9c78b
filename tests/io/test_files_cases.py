"""Files that people brought, read right or refused with the right reason; they lie beside a checkout, if at all."""

import json
from pathlib import Path

import numpy as np
import pytest

from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.data.dataset import load_dataset
from nucleate.data.inspect import rendered, summarise
from nucleate.errors import UserError
from nucleate.io.bounds import as_text
from nucleate.io.cif_blocks import split_blocks
from nucleate.io.cif_reader import parse_cifs
from nucleate.io.files import read_structures
from nucleate.io.poscar import parse_poscar
from nucleate.io.validation import validate

CASES = Path(__file__).parents[3] / "shared" / "cases"
REFUSED_TOO = {  # the answer allows a refusal with this reason
    "c05_p1op_but_fm3m.cif": "P 1 gives Na1 Cl1",
    "c34_formula_h_missing.cif": "Mg1 O2 H2",
    "c55_no_data.cif": "no line data_",
}
FORMULAS = {"c69_mult_mismatch.cif": "Al4 Cu4", "c54_two_same_names.cif": "Na1 Cl1", "c10_fd3m_formula.cif": "Si8"}
HOSTILE = ["ops_*", "ours_*", "silent_*", "slow_*", "hang_*"]

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder ../shared/cases beside the checkout")


def _names(*patterns):
    return [path.name for pattern in patterns for path in sorted(CASES.glob(pattern)) if path.suffix != ".expected"]


def _entries(path):
    return parse_cifs([block for _, block in split_blocks(as_text(path.read_bytes()))])


def _counts(formula):
    return {word.rstrip("0123456789"): int(word.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") or 1)
            for word in formula.split("(")[0].split(",")[0].split(" or ")[0].split()}  # fmt: skip


@pytest.mark.parametrize("name", _names("c[0-9]*.*cif", "t[0-9]*.cif"))
def test_a_cif_is_read_right_or_refused(name):
    path = CASES / name
    said = (CASES / f"{name}.expected").read_text(encoding="utf-8").split("  # ")[0].strip()
    expected = json.loads(said) if said.startswith("{") else {"refuse": said}
    found = _entries(path)
    validated = validate(found)
    if "refuse" in expected or name in REFUSED_TOO:
        assert len(found) == len(validated.reasons) == 1
        assert REFUSED_TOO.get(name, "") in validated.reasons[0]
        return
    assert not validated.reasons
    assert len(found) == expected.get("n", 1)
    assert isinstance(found[0], ParsedStructure)
    symbols = [SYMBOLS[z] for z in found[0].numbers]
    wanted = _counts(FORMULAS.get(name, expected.get("formula", "")))
    assert {symbol: symbols.count(symbol) for symbol in symbols} == wanted
    if "sg" in expected:
        assert _group(found[0]) == expected["sg"]
    if "V" in expected:
        assert abs(np.linalg.det(found[0].lattice)) == pytest.approx(expected["V"], rel=1e-3)


@pytest.mark.parametrize("name", _names("p[0-9]*.vasp"))
def test_a_poscar_is_read_right_or_refused(name):
    said = json.loads((CASES / f"{name}.expected").read_text(encoding="utf-8").split("  # ")[0])
    entry = parse_poscar(as_text((CASES / name).read_bytes()))
    validated = validate([entry])
    if "refuse" in said:
        assert validated.reasons
        return
    assert not validated.reasons
    symbols = [SYMBOLS[z] for z in entry.numbers]
    assert {symbol: symbols.count(symbol) for symbol in symbols} == _counts(said["formula"])
    if "V" in said:
        assert abs(np.linalg.det(entry.lattice)) == pytest.approx(said["V"])
    if "frac" in said:
        assert entry.frac[-1] == pytest.approx([float(value) for value in said["frac"].split()])


@pytest.mark.parametrize("name", _names("x[0-9]*.extxyz*"))
def test_frames_are_read_right_or_refused(name):
    said = json.loads((CASES / f"{name}.expected").read_text(encoding="utf-8").split("  # ")[0])
    found = read_structures(CASES / name)
    if "refuse" in said:
        assert not found.ids
        assert found.failures
        return
    assert len(found.ids) == said.get("n", 1)
    assert not found.failures


@pytest.mark.parametrize("name", [*_names("f*", "z*")])
def test_folders_and_archives_take_every_structure(name):
    found = read_structures(CASES / name)
    said = json.loads((CASES / f"{name}.expected").read_text(encoding="utf-8").split("  # ")[0])
    assert found.ids
    assert not found.failures
    if isinstance(said["n"], int):
        assert len(found.ids) == said["n"]


@pytest.mark.parametrize("name", ["POSCAR_star", "xyz_hugewidth.extxyz", "xyz_superscript.extxyz"])
def test_hostile_texts_cost_nothing(name):
    found = read_structures(CASES / "abuse" / name)
    assert not found.ids
    assert found.failures


@pytest.mark.parametrize("name", ["pq_dupcols.parquet", "zip_badoffset.zip", "db_infinite.db", "../i02_eval_gen.pt"])
def test_damaged_containers_have_their_line(name):
    with pytest.raises(UserError):
        read_structures(CASES / "abuse" / name)


def test_trajectories_of_vasp_are_read():
    found = read_structures(CASES / "XDATCAR")
    assert found.crystals.volume.tolist() == pytest.approx([64.0])


@pytest.mark.parametrize(
    ("name", "ids", "refused"),
    [
        ("v02_bom.csv", ["mp-1"], []),
        ("v04_CIF_upper.csv", ["mp-1"], []),
        ("v09_escaped_newlines.csv", ["a", "c"], ["no text"]),
        ("v12_empty_column.csv", ["a", "b"], []),
        ("v14_inf.csv", ["a", "b"], []),
        ("v15_units.csv", ["a", "b"], []),
        ("v17_no_rows.csv", [], []),
    ],
)
def test_tables_give_crystals_and_reasons(name, ids, refused):
    found = read_structures(CASES / name)
    assert found.ids == ids
    assert [failure.reason for failure in found.failures] == refused


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("v05_structure_json.csv", "a column 'cif'"),
        ("v07_latin1.csv", "UTF-8"),
        ("v10.csv.zip", r"v10\.csv; expected .* tables by their own names"),
        ("r05_jarvis.csv", "formation_energy_peratom"),
        ("r13_gnome.csv", "Formation Energy Per Atom"),
        ("i01_mattergen_folder", r"checkpoints/last\.ckpt"),
    ],
)
def test_tables_and_folders_without_structures_name_what_they_have(name, reason):
    with pytest.raises(UserError, match=reason):
        read_structures(CASES / name)


@pytest.mark.parametrize("name", ["v12_empty_column.csv", "v14_inf.csv", "v15_units.csv", "n01_train.csv"])
def test_data_sets_can_be_inspected(name, recwarn):
    summary = summarise(load_dataset(CASES / name, cache=False))
    rendered(summary)
    assert not recwarn
    if name.startswith("v12"):
        assert [column["kind"] for column in summary["columns"]] == ["empty", "empty"]


@pytest.mark.parametrize("name", _names("s*.extxyz", "m*.extxyz"))
def test_structures_that_are_hard_to_judge_are_read(name):
    found = read_structures(CASES / name)
    assert found.ids
    assert not found.failures


def test_any_name_of_a_column_is_a_column():
    assert "self" in read_structures(CASES / "abuse" / "csv_self.csv").properties


def _group(structure):
    import moyopy

    cell = moyopy.Cell(structure.lattice.tolist(), structure.frac.tolist(), structure.numbers.tolist())
    return moyopy.MoyoDataset(cell, symprec=0.01).number


@pytest.mark.parametrize(
    "name", [name for name in _names(*(f"abuse/{one}" for one in HOSTILE)) if name.endswith(".cif")]
)
def test_a_damaged_cif_is_refused(name):
    (found,) = _entries(CASES / "abuse" / name)
    assert isinstance(found, str)
