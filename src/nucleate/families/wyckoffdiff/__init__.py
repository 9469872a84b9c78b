"""WyckoffDiff (Kelvinius et al., 2025) with the conditions of WyckoffDiff-Adaptor (Ishii et al., 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.families.loading import loaded
from nucleate.families.wyckoffdiff.config import PAPER_SAMPLER, PRESETS, WyckoffDiffConfig, configured
from nucleate.families.wyckoffdiff.model import WyckoffDiff

FAMILY = "wyckoffdiff"
SETTINGS = ("preset", *WyckoffDiffConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps`` and the like reach inside a setting."""
TRAINING = {"batch": (64, 64), "pairs": 1_000_000}
"""Settings of a training where nothing else is said: the cost of a crystal does not follow its number of atoms."""

__all__ = ["FAMILY", "PRESETS", "SETTINGS", "TRAINING", "build", "configured", "load"]


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> WyckoffDiff:
    """The model of a folder, ready to sample; see :func:`nucleate.families.loading.loaded`.

    Where a call says nothing, ``guidance`` is γ of every condition, or by name; the model's own if None.
    """
    model = loaded(WyckoffDiff, WyckoffDiffConfig, FAMILY, folder, sampler, PAPER_SAMPLER)
    model.strengths = guidance
    return model


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> WyckoffDiff:
    """A model with fresh weights; see :func:`configured`."""
    return WyckoffDiff(configured(overrides), name)
