"""Weights from elsewhere as a model folder: MatterGen's public checkpoints, read in a process of their own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from nucleate.errors import UserError
from nucleate.families.mattergen import checkpoint_reader
from nucleate.families.mattergen.published import PublishedCheckpoint, left_behind, model_of
from nucleate.training.export import ModelFacts, write_model

PREFIX = "diffusion_module.model."
"""Prefix of the names of the network's tensors in the public training code."""
SECONDS = 300
"""Processor time in seconds; a busy machine gets five times that by the clock."""
LARGEST = 2 * 2**30
"""Bytes of a checkpoint; a public one has 0.2 GB, and three times that with the state of its optimiser."""
EXPECTED = "a PyTorch checkpoint of MatterGen that holds tensors, numbers and text alone"
NETWORK = {"cutoff": 7.0, "max_neighbors": 50}
"""Settings of the public network that no tensor tells and a model of ours may vary."""
_MODEL = "lightning_module.diffusion_module.model."
_CORRUPTION = "lightning_module.diffusion_module.corruption."
PUBLISHED: dict[str, object] = {
    _MODEL + "atom_type_diffusion": "mask",
    _MODEL + "denoise_atom_types": True,
    _MODEL + "gemnet.max_cell_images_per_dim": 5,
    _MODEL + "gemnet.num_targets": 1,
    _MODEL + "gemnet.regress_stress": True,
    _MODEL + "gemnet.activation": "swish",
    _MODEL + "gemnet.rbf.name": "gaussian",
    _MODEL + "gemnet.envelope.name": "polynomial",
    _MODEL + "gemnet.envelope.exponent": 5,
    _MODEL + "gemnet.cbf.name": "spherical_harmonics",
    _CORRUPTION + "discrete_corruptions.atomic_numbers.d3pm.dim": 101,
    _CORRUPTION + "discrete_corruptions.atomic_numbers.d3pm.schedule.kind": "standard",
    _CORRUPTION + "discrete_corruptions.atomic_numbers.d3pm.schedule.num_steps": 1000,
    _CORRUPTION + "discrete_corruptions.atomic_numbers.offset": 1,
    _CORRUPTION + "sdes.cell.vpsde_config.beta_max": 20,
    _CORRUPTION + "sdes.cell.vpsde_config.beta_min": 0.1,
    _CORRUPTION + "sdes.cell.vpsde_config.limit_density": 0.05771451654022283,
    _CORRUPTION + "sdes.cell.vpsde_config.limit_var_scaling_constant": 0.25,
    _CORRUPTION + "sdes.pos.sigma_max": 5.0,
    _CORRUPTION + "sdes.pos.wrapping_boundary": 1.0,
}
"""Values that a stored configuration must have where it has any; everything else is computed as published."""


