"""``nucleate finetune`` from the command line: one command, and one clear line where it cannot be."""

import json

import pandas as pd
import pytest
import torch

from nucleate.campaign.train import TrainingTask, train_family
from nucleate.cli.main import run
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.io.interop import to_pymatgen

TINY = {"hidden": "8", "layers": "1", "frequencies": "2", "time_features": "4", "distance_basis": "2",
        "epochs": "1", "sampler.steps": "2", "sampler.draws": "1", "batch": "2,4"}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    crystals = Crystals.from_lists(
        [[3, 9]] * 3, [[[0, 0, 0], [0.5, 0.5, 0.5]]] * 3, [torch.eye(3) * (3 + 0.1 * i) for i in range(3)]
    )
    cifs = [structure.to(fmt="cif") for structure in to_pymatgen(crystals)]
    pd.DataFrame({"cif": cifs, "my column": [1.0, 2.0, 3.0], "text": ["a", "b", "c"]}).to_csv("my.csv", index=False)
    train_family("diffcsp", TrainingTask(load_dataset("my.csv", cache=False), tmp_path / "base", TINY))
    return tmp_path


def call(*arguments):
    with pytest.raises(SystemExit) as end:
        run([str(argument) for argument in arguments])
    return end.value.code


def test_one_command_makes_a_model_that_can_be_asked(folder, capsys):
    tuning = ["finetune", "base", "--data", "my.csv", "--property", "my column", "-o", "tuned", "--set", "epochs=2"]
    assert call(*tuning, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"model": "tuned"}
    assert call("generate", "tuned", "-n", 2, "--where", "my column=2", "-o", "made.extxyz") == 0
    assert (folder / "made.extxyz").exists()
    assert call(*tuning) == 2  # there is a training already
    assert "--resume" in capsys.readouterr().err
    assert call(*tuning, "--resume") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--property", "hardness"], ["no column", "hardness"]),
        (["--property", "text"], ["row 1", "text"]),
        (["--property", "my column", "--set", "speed=2"], ["speed"]),
        (["--property", "my column", "--set", "epochs"], ["NAME=VALUE"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(folder, capsys, change, words):
    assert call("finetune", "base", "--data", "my.csv", "-o", "tuned", *change) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(word in error for word in words)
    assert not (folder / "tuned" / "config.json").exists()
