"""Choices of the property network."""

from __future__ import annotations

from pydantic import Field

from nucleate.config import Settings
from nucleate.guidance.conditions import Scalar
from nucleate.guidance.named_conditions import NamedScalars
from nucleate.networks.cnn1d import Tower


class PropertyCNNConfig(Settings):
    """A network from the matrix of a crystal to its properties.

    Attributes:
        max_elements, max_atoms: Columns and sites that the matrix holds.
        channels, kernels, strides: Of the convolutions.
        dense: Widths of the layers after them, which the properties share.
        head: Widths of the layers of each property.
        dropout: Share of the shared features that a training step leaves out.
        direct: The flattened matrix goes into the first dense layer too, beside what the convolutions make of it.
        augment: Share of training crystals in random order of elements and sites, with their axes exchanged and
            their origin moved; the others are in canonical order, as all are for a prediction.
        conditions: The properties.
    """

    max_elements: int = Field(default=3, ge=1, le=10)
    max_atoms: int = Field(default=20, ge=1, le=200)
    channels: tuple[int, ...] = (32, 64, 64)
    kernels: tuple[int, ...] = (5, 5, 5)
    strides: tuple[int, ...] = (2, 2, 2)
    dense: tuple[int, ...] = (384, 192)
    head: tuple[int, ...] = (64,)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    direct: bool = True
    augment: float = Field(default=0.5, ge=0, le=1)
    conditions: NamedScalars = (Scalar(name="formation_energy", unit="eV/atom"),
                                      Scalar(name="saturation_magnetization", unit="T"))  # fmt: skip

    @property
    def targets(self) -> tuple[Scalar, ...]:
        """What it answers: the properties."""
        return self.conditions

    @property
    def tower(self) -> Tower:
        """The convolutions."""
        return Tower(self.channels, self.kernels, self.strides)
