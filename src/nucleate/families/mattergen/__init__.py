"""MatterGen (Zeni et al., Nature 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.families.mattergen.config import PAPER_SAMPLER, MatterGenConfig
from nucleate.families.mattergen.model import MatterGen
from nucleate.families.registry import loaded
from nucleate.settings import from_preset

FAMILY = "mattergen"
PRESETS = {
    "mattergen": MatterGenConfig,
    "mattergen-conditioned": MatterGenConfig.conditioned,
    "mattergen-paper": MatterGenConfig.paper,
}
TRAINING = {"pairs": 3200, "batch": (16, 64)}
"""Where it departs from a training's defaults: a batch of triplets takes more memory than one of pairs."""
SETTINGS = ("preset", *MatterGenConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps``, ``gemnet.blocks`` and the like reach inside a setting."""


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> MatterGen:
    """The model of a folder, ready to sample; see :func:`nucleate.families.registry.loaded`.

    Where a call says nothing, ``guidance`` is γ of every condition, or by name; the model's own if None.
    """
    model = loaded(MatterGen, MatterGenConfig, FAMILY, folder, sampler, PAPER_SAMPLER)
    model.strengths = guidance
    return model


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> MatterGen:
    """A model with fresh weights; see :func:`configured`."""
    return MatterGen(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> MatterGenConfig:
    """A configuration from settings; see :func:`nucleate.settings.from_preset`."""
    return from_preset(MatterGenConfig, PRESETS, "mattergen", overrides)
