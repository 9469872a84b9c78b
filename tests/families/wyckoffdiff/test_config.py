"""Configurations of the family, and models as folders."""

import json

import pytest
import torch

from nucleate.campaign.train import TrainingTask, train_family
from nucleate.data.dataset import Dataset
from nucleate.errors import UserError
from nucleate.families.base import sampler_from
from nucleate.families.registry import load_generator
from nucleate.families.wyckoffdiff import SPEC
from nucleate.families.wyckoffdiff.config import PAPER_SAMPLER

from .conftest import TINY


def test_presets():
    assert set(SPEC.presets) == {"wyckoffdiff", "wyckoffdiff-paper"}
    paper = SPEC.configured({"preset": "wyckoffdiff-paper"})
    assert (paper.hidden, paper.layers, paper.side, paper.max_count, paper.sampler.steps) == (256, 3, 16, 54, 1000)
    assert SPEC.configured({}).prior == "empty"


def test_the_small_model_is_small():
    assert 2 * sum(value.numel() for value in SPEC.build({}).state_dict().values()) < 8e6


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"preset": "none"}, "one of wyckoffdiff"),
        ({"colour": 1}, "one of preset"),
        ({"sampler.colour": 1}, "one of preset"),
        ({"hidden": 20}, "a divisor of hidden=20"),
        ({"prior": "gaussian"}, "prior"),
        ({"schedule": "steep"}, "schedule"),
        ({"max_atoms": 0}, "max_atoms"),
    ],
)
def test_settings_that_do_not_fit(settings, words):
    with pytest.raises(UserError, match=words):
        SPEC.configured(settings)


def test_samplers():
    default = SPEC.configured({}).sampler
    assert sampler_from("default", default, PAPER_SAMPLER) == default
    assert sampler_from("paper", default, PAPER_SAMPLER) == PAPER_SAMPLER
    assert sampler_from("steps=7, temperature=0.5", default, PAPER_SAMPLER).steps == 7
    for text in ("steps", "colour=1", "steps=0"):
        with pytest.raises(UserError, match="--sampler"):
            sampler_from(text, default, PAPER_SAMPLER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    import pandas as pd

    dataset = Dataset(data.crystals, pd.DataFrame({"e_above_hull": data.labels.values["energy_above_hull"].numpy()}))
    settings = {name: json.dumps(value) for name, value in TINY.items()}
    out = tmp_path_factory.mktemp("models") / "mine"
    return train_family("wyckoffdiff", TrainingTask(dataset, out, {**settings, "epochs": "2"}))


def test_trained_models_are_read_back(folder):
    model = load_generator(str(folder), sampler="steps=4")
    assert (model.name, model.config.sampler.steps) == ("mine", 4)
    names = [condition.name for condition in model.config.conditions]
    assert names == ["n_atoms", "chemical_system", "energy_above_hull", "formation_energy"][: len(names)]
    first, second = model.sample(3, seed=1), SPEC.load(folder, "steps=4").sample(3, seed=1)
    assert torch.equal(first.frac, second.frac)
    assert torch.equal(first.numbers, second.numbers)


def test_a_configuration_of_another_model(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    for change in ({"config": {"hidden": -1}}, {"family": "pigen"}):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UserError, match="config.json"):
            SPEC.load(tmp_path)
