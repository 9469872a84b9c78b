"""Convolutional networks on the matrix of a crystal, for any column of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from nucleate.conditions.kinds import Scalar
from nucleate.conditions.labels import fitted_conditions
from nucleate.conditions.quantities import NamedScalars
from nucleate.crystal.crystals import Crystals, wrap
from nucleate.diffusion.noise import Noise
from nucleate.errors import UserError
from nucleate.networks.cnn1d import SLOPE, ConvolutionEncoder, Tower, branch
from nucleate.predictors.base import Predictor, PredictorSpec
from nucleate.representations.ircr import IRCR, MatrixScaling, canonical, shuffled
from nucleate.training.batch import TrainingBatch
from nucleate.training.model import LabelledConfig, TrainConfig


class PropertyCNNConfig(LabelledConfig):
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
    def tower(self) -> Tower:
        """The convolutions."""
        return Tower(self.channels, self.kernels, self.strides)


_AXES = torch.tensor(list(permutations(range(3))))


def redescribed(crystals: Crystals, noise: Noise, share: float) -> Crystals:
    """A share of the crystals with elements and sites in random order, axes exchanged and the origin moved.

    Exchanging two axes also mirrors a crystal where its cell was right-handed; no scalar property tells the two apart.
    """
    size = len(crystals)
    chosen = noise.uniform("augment", (size,)) < share
    mixed = shuffled(crystals, noise)
    pick = (noise.uniform("augment/axes", (size,)) * len(_AXES)).long().clamp_max(len(_AXES) - 1)
    axes = _AXES.to(pick.device)[pick]
    shift = noise.uniform("augment/origin", (size, 3)).to(crystals.frac.dtype)
    frac = wrap(mixed.frac + shift[:, None]).gather(2, axes[:, None].expand_as(mixed.frac))
    frac = torch.where(mixed.mask[..., None], frac, 0.0)
    lattice = mixed.lattice.gather(1, axes[:, :, None].expand_as(mixed.lattice))

    def either(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *([1] * (new.dim() - 1))), new, old)

    return replace(
        crystals,
        numbers=either(mixed.numbers, crystals.numbers),
        frac=either(frac, crystals.frac),
        lattice=either(lattice, crystals.lattice),
    )


ROWS = ("number", "electronegativity", "period", "group", "valence", "d_electrons", "fraction", "zero")
"""The property rows of both papers, and one of zeros, which make 144 rows with 20 sites."""
TOGETHER = 512
"""Crystals predicted at once."""
CORNER = 0.1
"""Where the loss turns from the square to the absolute value, in standard deviations of a property."""


class PropertyCNN(Predictor):
    """The predictor's model: representation, scale, shared layers and a head for each property."""

    config: PropertyCNNConfig

    def __init__(self, config: PropertyCNNConfig, name: str = "property-cnn") -> None:
        super().__init__(config, name)
        self.ircr = IRCR(config.max_elements, config.max_atoms, ROWS)
        self.scaling = MatrixScaling((self.ircr.length, self.ircr.width), (0.0, 1.0))
        self.convolutions = ConvolutionEncoder(self.ircr.width, self.ircr.length, config.tower)
        width = self.convolutions.features + (self.ircr.width * self.ircr.length if config.direct else 0)
        layers: list[nn.Module] = []
        for wanted in config.dense:
            layers += [nn.Linear(width, wanted), nn.LeakyReLU(SLOPE), nn.Dropout(config.dropout)]
            width = wanted
        self.shared = nn.Sequential(*layers)
        self.heads = nn.ModuleList([branch(width, config.head) for _ in config.conditions])

    @property
    def columns(self) -> Mapping[str, str]:
        """Units of the properties by name."""
        return {condition.name: condition.unit for condition in self.config.conditions}

    @property
    def limit(self) -> str:
        """Crystals that it can take, in words."""
        return f"a crystal of up to {self.config.max_elements} elements up to Pu and {self.config.max_atoms} sites"

    def fit(self, batch: TrainingBatch) -> TrainingBatch:
        """Take scale and statistics from training crystals and return those crystals ready for a call.

        Arguments:
            batch: Crystals of any kind, with labels; those that the matrix cannot hold are left out.

        Raises:
            UserError: The matrix can hold none of them.
        """
        kept = self.prepared(batch[self.ircr.held(batch.crystals)])
        self.scaling.fit(self.ircr.encode(kept.crystals.to(dtype=torch.float64)))
        conditions = fitted_conditions(self.config.conditions, kept.labels_of(self.config.conditions))
        self.config = self.config.model_copy(update={"conditions": conditions})
        return kept

    def prepared(self, batch: TrainingBatch) -> TrainingBatch:
        """Crystals as a call takes them; those that the matrix cannot hold are left out."""
        kept = batch[self.ircr.fits(batch.crystals)]
        return replace(kept, crystals=canonical(kept.crystals)).to(dtype=torch.float32)

    def forward(self, batch: TrainingBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`, for each property and in total.

        A property's loss weighs its known labels so that their mean over a batch is the loss over all of them.
        """
        crystals = batch.crystals
        if self.training and self.config.augment > 0:
            crystals = redescribed(crystals, noise, self.config.augment)
        found = self._standardised(self.ircr.encode(crystals))
        labels = batch.labels_of(self.config.conditions).values
        losses = {}
        for i, condition in enumerate(self.config.conditions):
            target = (labels[condition.name] - condition.mean) / condition.std
            known = target.isfinite()
            off = F.smooth_l1_loss(found[:, i], target.nan_to_num(0.0), reduction="none", beta=CORNER)
            losses[condition.name] = off.where(known, 0.0) * (len(known) / known.sum().clamp_min(1))
        return {"total": torch.stack(list(losses.values()), 1).sum(1), **losses}

    @torch.inference_mode()
    def predict(self, crystals: Crystals, column: str) -> Tensor:
        """A property of crystals, shape (B,), float64; NaN where the matrix cannot hold one.

        Raises:
            UserError: The network does not know the property.
        """
        if column not in self.columns:
            raise UserError(f"predictor {self.name}", f"no {column!r}", f"one of {', '.join(self.columns)}")
        self.eval()
        place = list(self.columns).index(column)
        condition = self.config.conditions[place]
        found = torch.full((len(crystals),), torch.nan, dtype=torch.float64)
        rows = self.ircr.fits(crystals).cpu().nonzero().flatten()
        device = self.scaling.low.device
        for some in rows.split(TOGETHER):
            ready = canonical(crystals[some].to("cpu")).to(device, torch.float32)
            answer = self._standardised(self.ircr.encode(ready))[:, place]
            found[some] = answer.cpu().double() * condition.std + condition.mean
        return found

    def _standardised(self, matrices: Tensor) -> Tensor:
        """Properties in standard deviations from their mean, (B, C)."""
        scaled = self.scaling(matrices)
        features = self.convolutions(scaled)
        if self.config.direct:
            features = torch.cat([features, scaled.flatten(1)], 1)
        shared = self.shared(features)
        return torch.cat([head(shared) for head in self.heads], 1)


SPEC = PredictorSpec(
    name="property_cnn",
    config=PropertyCNNConfig,
    model=PropertyCNN,
    presets={"property-cnn": PropertyCNNConfig},
    training=TrainConfig(learning_rate=2e-3, batch=(128, 128), mixed_sizes=True, ema=0.995),
    fewest_labels=100,
)
