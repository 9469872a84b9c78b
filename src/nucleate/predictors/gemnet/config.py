"""Settings of the GemNet-dT regressor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.config import Settings
from nucleate.networks.gemnet import GemNetConfig

N_SPECIES = 100


class Target(Settings):
    """A column that the model answers.

    Attributes:
        name: Of the column.
        log10: Whether the logarithm is learned; labels must then be positive.
        mean, std: Of what is learned, over the training labels.
        low, high: Smallest and largest training label; None before a training.
    """

    name: str = Field(min_length=1)
    log10: bool = False
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    low: float | None = None
    high: float | None = None


class GemNetPredictorConfig(Settings):
    """The regressor of MatterGen's Fig. 5h (D.6.1) and smaller ones.

    Attributes:
        size: "small", or "paper": three blocks, cutoff 10 Å, width 128.
        targets: Columns that it answers.
        hidden, edge, blocks, cutoff, neighbours: Of the network; None for those of the size.
        readout: Hidden width of the readout of each site.
        max_atoms: Largest crystal it is trained on and answers for.
    """

    size: Literal["small", "paper"] = "small"
    targets: tuple[Target, ...] = ()
    hidden: int | None = Field(default=None, ge=1)
    edge: int | None = Field(default=None, ge=1)
    blocks: int | None = Field(default=None, ge=1)
    cutoff: float | None = Field(default=None, gt=0)
    neighbours: int | None = Field(default=None, ge=1)
    readout: int = Field(default=64, ge=1)
    max_atoms: int = Field(default=100, ge=1)

    @property
    def network(self) -> GemNetConfig:
        """The encoder: no time, and no word of which cell was chosen."""
        given = {name: getattr(self, name) for name in ("hidden", "edge", "blocks", "cutoff", "neighbours")}
        changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
        changes |= {"time_features": 0, "row_angles": False, "species_inputs": N_SPECIES}
        if self.size == "paper":
            return GemNetConfig.checked({"hidden": 128, "edge": 128, "blocks": 3, "cutoff": 10.0, **changes})
        return GemNetConfig.small(**changes)
