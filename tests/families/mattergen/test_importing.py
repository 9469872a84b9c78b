"""Checkpoints of strangers: read in another process as tensors alone, or refused in one line."""

import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import nucleate
from nucleate.cli.main import run
from nucleate.errors import UserError
from nucleate.families.mattergen.checkpoint_reader import converted
from nucleate.families.mattergen.importing import import_model, read_checkpoint, settings_of
from nucleate.families.registry import find_model

sys.path.insert(0, str(Path(__file__).parent))
import public_mattergen as public
from test_published import ADAPTED

CONFIG = {
    "lightning_module": {
        "diffusion_module": {
            "corruption": {"sdes": {"pos": {"sigma_max": 5.0}, "cell": {"vpsde_config": {"beta_max": 20}}}},
            "model": {
                "gemnet": {"cutoff": 4.0, "max_neighbors": 7, "num_targets": 1},
                "property_embeddings_adapt": {
                    "dft_mag_density": {"scaler": {"_target_": "some.Scaler"}},
                    "ml_bulk_modulus": {"scaler": {"_target_": "some.Scaler", "log10_transform": True}},
                },
            },
        }
    }
}


def checkpoint(path, tensors=None, config=CONFIG, **more):
    """A file as the public training code writes it."""
    tensors = public.state_dict(ADAPTED) if tensors is None else tensors
    state = {f"diffusion_module.model.{name}": value for name, value in tensors.items()}
    torch.save({"state_dict": state, "config": config, "epoch": 3, "optimizer_states": [{"state": {}}], **more}, path)
    return path


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """``nucleate models import`` in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            run(["models", "import", *arguments])
        return end.value.code, *capsys.readouterr()

    return call


def test_from_file_to_crystals_by_the_command_line(tmp_path, command):
    checkpoint(tmp_path / "last.ckpt")
    code, out, error = command("last.ckpt", "--as", "public", "--json")
    assert code == 0, error
    assert json.loads(out) == {"model": "public", "name": "public"}
    entry = find_model(str(tmp_path / "public"))
    assert set(entry.conditions) == {"chemical_system", "magnetic_density", "bulk_modulus", "space_group"}
    card = entry.card()
    assert "last.ckpt" in card
    assert "licence" in card
    assert "Nothing was measured" in card
    model = nucleate.load(str(tmp_path / "public"), sampler="steps=3,corrector_steps=0")
    assert (model.config.gemnet.cutoff, model.config.gemnet.neighbours) == (4.0, 7)
    assert len(model.sample(2)) == 2
    code, _, error = command("last.ckpt", "--as", "public")
    assert (code, error.count("\n")) == (2, 1)
    assert "something already there" in error


def test_a_state_dict_alone_will_do(tmp_path):
    torch.save(public.state_dict(ADAPTED), tmp_path / "weights.pt")
    folder = import_model(tmp_path / "weights.pt", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert (config["config"]["gemnet"]["cutoff"], config["config"]["gemnet"]["neighbours"]) == (7.0, 50)
    assert config["config"]["sampler"]["steps"] == 1000
    assert "holds no configuration" in (folder / "card.md").read_text()


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def evil_torch_file(path, trap):
    torch.save({"state_dict": {"fc_atom.bias": torch.zeros(2)}, "config": Evil(trap)}, path)


def evil_pickle(path, trap):
    path.write_bytes(pickle.dumps(Evil(trap), protocol=2))


def evil_in_place_of_tensors(path, trap):
    torch.save({"state_dict": Evil(trap)}, path)


@pytest.mark.parametrize("write", [evil_torch_file, evil_pickle, evil_in_place_of_tensors])
def test_what_a_file_would_run_is_not_run(tmp_path, write):
    trap, control = tmp_path / "sprung", tmp_path / "control"
    write(tmp_path / "x.ckpt", trap)
    error = converted(str(tmp_path / "x.ckpt"), str(tmp_path), 10**9)["error"]
    assert error == f"{os.mkdir.__module__}.mkdir, which only code could make and which was not made"
    assert not trap.exists()
    pickle.loads(pickle.dumps(Evil(control)))  # the trap works where files are trusted
    assert control.exists()


def test_a_trap_ends_the_command_with_one_line(tmp_path, command):
    evil_torch_file(tmp_path / "x.ckpt", tmp_path / "sprung")
    code, _, error = command("x.ckpt", "--as", "public")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("nucleate: x.ckpt: found ")
    assert {path.name for path in tmp_path.iterdir()} == {"x.ckpt"}


def text(path):
    path.write_text("weights")


def empty(path):
    path.write_bytes(b"")


def torn(path):
    checkpoint(path)
    path.write_bytes(path.read_bytes()[:20_000])


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")


def no_tensors(path):
    torch.save({"state_dict": {"fc_atom.bias": 3}}, path)


def a_list(path):
    torch.save([torch.zeros(2)], path)


def swollen(path):
    """A few bytes on the disk that are terabytes as numbers."""
    torch.save({"fc_atom.bias": torch.zeros(1).expand(2_000_000, 1_000_000)}, path)


@pytest.mark.parametrize("make", [text, empty, torn, other_zip, no_tensors, a_list, swollen])
def test_other_files_are_refused_in_one_line(tmp_path, make):
    make(tmp_path / "x.ckpt")
    error = converted(str(tmp_path / "x.ckpt"), str(tmp_path), 10**9)["error"]
    assert 0 < len(error) <= 300
    assert "\n" not in error
    assert not (tmp_path / "tensors.safetensors").exists()


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        import_model(tmp_path, tmp_path / "model")


def test_missing_and_extra_tensors_end_with_code_2(tmp_path, command):
    tensors = public.state_dict(ADAPTED)
    del tensors["fc_atom.bias"]
    checkpoint(tmp_path / "x.ckpt", tensors | {"fc_atom.bia": torch.zeros(101)})
    code, _, error = command("x.ckpt", "-o", "model")
    assert code == 2
    assert "x.ckpt: found no tensor fc_atom.bias" in error
    assert not (tmp_path / "model").exists()
    code, _, error = command("x.ckpt")
    assert (code, error.count("\n")) == (2, 1)


def test_a_reader_that_takes_too_long_is_stopped(tmp_path):
    with pytest.raises(UserError, match="more than 0.05 s"):
        read_checkpoint(checkpoint(tmp_path / "x.ckpt"), seconds=0.01)


def test_another_process_or_network_in_the_configuration_is_refused():
    def changed(**model):
        return {"lightning_module": {"diffusion_module": {"model": model}}}

    assert settings_of(None, "x") == ({"cutoff": 7.0, "max_neighbors": 50}, {})
    network, logarithmic = settings_of(CONFIG, "x")
    assert network == {"cutoff": 4.0, "max_neighbors": 7}
    assert logarithmic == {"dft_mag_density": False, "ml_bulk_modulus": True}
    with pytest.raises(UserError, match="atom_type_diffusion 'uniform'"):
        settings_of(changed(atom_type_diffusion="uniform"), "x")
    with pytest.raises(UserError, match="cutoff 'far'"):
        settings_of(changed(gemnet={"cutoff": "far"}), "x")
    with pytest.raises(UserError, match="sigma_max 4.0 in its configuration; expected 5.0"):
        settings_of(
            {"lightning_module": {"diffusion_module": {"corruption": {"sdes": {"pos": {"sigma_max": 4.0}}}}}}, "x"
        )
