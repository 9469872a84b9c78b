"""``nucleate data potentials``: a table from a data set."""

import json

import numpy as np
import pytest

from nucleate.cli.main import run
from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.proxy_potentials import PotentialTable
from nucleate.descriptors.spp import proxy_potential
from nucleate.io.files import write_structures


@pytest.fixture
def structures(tmp_path):
    rng = np.random.default_rng(0)
    cells = [5.6 * (1 + rng.normal(0, 0.01)) / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) for _ in range(24)]
    crystals = Crystals.from_lists([[11, 17]] * 24, [[[0, 0, 0], [0.5, 0.5, 0.5]]] * 24, [c.tolist() for c in cells])
    write_structures(crystals, tmp_path / "rock_salts.extxyz")
    return crystals


def test_potentials_of_a_data_set(structures, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["data", "potentials", "rock_salts.extxyz", "-o", "t.safetensors", "--origin", "made up", "--json"]
    with pytest.raises(SystemExit) as end:
        run(arguments)
    assert end.value.code in (0, None)
    printed = json.loads(capsys.readouterr().out)
    assert printed["pairs"] == 3
    assert printed["crystals"] == 24
    assert printed["origin"] == "made up"
    table = PotentialTable.load(tmp_path / "t.safetensors")
    assert table.thresholds == printed["thresholds"]
    for images, threshold in table.thresholds.items():
        share = (proxy_potential(structures, table, images).score <= threshold).double().mean()
        assert share >= 0.9


def test_too_few_crystals_are_a_mistake(structures, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_structures(structures[:5], tmp_path / "few.extxyz")
    with pytest.raises(SystemExit) as end:
        run(["data", "potentials", "few.extxyz", "-o", "t.safetensors"])
    assert end.value.code == 2
    assert "5 crystals" in capsys.readouterr().err
    assert not (tmp_path / "t.safetensors").exists()
