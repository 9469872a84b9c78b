"""Convolutional networks on the matrix of a crystal, for any column of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from nucleate.config import from_preset
from nucleate.networks.stored import CONFIG, load_weights, stored_config
from nucleate.predictors.property_cnn.config import PropertyCNNConfig
from nucleate.predictors.property_cnn.model import PropertyCNN

FAMILY = "property_cnn"
PRESETS: Mapping[str, Callable[[], PropertyCNNConfig]] = {"property-cnn": PropertyCNNConfig}
SETTINGS = ("preset", *PropertyCNNConfig.model_fields)
"""Names that :func:`build` takes."""
TRAINING: Mapping[str, object] = {"learning_rate": 2e-3, "batch": (128, 128), "mixed_sizes": True, "ema": 0.995}
"""How the network is trained where nothing else is said."""
FEWEST_LABELS = 100
"""Of a property."""


def load(folder: Path) -> PropertyCNN:
    """The predictor of a folder.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other.
    """
    stored = stored_config(folder, FAMILY)
    config = PropertyCNNConfig.checked(stored.get("config", {}), where=str(folder / CONFIG))
    model = PropertyCNN(config, str(stored.get("name", folder.name)))
    load_weights(model, folder)
    return model.eval()


def build(overrides: Mapping[str, object] | None = None, name: str = "property-cnn") -> PropertyCNN:
    """A model with fresh weights; see :func:`configured`."""
    return PropertyCNN(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> PropertyCNNConfig:
    """A configuration from settings; see :func:`nucleate.config.from_preset`."""
    return from_preset(PropertyCNNConfig, PRESETS, "property-cnn", overrides)
