"""Properties by GemNet-dT with a mean readout (Zeni et al., 2025, D.6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nucleate.predictors.gemnet.config import GemNetPredictorConfig, Target
from nucleate.predictors.gemnet.model import GemNetPredictor

FAMILY = "gemnet_property"
SETTINGS = tuple(GemNetPredictorConfig.model_fields)
"""Names that :func:`build` takes."""
TRAINING = {"pairs": 3200, "batch": (8, 64), "epochs": 60, "learning_rate": 5e-4}
"""What a training is by default, where it differs from any other."""

__all__ = ["FAMILY", "SETTINGS", "TRAINING", "GemNetPredictor", "GemNetPredictorConfig", "Target", "build"]


def build(settings: Mapping[str, Any], name: str) -> GemNetPredictor:
    """A predictor with random weights.

    Raises:
        UserError: A setting does not fit.
    """
    return GemNetPredictor(GemNetPredictorConfig.checked(settings, where="--set"), name)
