"""What every predictor offers, and how one is read back from its folder."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.networks.stored import CONFIG

KINDS = ("property_cnn",)
"""Packages of :mod:`nucleate.predictors`, each with ``load(folder)``; a model's configuration names one as family."""


class Predictor(Protocol):
    """Structures to properties."""

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Units of the properties it knows, by name."""

    def predict(self, crystals: Crystals, column: str) -> Tensor:
        """A property of crystals, shape (B,), float64; NaN where the predictor cannot take a crystal.

        Raises:
            UserError: It does not know the property.
        """


def load_predictor(folder: Path) -> Predictor:
    """The predictor of a model folder.

    Raises:
        UserError: The folder holds no predictor, or a damaged one.
    """
    expected = "the folder of a predictor, such as `nucleate train property-cnn` writes"
    try:
        stored = json.loads((folder / CONFIG).read_text())
    except OSError:
        raise UserError(str(folder), f"no {CONFIG}", expected) from None
    except ValueError:
        raise UserError(str(folder / CONFIG), "text that is not JSON", expected) from None
    kind = stored.get("family") if isinstance(stored, dict) else None
    if kind not in KINDS:
        raise UserError(str(folder / CONFIG), f"family {kind!r}", expected)
    found: Predictor = importlib.import_module(f"nucleate.predictors.{kind}").load(folder)
    return found
