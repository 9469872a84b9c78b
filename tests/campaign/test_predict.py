"""From a table to a predictor that answers rows of a file."""

import json

import pandas as pd
import pytest
import torch

import nucleate
from nucleate.campaign.predict import load_predictor, train_predictor
from nucleate.campaign.train import TrainingTask
from nucleate.cli.main import run
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.errors import UserError
from nucleate.io.interop import to_pymatgen

TINY = {"hidden": "8", "edge": "8", "blocks": "1", "cutoff": "3.5", "neighbours": "8", "epochs": "2", "batch": "2,8"}


def table(path, rows):
    crystals = Crystals.from_lists(
        [[3 + 8 * (i % 2), 9] for i in range(rows)],
        [[[0, 0, 0], [0.5, 0.5, 0.5]]] * rows,
        [torch.eye(3) * (3 + 0.01 * i) for i in range(rows)],
    )
    cifs = [structure.to(fmt="cif") for structure in to_pymatgen(crystals)]
    values = [None if i == 1 else 10.0 + i for i in range(rows)]
    pd.DataFrame({"id": [f"m-{i}" for i in range(rows)], "cif": cifs, "hardness": values}).to_csv(path, index=False)
    return path


def trained(tmp_path, rows=3, log10=False, resume=False):
    data = load_dataset(table(tmp_path / "data.csv", rows), cache=False)
    return train_predictor(["hardness"], TrainingTask(data, tmp_path / "mine", TINY, resume=resume), log10)


def test_a_table_trains_a_predictor_that_answers_after_reloading(tmp_path):
    folder = trained(tmp_path, rows=24, log10=True)
    config = json.loads((folder / "config.json").read_text())
    assert config["family"] == "gemnet_property"
    assert config["config"]["targets"][0]["low"] == 10.0
    assert any("held-out" in name for name in config["measured"])
    model = load_predictor(str(folder))
    again = load_predictor(str(folder))
    crystals = load_dataset(tmp_path / "data.csv", cache=False).crystals
    first = model.predict(crystals, "hardness")
    assert first.isfinite().all()
    assert (first > 0).all()
    assert torch.equal(first, again.predict(crystals, "hardness"))
    with pytest.raises(UserError, match="--resume"):
        trained(tmp_path, rows=24)
    trained(tmp_path, rows=24, log10=True, resume=True)


def test_rows_that_are_no_crystals_keep_their_place_and_say_why(tmp_path):
    folder = trained(tmp_path)
    rows = pd.read_csv(tmp_path / "data.csv")
    rows.loc[1, "cif"] = "not a crystal"
    rows.to_csv(tmp_path / "some.csv", index=False)
    found = nucleate.predict(str(folder), tmp_path / "some.csv")
    assert list(found["id"]) == ["m-0", "m-1", "m-2"]
    assert found["status"].tolist() == ["ok", "invalid_input", "ok"]
    assert found.loc[1, "reason"]
    assert found["hardness"].isna().tolist() == [False, True, False]


def test_the_command_line_trains_and_predicts(tmp_path, capsys):
    data, out = table(tmp_path / "data.csv", 3), tmp_path / "cli"
    settings = [text for name, value in TINY.items() for text in ("--set", f"{name}={value}")]
    with pytest.raises(SystemExit) as done:
        run(["train", "predictor", str(data), "--property", "hardness", "-o", str(out), *settings])
    assert done.value.code == 0
    with pytest.raises(SystemExit) as done:
        run(["predict", str(out), str(data), "-o", str(tmp_path / "p.csv"), "--json"])
    assert done.value.code == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert list(pd.read_csv(tmp_path / "p.csv").columns) == ["id", "status", "reason", "hardness"]


def test_a_conventional_cell_is_answered_for_as_its_primitive_one():
    corners = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    edges = [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]]
    cube = Crystals.from_lists([[12] * 4 + [8] * 4], [corners + edges], 4.22 * torch.eye(3)[None])
    (small,) = to_pymatgen(cube)
    large = small.make_supercell(2, in_place=False)
    assert len(large) > load_predictor("bulk-modulus-mp").config.max_atoms
    found = nucleate.predict("bulk-modulus-mp", [small, large])
    assert found["status"].tolist() == ["ok", "ok"]
    assert found["bulk_modulus"][1] == pytest.approx(found["bulk_modulus"][0], rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", "predictor", "DATA", "-o", "OUT"], "--property"),
        (["train", "predictor", "DATA", "-o", "OUT", "--property", "softness"], "softness"),
        (["train", "predictor", "DATA", "-o", "OUT", "--property", "hardness", "--set", "layers=3"], "layers"),
        (["train", "pigen", "DATA", "-o", "OUT", "--property", "hardness"], "predictor"),
        (["predict", "pigen-mp", "DATA"], "a predictor"),
        (["predict", "nothing", "DATA"], "nothing"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, arguments, line):
    data = table(tmp_path / "data.csv", 3)
    with pytest.raises(SystemExit) as done:
        run([{"DATA": str(data), "OUT": str(tmp_path / "o")}.get(a, a) for a in arguments])
    assert done.value.code == 2
    found = capsys.readouterr().err.strip()
    assert line in found
    assert "\n" not in found
