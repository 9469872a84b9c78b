"""From a data set to a model folder that generates, and bad input on the way."""

import json

import pandas as pd
import pytest
import torch

from nucleate.campaign.train import TrainingTask, train_family
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import Dataset
from nucleate.errors import UserError
from nucleate.families.registry import load_generator

TINY = {"widths": "8,12", "max_atoms": "8", "epochs": "2", "sampler.steps": "4", "batch": "16,16"}


def train(family, data, overrides, out, **how):
    return train_family(family, TrainingTask(data, out, overrides, **how))


def dataset(salts, rows, labels):
    crystals = salts(rows).crystals
    hardness = [float(i % 7) if i < labels else None for i in range(rows)]
    return Dataset(crystals, pd.DataFrame({"hardness": hardness}), "mine.csv", "digest")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, salts_of):
    out = tmp_path_factory.mktemp("trained") / "mine"
    return train("diffcrysgen", dataset(salts_of, 120, 110), {**TINY, "conditions": '["hardness"]'}, out)


def test_trained_model_loads_and_generates(folder):
    model = load_generator(str(folder))
    assert [c.name for c in model.config.conditions] == ["hardness"]
    assert (model.config.conditions[0].low, model.config.conditions[0].high) == (0, 6)
    found = model.sample(3, Conditions.parse(["hardness=2"]), seed=1)
    assert torch.equal(found.numbers, model.sample(3, Conditions.parse(["hardness=2"]), seed=1).numbers)
    assert model.scaling.low.dtype == torch.float64
    rows = model.ircr.blocks["L"]
    lengths = model.scaling.inverse(model.scaling(torch.full((1, model.ircr.length, 3), 4.321).double()))[0, rows]
    assert torch.allclose(lengths[0], torch.full((3,), 4.321).double())


def test_card_counts_what_the_matrix_cannot_hold(tmp_path, salts_of):
    salts = salts_of(30).crystals
    large = Crystals.from_lists([[3, 8, 9, 11]], [[[0.2 * i] * 3 for i in range(4)]], [4 * torch.eye(3)])
    data = Dataset(Crystals.concatenate([salts, large]), pd.DataFrame({"hardness": [None] * 31}), "mine.csv", "digest")
    out = train("diffcrysgen", data, TINY, tmp_path / "counted")
    known = json.loads((out / "config.json").read_text())["data"]
    assert known["training crystals"] + known["validation crystals"] == 30
    assert next(count for name, count in known.items() if name.startswith("left out")) == 1


def test_sampler_and_guidance_are_read(folder):
    model = load_generator(str(folder), sampler="steps=3,draws=1", guidance=["hardness=1.5"])
    assert (model.config.sampler.steps, model.config.sampler.draws) == (3, 1)
    assert model.strengths == {"hardness": 1.5}
    with pytest.raises(UserError, match="speed"):
        load_generator(str(folder), sampler="speed=2")


def test_a_training_goes_on(folder, salts_of):
    data, settings = dataset(salts_of, 120, 110), {**TINY, "conditions": '["hardness"]'}
    with pytest.raises(UserError, match="--resume"):
        train("diffcrysgen", data, settings, folder)
    before = (folder / "model.safetensors").read_bytes()
    train("diffcrysgen", data, settings, folder, resume=True)
    assert (folder / "model.safetensors").read_bytes() == before


def test_few_labels_are_no_condition(tmp_path, salts_of):
    data = dataset(salts_of, 30, 30)
    with pytest.raises(UserError, match="hardness: found 30 labels; expected at least 100"):
        train("diffcrysgen", data, {**TINY, "conditions": '["hardness"]'}, tmp_path / "few")
    model = load_generator(str(train("diffcrysgen", data, TINY, tmp_path / "none")))
    assert model.config.conditions == ()


def test_data_that_the_matrix_cannot_hold(tmp_path, salts_of):
    with pytest.raises(UserError, match="none of which the matrix holds"):
        train("diffcrysgen", dataset(salts_of, 30, 0), {**TINY, "max_elements": "1"}, tmp_path / "out")
