"""A trained model as a folder (weights, configuration, card), and modules filled with such weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from nucleate.errors import UserError
from nucleate.io.writing import write_json, write_whole

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "card.md"

Value = str | int | float


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a model, for its folder.

    Attributes:
        family: Name of the family or predictor that can load them.
        name: Of the model.
        summary: One line for a list of models.
        config: The family's configuration, as plain JSON.
        data: What it was trained on: origin and licence, SHA-256, number of crystals.
        training: Settings of the training, as plain JSON.
        cost: What the training took (hours, seconds, counts), by name, with units in the name.
        measured: Measured quality by name, with the protocol in the name.
        notes: Limits that a user should know.
    """

    family: str
    name: str
    summary: str
    config: Mapping[str, JsonValue]
    data: Mapping[str, Value] = field(default_factory=dict)
    training: Mapping[str, JsonValue] = field(default_factory=dict)
    cost: Mapping[str, Value] = field(default_factory=dict)
    measured: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with matrices in bfloat16; vectors and statistics, which are few, keep their precision."""
    return {
        name: value.bfloat16() if value.is_floating_point() and value.dim() > 1 else value
        for name, value in weights.items()
    }


def write_model(folder: Path, weights: Mapping[str, Tensor], facts: ModelFacts) -> str:
    """Write ``model.safetensors``, ``config.json`` and ``card.md``; returns the SHA-256 of the weights.

    Arguments:
        folder: The model's folder, made if need be.
        weights: The state of the family's module, in the precision that is to be stored.
        facts: Everything else.

    Raises:
        UserError: The folder cannot be written, or the disk is full.
    """
    data = save({name: value.detach().cpu().contiguous() for name, value in sorted(weights.items())})
    digest = hashlib.sha256(data).hexdigest()
    count = sum(value.numel() for value in weights.values() if value.is_floating_point())
    stored = "bfloat16" if any(value.dtype == torch.bfloat16 for value in weights.values()) else "float32"
    config = {"format": 1, "sha256": digest, "parameters": count, "precision": stored, **asdict(facts)}
    write_whole(folder / WEIGHTS, data)
    write_whole(folder / CARD, card(facts, count, stored, len(data)).encode())
    # Last, since it is what makes a folder a model.
    write_json(folder / CONFIG, config)
    return digest


def card(facts: ModelFacts, parameters: int, precision: str, size: int) -> str:
    """The model's card in Markdown."""
    parts = [
        f"# {facts.name}\n\n{facts.summary}",
        _table("Model", {"family": facts.family, "parameters": f"{parameters:,}", "stored as": precision,
                         "size": f"{size / 1e6:.1f} MB"}),
        _table("Data", facts.data),
        _table("Cost of the training", facts.cost),
        _table("Measured", facts.measured),
        _table("Configuration", facts.config),
        _table("Training", facts.training),
        "## Limits\n\n" + "\n".join(f"- {note}" for note in facts.notes) if facts.notes else "",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(title: str, rows: Mapping[str, JsonValue]) -> str:
    if not rows:
        return ""
    lines = [f"| {name.replace('_', ' ')} | {_text(value)} |" for name, value in rows.items()]
    return "\n".join([f"## {title}\n", "| | |", "|---|---|", *lines])


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return str(value).replace("|", "\\|")


class StoredModel(BaseModel):
    """The ``config.json`` of a model folder; plain data, which may come from a stranger.

    Attributes:
        family: Name of the family or predictor; empty where it says none.
        name: Of the model; empty where it says none.
        sha256: Of its weights.
        parameters: Their number.
        summary: One line for a list of models.
        config: Settings of the model, which its family checks.
        data: What it was trained on.
        cost: What the training took (hours, seconds, counts), by name, with units in the name.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    family: str = ""
    name: str = ""
    sha256: str | None = None
    parameters: int | None = None
    summary: str = ""
    config: Mapping[str, JsonValue] = Field(default_factory=dict)
    data: Mapping[str, JsonValue] = Field(default_factory=dict)
    cost: Mapping[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> StoredModel:
        """That of a folder.

        Raises:
            UserError: It is missing, not JSON, or something else than a model's.
        """
        path, expected = folder / CONFIG, "the configuration of a model"
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(str(path), str(error.strerror), expected) from None
        except ValidationError as error:
            first = error.errors()[0]
            place = "".join(f"{part}: " for part in first["loc"])
            raise UserError(str(path), f"{place}{first['msg']}", expected) from None

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that it was trained or tuned for."""
        lists = (self.config.get("conditions"), self.config.get("adapters"))
        found = [one for some in lists if isinstance(some, list) for one in some]
        return tuple(str(one["name"]) for one in found if isinstance(one, dict) and "name" in one)


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
