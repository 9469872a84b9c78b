"""WyckoffDiff (Kelvinius et al., 2025) with the conditions of WyckoffDiff-Adaptor (Ishii et al., 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.families.stored import CONFIG, load_weights, stored_config
from nucleate.families.wyckoffdiff.config import PRESETS, WyckoffDiffConfig, sampler_from
from nucleate.families.wyckoffdiff.config import configured as _configured
from nucleate.families.wyckoffdiff.model import WyckoffDiff

FAMILY = "wyckoffdiff"
SETTINGS = ("preset", *WyckoffDiffConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps`` and the like reach inside a setting."""
TRAINING = {"batch": (64, 64), "pairs": 1_000_000}
"""Settings of a training where nothing else is said: the cost of a crystal does not follow its number of atoms."""

__all__ = ["FAMILY", "PRESETS", "SETTINGS", "TRAINING", "build", "configured", "load"]


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> WyckoffDiff:
    """The model of a folder, ready to sample.

    Arguments:
        folder: With weights and configuration.
        sampler: See :func:`~nucleate.families.wyckoffdiff.config.sampler_from`.
        guidance: γ of every condition, or by name, where a call says nothing; the model's own if None.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other; no such sampler.
    """
    stored = stored_config(folder, FAMILY)
    config = WyckoffDiffConfig.checked(stored.get("config", {}), where=str(folder / CONFIG))
    walk = sampler_from(sampler, config.sampler)
    model = WyckoffDiff(config.model_copy(update={"sampler": walk}), str(stored.get("name", folder.name)))
    model.strengths = guidance
    load_weights(model, folder)
    return model.eval()


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> WyckoffDiff:
    """A model with fresh weights; see :func:`configured`."""
    return WyckoffDiff(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> WyckoffDiffConfig:
    """A configuration from settings on top of ``preset``, one of ``PRESETS``.

    Raises:
        UserError: A setting is unknown or its value does not fit.
    """
    return _configured(dict(overrides or {}))
