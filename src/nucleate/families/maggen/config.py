"""Choices of the family; the presets give the published ones with their places in the paper."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nucleate.conditions.kinds import Scalar
from nucleate.conditions.quantities import NamedScalars
from nucleate.configuration import Settings
from nucleate.families.base import FamilyConfig
from nucleate.families.matrix_templates import Cells
from nucleate.networks.cnn1d import Tower
from nucleate.symmetry.space_group import MAX_SYMPREC


class SamplerConfig(Settings):
    """How points of the latent space are made from those of known crystals.

    Attributes:
        method: "local" adds noise to a parent's point; "slerp" takes a point on the arc between two parents;
            "global" draws from the normal distribution of all parents' points.
        scale: Of the noise of "local" and "global", in units of the latent space.
        parents: Which known crystals: "all"; those that have the properties "asked" for; or of those the "connected"
            ones, whose edges in the latent graph mostly lead to their own class.
        similarity: Tanimoto similarity from which two points share an edge.
        correct: Share of a connected parent's edges that lead to its own class, more than this.
        draws: Most points for a crystal. One whose atoms are too close, or without symmetry where ``symmetry`` or
            ``symmetrize`` ask for it, is drawn again; the best is kept. With 1, whatever comes is kept.
        symmetrize: Tolerance in Å within which a finished crystal is moved onto the symmetry it nearly has; 0
            leaves it as it came.
        symmetry: "templates" decodes a point of "local" onto the symmetry of its parent, where sites and elements still
            allow it; it needs a model whose sites are in "canonical" order. "free" leaves it as it came.
    """

    method: Literal["local", "slerp", "global"] = "local"
    scale: float = Field(default=1.0, ge=0)
    parents: Literal["all", "asked", "connected"] = "connected"
    similarity: float = Field(default=0.4, gt=-1, lt=1)
    correct: float = Field(default=0.8, ge=0, lt=1)
    draws: int = Field(default=1, ge=1, le=100)
    symmetrize: float = Field(default=0.0, ge=0, le=MAX_SYMPREC)
    symmetry: Literal["templates", "free"] = "free"


PAPER_SAMPLER = SamplerConfig()
"""Section on generation: noise of scale 1, parents with more than 80 % correct edges at a similarity of 0.4."""

DEFAULT_SAMPLER = SamplerConfig(scale=1.2, draws=50, symmetry="templates")
"""A little more than the paper's noise, since what keeps the symmetry of its parent is more often a known crystal;
crystals that are invalid or lost that symmetry are drawn again, for next to nothing."""


class MagGenConfig(FamilyConfig):
    """A model of the family.

    Attributes:
        max_elements, max_atoms: Columns and sites that the matrix holds.
        cells: "reduced" cells as they come, or primitive "standard" cells, refined to the space group.
        order: Of the sites: "given" as they come (the paper), or "canonical".
        scale: One linear scale for each "row" of the matrix (the paper) or for each "entry".
        channels, kernels, strides: Of the convolutions (supplement S2); the decoder mirrors them. None at all
            leaves a perceptron over the flattened matrix.
        dense: Width of the layer between convolutions and latent space.
        direct: A linear map beside the layers of encoder and decoder.
        latent: Dimensions of the latent space.
        loss: "squared" error of every entry (the paper's), or "blocks": cross-entropies of elements and
            occupancies, mean absolute errors of the cell and, over occupied sites alone, of the coordinates.
        weights: Of the blocks: elements, occupancy, coordinates, cell.
        divergence: Weight of the Kullback-Leibler divergence, α₁ of the paper.
        property_weight: Of each property branch's squared error, α₂ and α₃ of the paper.
        branch_noise: Standard deviation of the noise on the points that the branches read in training, so that a
            property holds as far around a crystal as new ones are made; 0 for the mean itself (the paper).
        conditions: Properties with a branch each.
        branch: Widths of a branch.
        bounded: Branches and matrices end in a sigmoid (the paper), the targets scaled to 0..1 by their range; else
            only elements and occupancies do, and targets are standardised.
        sampler: Default way to make points.
    """

    max_elements: int = Field(default=3, ge=1, le=10)
    cells: Cells = "standard"
    order: Literal["given", "canonical"] = "canonical"
    scale: Literal["row", "entry"] = "row"
    channels: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    dense: int = Field(default=512, ge=1)
    direct: bool = True
    latent: int = Field(default=256, ge=2)
    loss: Literal["squared", "blocks"] = "blocks"
    weights: tuple[float, float, float, float] = (1.0, 1.0, 40.0, 10.0)
    divergence: float = Field(default=6e-3, ge=0)
    property_weight: float = Field(default=4.0, ge=0)
    branch_noise: float = Field(default=0.7, ge=0)
    conditions: NamedScalars = (Scalar(name="formation_energy", unit="eV/atom"),
                                      Scalar(name="saturation_magnetization", unit="T"))  # fmt: skip
    branch: tuple[int, ...] = (128, 32)
    bounded: bool = False
    sampler: SamplerConfig = DEFAULT_SAMPLER

    @classmethod
    def paper(cls) -> MagGenConfig:
        """As published: supplement S2 and Table S4; 11.4 million parameters."""
        tower = Tower()
        return cls(
            cells="reduced",
            order="given",
            channels=tower.channels,
            kernels=tower.kernels,
            strides=tower.strides,
            dense=1024,
            direct=False,
            loss="squared",
            divergence=1e-6,
            property_weight=2.0,
            branch_noise=0.0,
            bounded=True,
            sampler=PAPER_SAMPLER,
        )

    @property
    def tower(self) -> Tower:
        """The convolutions."""
        return Tower(self.channels, self.kernels, self.strides)
