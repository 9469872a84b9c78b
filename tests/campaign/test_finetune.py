"""From a model and a table of labels to a model that can be asked for them."""

import json
import warnings

import pandas as pd
import pytest
import torch

from nucleate.campaign.finetune import finetune as finetuned
from nucleate.campaign.train import TrainingTask, train_family
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.errors import RequestWarning, UserError
from nucleate.families.registry import load_generator
from nucleate.io.interop import to_pymatgen

PIGEN = {"hidden": "8", "layers": "1", "frequencies": "2", "time_features": "4", "distance_basis": "2"}
GEMNET = {
    f"gemnet.{name}": str(value)
    for name, value in {"hidden": 8, "edge": 8, "triplet": 4, "bilinear": 4, "radial": 4, "circular": 4, "blocks": 2,
                        "n_radial": 6, "neighbours": 12, "cutoff": 4.0, "time_features": 4, "degrees": 3}.items()
}  # fmt: skip
UNET = {"widths": "8,12", "max_atoms": "8", "conditions": "[]"}
SHAPES = {"diffcsp": PIGEN, "mattergen": GEMNET, "diffcrysgen": UNET}
SHORT = {"epochs": "3", "batch": "2,4"}


def table(path, rows=3, columns=None, elements=(3, 11)):
    """Cells of two sites, caesium chloride's; the lattice grows from row to row."""
    crystals = Crystals.from_lists(
        [[elements[i % 2], 9] for i in range(rows)],
        [[[0, 0, 0], [0.5, 0.5, 0.5]]] * rows,
        [torch.eye(3) * (3 + 0.01 * i) for i in range(rows)],
    )
    cifs = [structure.to(fmt="cif") for structure in to_pymatgen(crystals)]
    pd.DataFrame({"cif": cifs, **(columns or {"hardness": [1.5, None, *[2.0 + i for i in range(rows - 2)]]})}).to_csv(
        path, index=False
    )
    return load_dataset(path, cache=False)


@pytest.fixture(scope="module", params=list(SHAPES))
def base(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    settings = {**SHAPES[request.param], **SHORT, "epochs": "1", "sampler.steps": "3", "sampler.draws": "1"}
    return train_family(request.param, TrainingTask(table(folder / "base.csv"), folder / "base", settings))


def finetune(model, data, names, overrides, out, freeze=True, **how):
    return finetuned(model, names, TrainingTask(data, out, overrides, **how), freeze)


def tuned(base, tmp_path, data=None, names=("hardness",), **options):
    data = data or table(tmp_path / "data.csv")
    overrides = {**SHORT, **options.pop("overrides", {})}
    return finetune(str(base), data, names, overrides, tmp_path / "mine", **options)


def same(a, b):
    return all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("numbers", "frac", "lattice", "n_atoms"))


def test_three_rows_tune_save_reload_and_sample(base, tmp_path):
    folder = tuned(base, tmp_path)
    model, old = load_generator(str(folder)), load_generator(str(base))
    assert same(model.sample(3, seed=1), old.sample(3, seed=1))  # frozen: unasked, it is the old one
    asked = model.sample(3, Conditions.parse(["hardness=2"]), seed=1)
    assert len(asked) == 3
    assert not same(asked, model.sample(3, Conditions.parse(["hardness=2"]), seed=1, guidance=0.0))
    config = json.loads((folder / "config.json").read_text())
    assert config["config"]["adapters"][0]["name"] == "hardness"
    assert config["config"]["adapters"][0]["high"] == 2.0
    assert config["data"]["base model"] == "base"
    assert config["data"]["training crystals"] == 2
    card = (folder / "card.md").read_text()
    for word in ("hardness", "data.csv", "base", "2, from 1.5 to 2"):
        assert word in card


def test_everything_can_be_trained(base, tmp_path):
    folder = tuned(base, tmp_path, freeze=False)
    model, old = load_generator(str(folder)), load_generator(str(base))
    moved = [
        name
        for name, value in old.network.state_dict().items()
        if value.is_floating_point() and not torch.equal(value, model.network.state_dict()[name])
    ]
    assert moved


