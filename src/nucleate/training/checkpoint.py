"""Resume state as safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nucleate.errors import UserError
from nucleate.io.writing import write_whole

NAME = "checkpoint.safetensors"
FORMAT = 1


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> None:
    """Write everything that a resumed training needs into one file.

    Arguments:
        folder: Of the training.
        model: With its current weights.
        average: Averaged weights by name.
        optimizer: Adam over the model's parameters, in their order.
        progress: Plain JSON: where the training stands and what it was configured with.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
    text = json.dumps({"format": FORMAT, **progress})
    data = save({name: value.detach().contiguous().clone() for name, value in tensors.items()}, {"progress": text})
    write_whole(folder / NAME, data)


def read_progress(folder: Path) -> dict[str, Any] | None:
    """The progress of a checkpoint, or None where there is none.

    Raises:
        UserError: The file is damaged or of another version.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            progress: dict[str, Any] = json.loads(file.metadata()["progress"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(str(path), f"a damaged file ({error})", "a checkpoint of this training") from None
    if progress["format"] != FORMAT:
        raise UserError(str(path), f"format {progress['format']}", f"format {FORMAT}")
    return progress


def load_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Restore model and optimizer; returns the averaged weights."""
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    with safe_open(folder / NAME, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 (not a mapping)
            kind, name = key.split("/", 1)
            groups[kind][name] = file.get_tensor(key)
    model.load_state_dict(groups["model"])
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in groups["optimizer"].items():
        index, name = key.split("/", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return groups["average"]