def import_model(source: Path, folder: Path, name: str | None = None) -> Path:
    """Write the folder of a model with the weights of a public MatterGen checkpoint.

    Arguments:
        source: The checkpoint.
        folder: Of the new model; new or empty.
        name: Of the model; the folder's if None.

    Raises:
        UserError: The file cannot be read as tensors alone, or is not a MatterGen; there is something in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(str(folder), "something already there", "a new or empty folder")
    tensors, config = read_checkpoint(source)
    network, logarithmic = settings_of(config, str(source))
    published = PublishedCheckpoint.checked(tensors, network, str(source))
    name = name or folder.name
    model = model_of(published, logarithmic, name)
    unread = sum(value.numel() for key, value in tensors.items() if left_behind(key) and ".seq_energy." not in key)
    tuned = ", ".join(condition.name for condition in model.config.adapters)
    notes = [
        "Nothing was measured here: quality, and the agreement of samples with the public code, are not known.",
        "The network answers as the public one does; sampling takes other random numbers, keeps cells positive "
        "definite, and gives each requested element a site from the start.",
        "The licence of the file does not travel with it: read it where you took the file from.",
    ]
    if config is None:
        notes.append("The file holds no configuration; cutoff, neighbours and noise are taken to be the published.")
    facts = ModelFacts(
        family="mattergen",
        name=name,
        summary=f"imported MatterGen weights{f', asked for {tuned}' if tuned else ''}",
        config=model.config.model_dump(mode="json"),
        data={
            "origin": f"imported from {source.name}, a checkpoint of the public MatterGen code",
            "source_sha256": _sha256(source),
            "licence": "not in the file; microsoft/mattergen states MIT for its own: check where you took it from",
            "tensors": len(tensors),
            "numbers_left_behind": f"{unread:,} (energy heads and constants, which the public code does not read)",
        },
        notes=tuple(notes),
    )
    write_model(folder, model.state_dict(), facts)
    return folder


def read_checkpoint(source: Path, seconds: float = SECONDS) -> tuple[dict[str, Tensor], object]:
    """Tensors of a checkpoint by name, without the prefix of the training code, and its configuration if it has one.

    Reading may take ``seconds`` of processor time.

    Raises:
        UserError: There is no such file, it is too large, or it is not tensors alone.
    """
    if not source.is_file():
        raise UserError(str(source), "no such file", EXPECTED)
    size = source.stat().st_size
    if size > LARGEST:
        raise UserError(str(source), f"{size / 1e9:.1f} GB", f"at most {LARGEST / 1e9:.1f} GB")
    with tempfile.TemporaryDirectory(prefix="nucleate-import-") as scratch:
        _read_in_child(source, Path(scratch), seconds, 4 * size + 2**30)
        tensors = load_file(Path(scratch) / "tensors.safetensors")
        config = json.loads((Path(scratch) / "config.json").read_text())
    prefixed = any(name.startswith(PREFIX) for name in tensors)
    return {name.removeprefix(PREFIX) if prefixed else name: value for name, value in tensors.items()}, config


def settings_of(config: object, where: str) -> tuple[dict[str, float], dict[str, bool]]:
    """Settings that a stored configuration has and tensors do not: :data:`NETWORK` (Å, dimensionless), logarithms.

    Raises:
        UserError: It says something else than :data:`PUBLISHED`.
    """
    said = dict(_leaves(config)) if isinstance(config, Mapping) else {}
    for name, value in PUBLISHED.items():
        if name in said and not _equal(said[name], value):
            raise UserError(where, f"{name.rpartition('.')[2]} {said[name]!r} in its configuration", f"{value!r}")
    network = dict(NETWORK)
    for name in NETWORK:
        value = said.get(f"{_MODEL}gemnet.{name}", network[name])
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1000:
            raise UserError(where, f"{name} {value!r} in its configuration", "a positive number")
        network[name] = value
    start, end = _MODEL + "property_embeddings_adapt.", ".scaler.log10_transform"
    scalers = [name.removeprefix(start).partition(".")[0] for name in said if name.startswith(start)]
    logarithmic = {name: said.get(f"{start}{name}{end}") is True for name in scalers}
    return network, logarithmic


def _read_in_child(source: Path, scratch: Path, seconds: float, size: int) -> None:
    """Run the reader in a process of its own, so that neither its memory nor its end are ours."""
    command = [
        sys.executable,
        "-P",
        str(checkpoint_reader.__file__),
        str(source.resolve()),
        str(scratch),
        str(ceil(seconds)),
        str(size),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(str(source), f"a file that takes more than {5 * seconds:g} s to read", EXPECTED) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"error": f"a file that ends its reader (code {done.returncode})"}
    if "error" in answer:
        raise UserError(str(source), str(answer["error"]), EXPECTED)


def _leaves(config: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, object]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", value


def _equal(one: object, other: object) -> bool:
    if isinstance(one, str | bool) or not isinstance(one, int | float) or not isinstance(other, int | float):
        return one == other
    return abs(one - other) <= 1e-6 * max(1.0, abs(other))


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
