"""Modules filled with the weights of a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nucleate.errors import UserError

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def stored_config(folder: Path, family: str) -> dict[str, Any]:
    """The ``config.json`` of a model folder.

    Raises:
        UserError: It is missing, not JSON, or of another family.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except OSError as error:
        raise UserError(str(path), str(error.strerror), "the configuration of a model") from None
    except ValueError:
        raise UserError(str(path), "text that is not JSON", "the configuration of a model") from None
    found = config.get("family") if isinstance(config, dict) else None
    if found != family:
        raise UserError(str(path), f"family {found!r}", repr(family))
    return config


def load_weights(model: nn.Module, folder: Path) -> None:
    """Fill a model with the weights of its folder, in the model's own precision.

    Raises:
        UserError: The file is missing, damaged, or does not fit the configuration beside it.
    """
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except OSError as error:
        raise UserError(str(path), str(error.strerror or error), "the weights of a model") from None
    except SafetensorError as error:
        raise UserError(str(path), f"a damaged file ({error})", "a complete safetensors file") from None
    described = f"those that {CONFIG} beside them describes"
    wrong = sorted(set(weights) ^ set(model.state_dict()))
    if wrong:
        raise UserError(str(path), f"other weights ({wrong[0]})", described)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # sizes differ, other than those of tables that a module takes from the file
        found = str(error).splitlines()[-1].strip()
        raise UserError(str(path), f"other weights ({found})", described) from None
