"""Orderings of a file: one bad structure is a row, files can be read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import nucleate
from nucleate.cli.main import run
from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.files import read_structures, write_structures


def iron_and_aluminium() -> Crystals:
    half = torch.tensor([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]], dtype=torch.float64)
    return Crystals.from_lists([[26], [13]], [[[0.0, 0, 0]], [[0.0, 0, 0]]], [2.87 * half, 3.2 * half])


def test_a_folder_for_each_magnetic_structure(tmp_path: Path) -> None:
    table = nucleate.orderings(iron_and_aluminium(), tmp_path / "out")
    assert table["status"].tolist() == ["ok", "invalid_input"]
    assert table["orderings"].tolist()[0] == 3
    assert "no moment of at least 0.1" in table["reason"][1]
    assert len(read_structures(tmp_path / "out" / "0" / "POSCAR").crystals) == 3
    assert (tmp_path / "out" / "orderings.csv").read_text().count("\n") == 3


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_structures(iron_and_aluminium()[:1], tmp_path / "iron.extxyz", ids=["iron"])
    with pytest.raises(SystemExit) as ended:
        run(["orderings", str(tmp_path / "iron.extxyz"), "-o", str(tmp_path / "out"), "--cells", "1", "--json"])
    assert ended.value.code == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["id"] == "iron"
    assert row["orderings"] == 1


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="knows no moments"):
        nucleate.orderings(iron_and_aluminium(), tmp_path / "out", potential="ase:lj")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="something already there"):
        nucleate.orderings(iron_and_aluminium(), tmp_path)


def test_a_collapsed_crystal_is_a_row(tmp_path: Path) -> None:
    iron = iron_and_aluminium()[:1]
    collapsed = Crystals(iron.numbers, iron.frac, iron.lattice * 0.1, iron.n_atoms)
    table = nucleate.orderings(Crystals.concatenate([collapsed, iron]), tmp_path / "out")
    assert table["status"].tolist() == ["error", "ok"]
    assert table["reason"][0]
