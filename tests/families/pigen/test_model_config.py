"""Building from settings, and loading from a model's folder."""

import json

import pytest
import torch

from nucleate.errors import UserError
from nucleate.families.pigen import SPEC
from nucleate.families.pigen.model import PAPER_SAMPLER
from nucleate.families.registry import load_generator
from nucleate.training.export import ModelFacts, halved, write_model


@pytest.fixture
def folder(default_model, tmp_path):
    facts = ModelFacts("pigen", "tiny", "a test", default_model.config.model_dump(mode="json"))
    write_model(tmp_path / "tiny", default_model.state_dict(), facts)
    return tmp_path / "tiny"


def test_a_loaded_model_gives_the_same_crystals(folder, default_model):
    for loaded in (SPEC.load(folder), load_generator(str(folder))):
        assert loaded.name == "tiny"
        a, b = loaded.sample(4, seed=1), default_model.sample(4, seed=1)
        assert torch.equal(a.frac, b.frac)
        assert torch.equal(a.lattice, b.lattice)


def test_half_precision_weights_load_into_single(default_model, tmp_path):
    facts = ModelFacts("pigen", "tiny", "a test", default_model.config.model_dump(mode="json"))
    write_model(tmp_path, halved(default_model.state_dict()), facts)
    loaded = SPEC.load(tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for name, value in default_model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=2**-8, atol=0)
    assert torch.equal(loaded.size_weights, default_model.size_weights)
    assert len(loaded.sample(2)) == 2


@pytest.mark.parametrize("damage", ["truncated", "pointer", "flipped", "missing"])
def test_damaged_weights_are_named(folder, damage):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "pointer":
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    elif damage == "flipped":
        data[-1] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()
    with pytest.raises(UserError, match="model.safetensors"):
        load_generator(str(folder))
    if damage != "flipped":  # the family alone knows no hash
        with pytest.raises(UserError, match="model.safetensors"):
            SPEC.load(folder)


def test_a_configuration_of_another_network_is_named(folder):
    config = json.loads((folder / "config.json").read_text())
    for change, word in (({"hidden": 8}, "other weights"), ({"depth": 3}, "depth")):
        text = json.dumps({**config, "config": {**config["config"], **change}})
        (folder / "config.json").write_text(text)
        with pytest.raises(UserError, match=word):
            SPEC.load(folder)


def test_settings_reach_the_configuration():
    config = SPEC.build({"hidden": 8, "layers": 1, "sampler.steps": 7}).config
    assert (config.hidden, config.layers, config.sampler.steps) == (8, 1, 7)


@pytest.mark.parametrize("settings", [{"width": 3}, {"hidden": 0}, {"sampler.speed": 1}, {"preset": "large"},
                                      {"hidden": "many"}, {"hidden.x": 1}])  # fmt: skip
def test_wrong_settings_are_named(settings):
    with pytest.raises(UserError, match=next(iter(settings)).partition(".")[0]):
        SPEC.build(settings)


def test_a_sampler_is_named_or_changed(folder):
    assert SPEC.load(folder, "paper").config.sampler == PAPER_SAMPLER
    changed = SPEC.load(folder, "steps=3, temperature=0.7,symmetry=free").config.sampler
    assert (changed.steps, changed.temperature, changed.symmetry) == (3, 0.7, "free")
    assert changed.draws == SPEC.load(folder).config.sampler.draws


@pytest.mark.parametrize("text", ["slow", "steps", "steps=0", "steps=many", "speed=3", "steps=3,"])
def test_a_sampler_that_is_none_is_named(folder, text):
    with pytest.raises(UserError, match="sampler"):
        SPEC.load(folder, text)


def test_searchers_have_no_sampler():
    with pytest.raises(UserError, match="random"):
        load_generator("random", sampler="paper")
