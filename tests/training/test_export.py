"""The model's folder."""

import hashlib
import json

import torch
from safetensors.torch import load_file

from nucleate.families.registry import check_weights
from nucleate.training.export import ModelFacts, halved, write_model

WEIGHTS = {"a.weight": torch.randn(4, 3), "a.bias": torch.randn(4), "count": torch.tensor([3])}
FACTS = ModelFacts(
    family="diffcsp", name="tiny", summary="A model for tests.", config={"hidden": 8, "sampler": {"steps": 5}},
    data={"origin": "made up", "sha256": "00"}, training={"epochs": 3}, cost={"core_hours": 1.25},
    measured={"validity, 1,000 crystals": 0.961}, notes=("No noble gases.",),
)  # fmt: skip


def test_weights_come_back_and_are_what_the_configuration_says(tmp_path):
    digest = write_model(tmp_path, WEIGHTS, FACTS)
    loaded = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(loaded[name], value) for name, value in WEIGHTS.items())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["sha256"] == digest == hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert check_weights(tmp_path / "model.safetensors", digest) == digest
    assert config["family"] == "diffcsp"
    assert config["config"] == {"hidden": 8, "sampler": {"steps": 5}}
    assert config["parameters"] == 16  # a count is none
    assert config["precision"] == "float32"


def test_the_card_holds_what_is_known(tmp_path):
    write_model(tmp_path, WEIGHTS, FACTS)
    card = (tmp_path / "card.md").read_text()
    for text in ("# tiny", "A model for tests.", "made up", "core hours", "0.961", "steps 5", "- No noble gases."):
        assert text in card


def test_half_precision_is_for_matrices(tmp_path):
    half = halved(WEIGHTS)
    assert half["a.weight"].dtype == torch.bfloat16
    assert half["a.bias"] is WEIGHTS["a.bias"]
    assert half["count"] is WEIGHTS["count"]
    write_model(tmp_path, half, FACTS)
    assert json.loads((tmp_path / "config.json").read_text())["precision"] == "bfloat16"


def test_the_same_weights_are_the_same_bytes(tmp_path):
    digests = {write_model(tmp_path / str(i), dict(items), FACTS)
               for i, items in enumerate([WEIGHTS.items(), reversed(WEIGHTS.items())])}  # fmt: skip
    assert len(digests) == 1
