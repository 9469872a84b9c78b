"""Building from settings, and loading from a model's folder."""

import pytest
import torch

from nucleate.errors import UserError
from nucleate.families.mattergen import SPEC
from nucleate.families.mattergen.model import PAPER_SAMPLER
from nucleate.families.registry import load_generator
from nucleate.training.export import ModelFacts, write_model


def test_a_loaded_model_gives_the_same_crystals(default_model, tmp_path):
    facts = ModelFacts("mattergen", "tiny", "a test", default_model.config.model_dump(mode="json"))
    write_model(tmp_path, default_model.state_dict(), facts)
    for loaded in (SPEC.load(tmp_path), load_generator(str(tmp_path))):
        a, b = loaded.sample(3, seed=1), default_model.sample(3, seed=1)
        assert torch.equal(a.frac, b.frac)
        assert torch.equal(a.lattice, b.lattice)
    assert SPEC.load(tmp_path, "paper").config.sampler == PAPER_SAMPLER
    changed = SPEC.load(tmp_path, "corrector=snr,snr=0.3:0.1,order=2").config.sampler
    assert (changed.corrector, changed.snr, changed.order) == ("snr", (0.3, 0.1), 2)


def test_settings_reach_inside_a_network():
    config = SPEC.build({"gemnet.blocks": 1, "gemnet.hidden": 8, "sampler.steps": 7}).config
    assert (config.gemnet.blocks, config.gemnet.hidden, config.sampler.steps) == (1, 8, 7)
    assert SPEC.build({"network": "cspnet", "cspnet.layers": 1, "cspnet.hidden": 8}).network.config.layers == 1


@pytest.mark.parametrize("settings", [{"width": 3}, {"gemnet.width": 3}, {"sampler.speed": 1}, {"preset": "large"},
                                      {"network": "gnn"}, {"sigma.x": 1}])  # fmt: skip
def test_wrong_settings_are_named(settings):
    with pytest.raises(UserError, match=next(iter(settings)).partition(".")[0]):
        SPEC.build(settings)
