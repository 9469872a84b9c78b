"""WyckoffDiff (Kelvinius et al., 2025) with the conditions of WyckoffDiff-Adaptor (Ishii et al., 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.errors import UserError
from nucleate.families.registry import loaded
from nucleate.families.wyckoffdiff.config import PAPER_SAMPLER, WyckoffDiffConfig
from nucleate.families.wyckoffdiff.model import WyckoffDiff
from nucleate.settings import from_preset

FAMILY = "wyckoffdiff"
PRESETS = {"wyckoffdiff": WyckoffDiffConfig.small, "wyckoffdiff-paper": WyckoffDiffConfig.paper}
SETTINGS = ("preset", *WyckoffDiffConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps`` and the like reach inside a setting."""
TRAINING = {"batch": (64, 64), "pairs": 1_000_000}
"""Settings of a training where nothing else is said: the cost of a crystal does not follow its number of atoms."""


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> WyckoffDiff:
    """The model of a folder, ready to sample; see :func:`nucleate.families.registry.loaded`.

    Where a call says nothing, ``guidance`` is γ of every condition, or by name; the model's own if None.
    """
    model = loaded(WyckoffDiff, WyckoffDiffConfig, FAMILY, folder, sampler, PAPER_SAMPLER)
    model.strengths = guidance
    return model


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> WyckoffDiff:
    """A model with fresh weights; see :func:`configured`."""
    return WyckoffDiff(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> WyckoffDiffConfig:
    """A configuration from settings; see :func:`nucleate.settings.from_preset`.

    Raises:
        UserError: A setting is unknown or its value does not fit.
    """
    config = from_preset(WyckoffDiffConfig, PRESETS, FAMILY, overrides)
    if config.attention == "dot" and config.hidden % config.heads:
        raise UserError("--set hidden", str(config.hidden), f"a multiple of heads={config.heads}")
    return config