def test_frozen_weights_stay_and_adapters_move(base, tmp_path):
    model, old = load_generator(str(tuned(base, tmp_path))), load_generator(str(base))
    for name, value in old.state_dict().items():
        if name.startswith(("network.", "embed.", "cells.")):
            torch.testing.assert_close(model.state_dict()[name], value, rtol=2**-7, atol=0)
    assert any(bool(value.any()) for name, value in model.adapters.state_dict().items() if "mix_in" in name)


def test_several_properties_at_once_and_one_after_another(base, tmp_path):
    data = table(tmp_path / "two.csv", 4, {"a.b": [1.0, 2.0, None, None], "keys": [None, 1.0, 2.0, 3.0]})
    folder = tuned(base, tmp_path, data, ("a.b", "keys"))
    again = finetune(str(folder), table(tmp_path / "three.csv"), ("hardness",), SHORT, tmp_path / "third")
    model = load_generator(str(again))
    assert [condition.name for condition in model.config.adapters] == ["a.b", "keys", "hardness"]
    found = model.sample(2, Conditions.parse(["keys=2", "hardness=1.5", "a.b=1"]), guidance={"keys": 3.0})
    assert len(found) == 2
    assert model.known.labels.shape[1] == 3


def test_a_killed_tuning_goes_on(base, tmp_path):
    whole = tuned(base, tmp_path / "whole", data=table(tmp_path / "data.csv"))

    def stop(_, done, __):
        if done == 2:
            raise KeyboardInterrupt

    data = table(tmp_path / "data.csv")
    again = {**SHORT, "checkpoint_seconds": "0.000001"}
    with pytest.raises(KeyboardInterrupt):
        finetune(str(base), data, ("hardness",), again, tmp_path / "cut", progress=stop)
    with pytest.raises(UserError, match="--resume"):
        finetune(str(base), data, ("hardness",), again, tmp_path / "cut")
    steps = []
    folder = finetune(
        str(base), data, ("hardness",), again, tmp_path / "cut", resume=True, progress=lambda _, k, n: steps.append(k)
    )
    assert steps[0] > 1
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_what_cannot_be_tuned_is_said(base, tmp_path):
    cases = [
        (str(base), table(tmp_path / "a.csv"), ("softness",), "softness"),
        (str(base), table(tmp_path / "b.csv", 3, {"hardness": [None] * 3}), ("hardness",), "no label"),
        (str(base), table(tmp_path / "c.csv", 3, {"hardness": ["x", 1, 2]}), ("hardness",), "row 1"),
        (str(base), table(tmp_path / "d.csv", elements=(19, 37)), ("hardness",), "elements"),
        ("random", table(tmp_path / "e.csv"), ("hardness",), "adapters"),
        (str(base), table(tmp_path / "f.csv"), ("hardness", "hardness"), "once"),
    ]
    for model, data, names, word in cases:
        with pytest.raises(UserError, match=word):
            finetune(model, data, names, SHORT, tmp_path / "none")
    with pytest.raises(UserError, match="speed"):
        finetune(str(base), table(tmp_path / "g.csv"), ("hardness",), {"speed": "3"}, tmp_path / "none")


def test_a_property_that_the_model_knows_is_refused(base, tmp_path):
    folder = tuned(base, tmp_path)
    with pytest.raises(UserError, match="hardness"):
        finetune(str(folder), table(tmp_path / "data.csv"), ("hardness",), SHORT, tmp_path / "again")


def test_labels_in_other_units_are_warned_of_with_their_range(base, tmp_path):
    data = table(tmp_path / "units.csv", 3, {"band_gap": [1200.0, 3400.0, 0.0]})
    with pytest.warns(RequestWarning, match=r"0\.\.3400.*eV"):
        tuned(base, tmp_path, data, ("band_gap",))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RequestWarning)
        good = table(tmp_path / "good.csv", 3, {"band_gap": [1.2, 3.4, 0.0]})
        finetune(str(base), good, ("band_gap",), SHORT, tmp_path / "good")


def test_categories_and_elements_can_be_tuned_for(base, tmp_path):
    folder = tuned(base, tmp_path, names=("space_group", "chemical_system"))
    model = load_generator(str(folder))
    found = model.sample(3, Conditions.parse(["chemical_system=Li-F", "space_group=221"]))
    assert all(set(found.sites(i)[0].tolist()) == {3, 9} for i in range(3))
