"""DiffCrysGen (Mal, Mishra & Sen, 2025): one score model over the invertible real-space matrix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.families.diffcrysgen.config import PAPER_SAMPLER, DiffCrysGenConfig
from nucleate.families.diffcrysgen.model import DiffCrysGen
from nucleate.families.registry import loaded
from nucleate.settings import from_preset

FAMILY = "diffcrysgen"
PRESETS = {"diffcrysgen": DiffCrysGenConfig, "diffcrysgen-paper": DiffCrysGenConfig.paper}
SETTINGS = ("preset", *DiffCrysGenConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps`` and the like reach inside a setting."""
TRAINING: Mapping[str, object] = {"learning_rate": 5e-4, "batch": (64, 64), "mixed_sizes": True}
"""How the family is trained where nothing else is said: learning rate and batch of the public code."""

FEWEST_LABELS = 100
"""A property that fewer training crystals have is no condition."""


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> DiffCrysGen:
    """The model of a folder, ready to sample; see :func:`nucleate.families.registry.loaded`.

    Where a call says nothing, ``guidance`` is γ of every condition, or by name; the model's own if None.
    """
    model = loaded(DiffCrysGen, DiffCrysGenConfig, FAMILY, folder, sampler, PAPER_SAMPLER)
    model.strengths = guidance
    return model


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> DiffCrysGen:
    """A model with fresh weights; see :func:`configured`."""
    return DiffCrysGen(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> DiffCrysGenConfig:
    """A configuration from settings; see :func:`nucleate.settings.from_preset`."""
    return from_preset(DiffCrysGenConfig, PRESETS, FAMILY, overrides)
