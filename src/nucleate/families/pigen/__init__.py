"""PIGEN (Vasylenko et al., 2025), and DiffCSP (Jiao et al., NeurIPS 2023) that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.families.pigen.config import PAPER_SAMPLER, PigenConfig
from nucleate.families.pigen.model import Pigen
from nucleate.families.registry import loaded
from nucleate.settings import from_preset

FAMILY = "pigen"
PRESETS = {
    "pigen": PigenConfig.pigen,
    "pigen-paper": PigenConfig.pigen_paper,
    "diffcsp": PigenConfig,
    "diffcsp-paper": PigenConfig.diffcsp_paper,
}
SETTINGS = ("preset", *PigenConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps`` and the like reach inside a setting."""


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> Pigen:
    """The model of a folder, ready to sample; see :func:`nucleate.families.registry.loaded`.

    Where a call says nothing, ``guidance`` is γ of every condition, or by name; the model's own if None.
    """
    model = loaded(Pigen, PigenConfig, FAMILY, folder, sampler, PAPER_SAMPLER)
    model.strengths = guidance
    return model


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> Pigen:
    """A model with fresh weights; see :func:`configured`."""
    return Pigen(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> PigenConfig:
    """A configuration from settings; see :func:`nucleate.settings.from_preset`."""
    return from_preset(PigenConfig, PRESETS, "pigen", overrides)
