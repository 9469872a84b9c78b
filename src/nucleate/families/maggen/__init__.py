"""MagGen (Mal, Seal & Sen, 2023): a property-ordered latent space of crystals, and new ones near known magnets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.errors import UserError
from nucleate.families.maggen.config import PAPER_SAMPLER, MagGenConfig
from nucleate.families.maggen.model import MagGen
from nucleate.families.registry import loaded
from nucleate.settings import from_preset

FAMILY = "maggen"
PRESETS = {"maggen": MagGenConfig, "maggen-paper": MagGenConfig.paper}
SETTINGS = ("preset", *MagGenConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.scale`` and the like reach inside a setting."""
TRAINING: Mapping[str, object] = {"learning_rate": 2e-3, "batch": (128, 128), "mixed_sizes": True, "ema": 0.995}
"""How the family is trained where nothing else is said."""
FEWEST_LABELS = 100
"""Of a property that gets a branch."""


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> MagGen:
    """The model of a folder, ready to sample.

    Arguments:
        folder: With weights and configuration.
        sampler: See :func:`nucleate.families.registry.sampler_from`.
        guidance: Must be None: properties choose the parents, nothing is steered.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other; no such sampler.
    """
    if guidance is not None:
        raise UserError("--guidance", str(guidance), "no --guidance, since maggen chooses parents by their properties")
    return loaded(MagGen, MagGenConfig, FAMILY, folder, sampler, PAPER_SAMPLER)


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> MagGen:
    """A model with fresh weights; see :func:`configured`."""
    return MagGen(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> MagGenConfig:
    """A configuration from settings; see :func:`nucleate.settings.from_preset`."""
    return from_preset(MagGenConfig, PRESETS, FAMILY, overrides)
