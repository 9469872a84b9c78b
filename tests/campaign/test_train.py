"""From a table to a model that samples."""

import json

import pytest
import torch

from nucleate.campaign.train import TrainingTask, train_family
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.errors import RequestWarning, UserError
from nucleate.families.registry import load_generator
from nucleate.io.interop import to_pymatgen

TINY = {"hidden": "8", "layers": "1", "frequencies": "2", "time_features": "4", "distance_basis": "2",
        "epochs": "2", "sampler.steps": "3", "batch": "2,4"}  # fmt: skip


def table(path, rows):
    """Rocksalt-like cells of two sites with a column that Nucleate has never seen."""
    crystals = Crystals.from_lists(
        [[3 + 8 * (i % 2), 9] for i in range(rows)],
        [[[0, 0, 0], [0.5, 0.5, 0.5]]] * rows,
        [torch.eye(3) * (3 + 0.01 * i) for i in range(rows)],
    )
    import pandas as pd

    cifs = [structure.to(fmt="cif") for structure in to_pymatgen(crystals)]
    pd.DataFrame({"cif": cifs, "hardness": [1.5, None, *[2.0] * (rows - 2)]}).to_csv(path, index=False)
    return path


def trained(tmp_path, rows=3, hold_out=(), **options):
    tmp_path.mkdir(exist_ok=True)
    data = load_dataset(table(tmp_path / "data.csv", rows), cache=False)
    overrides = {**TINY, **options.pop("overrides", {})}
    return train_family("diffcsp", TrainingTask(data, tmp_path / "mine", overrides, **options), hold_out)


def test_three_rows_train_save_reload_and_sample(tmp_path):
    seen = []
    folder = trained(tmp_path, progress=lambda *state: seen.append(state))
    assert seen[-1] == ("train", 2 * 1, 2 * 1)
    for name in ("model.safetensors", "config.json", "card.md", "training/losses.csv", "training/losses.png"):
        assert (folder / name).exists(), name
    model = load_generator(str(folder))
    assert model.name == "mine"
    found = model.sample(3, seed=1)
    assert len(found) == 3
    assert set(found.n_atoms.tolist()) == {2}
    assert torch.equal(found.frac, model.sample(3, seed=1).frac)
    config = json.loads((folder / "config.json").read_text())
    assert config["data"]["training crystals"] == 3
    assert config["data"]["sha256"]
    assert config["training"]["batch"] == [2, 4]


def test_enough_rows_are_validated_and_halved_where_quality_holds(tmp_path):
    config = json.loads((trained(tmp_path, 24) / "config.json").read_text())
    assert config["data"]["validation crystals"] == 2
    assert config["measured"]["validation loss, total"] > 0
    assert config["precision"] in ("bfloat16", "float32")


def test_a_training_is_gone_on_with_only_when_asked(tmp_path):
    folder = trained(tmp_path)
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="--resume"):
        trained(tmp_path)
    assert (trained(tmp_path, resume=True) / "model.safetensors").read_bytes() == before
    with pytest.raises(UserError, match="other settings"):
        trained(tmp_path, resume=True, overrides={"hidden": "6"})


def test_a_system_held_out_leaves_nothing_behind(tmp_path):
    folder = trained(tmp_path, 6, hold_out=["Li-F"])
    data = json.loads((folder / "config.json").read_text())["data"]
    assert (data["training crystals"], data["withheld: Li-F and its subsystems"]) == (3, 3)
    made = load_generator(str(folder)).sample(8, seed=2)
    assert not (made.numbers == 3).any()
    with pytest.raises(UserError, match="other settings"):
        trained(tmp_path, 6, resume=True)
    with pytest.raises(UserError, match="--hold-out-system"):
        trained(tmp_path / "all", 6, hold_out=["Li-Na-F"])
    with pytest.raises(UserError, match="Qq"):
        trained(tmp_path / "none", 6, hold_out=["Li-Qq"])


def test_what_the_family_cannot_take_is_left_out(tmp_path):
    with pytest.raises(UserError, match="no crystal to train on"):
        trained(tmp_path, overrides={"max_atoms": "1"})


@pytest.mark.parametrize(("name", "value"), [("depth", "3"), ("epochs", "many"), ("hidden", "-1"), ("preset", "huge")])
def test_wrong_settings_are_named(tmp_path, name, value):
    with pytest.raises(UserError, match=name):
        trained(tmp_path, overrides={name: value})


def test_unknown_families_are_named(tmp_path):
    data = load_dataset(table(tmp_path / "data.csv", 3), cache=False)
    with pytest.raises(UserError, match="diffcsp"):
        train_family("diffusion", TrainingTask(data, tmp_path / "mine", {}))


def test_a_column_of_the_users_becomes_a_condition(tmp_path):
    from nucleate.conditions.request import Conditions

    settings = {"conditions": "hardness,compactness", "preset": "pigen"}
    model = load_generator(str(trained(tmp_path, overrides=settings)))
    assert [condition.name for condition in model.config.conditions] == ["hardness", "compactness"]
    assert model.config.conditions[0].high == 2.0
    assert len(model.sample(2, Conditions.parse(["hardness=1.7"]), seed=1)) == 2
    with pytest.raises(UserError, match="toughness"):
        trained(tmp_path / "other", overrides={"conditions": "toughness", "preset": "pigen"})


def test_conditions_without_labels_are_not_offered(tmp_path):
    model = load_generator(str(trained(tmp_path, overrides={"preset": "pigen"})))
    names = [condition.name for condition in model.config.conditions]
    assert names == ["compactness", "local_environment_diversity", "complexity", "chemical_system"]


def test_labels_that_cannot_be_in_their_unit_are_named(tmp_path):
    path = table(tmp_path / "data.csv", 3)
    path.write_text(path.read_text().replace("hardness", "band_gap").replace("2.0", "2000.0"))
    overrides = {**TINY, "conditions": "band_gap", "preset": "pigen"}
    with pytest.warns(RequestWarning, match=r"band_gap reaches over 1\.5\.\.2000.*other units"):
        train_family("diffcsp", TrainingTask(load_dataset(path, cache=False), tmp_path / "mine", overrides))
