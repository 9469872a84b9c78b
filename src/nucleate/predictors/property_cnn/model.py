"""A convolutional network from the matrix of a crystal to its properties.

Both magnet papers judge crystals by such networks on their matrix: Mal, Seal & Sen (MagGen, 2023) as branches of the
latent space, Mal, Mishra & Sen (DiffCrysGen, 2025) as two networks, whose layers they do not give.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import Noise
from nucleate.errors import UserError
from nucleate.guidance.training_labels import fitted_conditions, labels_of
from nucleate.networks.cnn1d import SLOPE, ConvolutionEncoder, branch
from nucleate.predictors.property_cnn.augmentation import redescribed
from nucleate.predictors.property_cnn.config import PropertyCNNConfig
from nucleate.representations.ircr import IRCR
from nucleate.representations.scaling import MatrixScaling
from nucleate.representations.site_order import canonical

ROWS = ("number", "electronegativity", "period", "group", "valence", "d_electrons", "fraction", "zero")
"""The property rows of both papers, and one of zeros, which make 144 rows with 20 sites."""
TOGETHER = 512
"""Crystals predicted at once."""
CORNER = 0.1
"""Where the loss turns from the square to the absolute value, in standard deviations of a property."""


class PropertyCNN(nn.Module):
    """The predictor's model: representation, scale, shared layers and a head for each property."""

    def __init__(self, config: PropertyCNNConfig, name: str = "property-cnn") -> None:
        super().__init__()
        self.config, self.name = config, name
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
        """What it can take, in words."""
        return f"a crystal of up to {self.config.max_elements} elements up to Pu and {self.config.max_atoms} sites"

    def fit(self, crystals: Crystals) -> Crystals:
        """Take scale and statistics from training crystals and return those crystals ready for a call.

        Arguments:
            crystals: Of any kind, with labels in the crystal fields ``label/NAME``; those that the matrix cannot
                hold are left out.

        Raises:
            UserError: The matrix can hold none of them.
        """
        kept = self.prepared(self.ircr.held(crystals))
        self.scaling.fit(self.ircr.encode(kept.to(dtype=torch.float64)))
        self.config = self.config.model_copy(update={"conditions": fitted_conditions(self.config.conditions, kept)})
        return kept

    def prepared(self, crystals: Crystals) -> Crystals:
        """Crystals as a call takes them; those that the matrix cannot hold are left out."""
        return canonical(crystals[self.ircr.fits(crystals)]).to(dtype=torch.float32)

    def forward(self, crystals: Crystals, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`, for each property and in total.

        A property's loss weighs its known labels so that their mean over a batch is the loss over all of them.
        """
        if self.training and self.config.augment > 0:
            crystals = redescribed(crystals, noise, self.config.augment)
        found = self._standardised(self.ircr.encode(crystals))
        labels = labels_of(crystals, self.config.conditions).values
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
            ready = self.prepared(crystals[some].to("cpu")).to(device)
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
