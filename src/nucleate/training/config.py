"""How a model is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.configuration import Settings


class TrainConfig(Settings):
    """One training run.

    Attributes:
        epochs: Passes over the data; the learning rate falls to its end over them.
        learning_rate: Of Adam, at its highest.
        warmup: Steps over which the learning rate rises.
        ema: Decay of the averaged weights that are exported.
        clip: Largest norm of the gradient.
        pairs: Pairs of sites in a batch.
        batch: Fewest and most crystals in a batch.
        mixed_sizes: Batches hold crystals of any size, for models that see all of them at one width.
        precision: Lightning Fabric's name of the arithmetic.
        validate_every: Epochs between validations.
        checkpoint_seconds: Seconds between checkpoints.
        seed: Of everything that is drawn.
    """

    epochs: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: int = Field(default=200, ge=0)
    ema: float = Field(default=0.9995, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    pairs: int = Field(default=6400, ge=1)
    batch: tuple[int, int] = (16, 128)
    mixed_sizes: bool = False
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    validate_every: int = Field(default=5, ge=1)
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**63)
