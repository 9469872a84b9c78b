"""Choices of the family; the presets give the published ones with their places."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.conditions.kinds import Condition
from nucleate.conditions.quantities import NamedConditions, quantity
from nucleate.configuration import Settings
from nucleate.families.base import ConditionalConfig
from nucleate.families.matrix_templates import Cells, Order
from nucleate.networks.unet1d import UNet1dConfig
from nucleate.symmetry.detection import MAX_SYMPREC


class SamplerConfig(Settings):
    """Settings of the sampler (:class:`nucleate.diffusion.heun.HeunSampler`) and what follows it.

    Attributes:
        precision: Of the network's arithmetic; the walk itself is in double precision.
        draws: Most walks for a crystal. One that is not valid, or misses a chemical system, composition or size
            asked for, is drawn again; the best is kept. With 1, whatever comes is kept.
        symmetrize: Tolerance in Å within which a finished crystal is moved onto the symmetry it nearly has, where
            the structure matcher still calls it the same crystal; 0 leaves all as they came.
        symmetry: "templates" walks keep to the symmetry and stoichiometry of a known crystal, whose elements, cell and
            free coordinates they draw; they need a model whose sites are in "canonical" order. "free" walks draw
            everything.
        batch: Crystals that walk together; no crystal depends on it.
    """

    steps: int = Field(default=100, ge=2)
    sigma: tuple[float, float] = (0.002, 80.0)
    rho: float = Field(default=7.0, gt=0)
    churn: float = Field(default=1.0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    draws: int = Field(default=1, ge=1, le=100)
    symmetrize: float = Field(default=0.0, ge=0, le=MAX_SYMPREC)
    symmetry: Literal["templates", "free"] = "free"
    batch: int = Field(default=64, ge=1)


PAPER_SAMPLER = SamplerConfig()
"""The constants of the public code; the paper gives none."""

DEFAULT_SAMPLER = SamplerConfig(steps=10, draws=10, symmetrize=0.1, symmetry="templates")
"""Fewer steps, by templates; invalid crystals are drawn again."""


CONDITIONS: tuple[Condition, ...] = tuple(
    quantity(name).condition for name in ("saturation_magnetization", "formation_energy", "compactness")
)
"""Their statistics come from the training data."""


class DiffCrysGenConfig(ConditionalConfig):
    """A model of the family.

    Attributes:
        max_elements, max_atoms: Columns and sites that the matrix holds.
        cells: "reduced" are the reduced cells as they come; "standard" are primitive standard cells, refined to the
            space group, so that equivalent crystals have equal coordinates.
        order: Of the sites: "given" as they come (the paper), "canonical", or "shuffled" anew at each training step.
        scale: By the training data: one linear scale for each "row" of the matrix (the paper), or one for each
            "entry" of the cell, while all others are known to lie between 0 and 1.
        weights: Of the mean errors of elements, cell, coordinates and occupancy (rows E, L, C, O); all zero for the
            plain mean over all entries (the paper).
        widths, attention: Shape of the network, see :class:`nucleate.networks.unet1d.UNet1dConfig`.
        sigma_data, log_mean, log_std: See :class:`nucleate.diffusion.edm.EdmProcess`.
        sampler: How it samples by default.

    The rest is :class:`nucleate.families.base.ConditionalConfig`'s.
    """

    max_elements: int = Field(default=3, ge=1, le=10)
    cells: Cells = "standard"
    order: Order = "canonical"
    scale: Literal["row", "entry"] = "entry"
    weights: tuple[float, float, float, float] = (2.0, 0.5, 1.0, 1.0)
    widths: tuple[int, ...] = (32, 64, 128)
    attention: Literal["channels", "rows"] = "rows"
    sigma_data: float = Field(default=0.5, gt=0)
    log_mean: float = -1.2
    log_std: float = Field(default=1.2, gt=0)
    conditions: NamedConditions = CONDITIONS
    sampler: SamplerConfig = DEFAULT_SAMPLER

    @classmethod
    def paper(cls) -> DiffCrysGenConfig:
        """As published: matrix as the crystals come, plain mean of the errors, no conditions."""
        return cls(
            cells="reduced",
            order="given",
            scale="row",
            weights=(0.0, 0.0, 0.0, 0.0),
            attention="channels",
            conditions=(),
            sampler=PAPER_SAMPLER,
        )

    def network(self, length: int, width: int) -> UNet1dConfig:
        """Shape of the network for matrices of the given rows and columns."""
        return UNet1dConfig(channels=width, length=length, widths=self.widths, attention=self.attention)
