"""Names of generators, and weights that are not what they should be."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from nucleate.errors import UserError
from nucleate.families.registry import check_weights, find_model, list_models, load_generator


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.arange(100.0), "b": torch.zeros(3, 4, dtype=torch.bfloat16)}, path)
    return path


def test_searchers_are_always_there():
    assert {"random", "substitution"} <= {entry.name for entry in list_models()}
    assert "PyXtal" in find_model("random").card() or "random" in find_model("random").card()


def test_unknown_names_list_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="'diffcps'.*random, substitution"):
        load_generator("diffcps")
    with pytest.raises(UserError, match=r"no config\.json"):
        load_generator(str(tmp_path))


def test_a_folder_of_an_unknown_family_is_refused(tmp_path, weights):
    (tmp_path / "config.json").write_text(json.dumps({"family": "nosuch"}))
    with pytest.raises(UserError, match="family 'nosuch'"):
        load_generator(str(tmp_path))


def test_whole_weights_pass_and_give_their_hash(weights):
    found = check_weights(weights)
    assert check_weights(weights, found) == found


def test_weights_with_another_hash_are_refused(weights):
    with pytest.raises(UserError, match="SHA-256"):
        check_weights(weights, "0" * 64)


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_weights_cut_short_anywhere_are_refused(weights, keep):
    content = weights.read_bytes()
    weights.write_bytes(content[:keep])
    with pytest.raises(UserError, match=r"model\.safetensors: found \d+ bytes|of another format"):
        check_weights(weights)


def test_other_files_in_place_of_weights_are_refused(weights):
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(UserError, match="Git-LFS pointer"):
        check_weights(weights)
    weights.write_text("<!DOCTYPE html><html><body>404</body></html>")
    with pytest.raises(UserError, match="cut short or of another format"):
        check_weights(weights)
    weights.write_bytes((10).to_bytes(8, "little") + b"not json!!" + b"\0" * 50)
    with pytest.raises(UserError, match="another format"):
        check_weights(weights)


def test_a_predictor_is_listed_as_one_and_asked_for_no_crystals():
    kinds = {entry.name: entry.kind for entry in list_models()}
    predictor = next(name for name, kind in kinds.items() if kind == "predictor")
    with pytest.raises(UserError, match="nucleate predict"):
        load_generator(predictor)


def test_models_and_their_training_load_no_library_of_structures():
    names = [
        f"nucleate.families.{name}.model" for name in ("pigen", "mattergen", "diffcrysgen", "maggen", "wyckoffdiff")
    ]
    script = f"import sys, nucleate.training.trainer, {', '.join(names)}; print(*sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"pymatgen", "ase", "pandas", "scipy", "matplotlib"}.isdisjoint(outcome.stdout.split())
