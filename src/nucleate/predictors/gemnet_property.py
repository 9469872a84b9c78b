"""Properties by GemNet-dT with a mean readout (Zeni et al., 2025, D.6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import usable_cells
from nucleate.diffusion.noise import Noise
from nucleate.errors import UserError
from nucleate.networks.gemnet import GemNetConfig, GemNetEncoder
from nucleate.predictors.base import ColumnConfig, Predictor, PredictorSpec, Target
from nucleate.training.batch import TrainingBatch
from nucleate.training.model import TrainConfig

N_SPECIES = 100


class GemNetPredictorConfig(ColumnConfig):
    """The regressor of MatterGen's Fig. 5h (D.6.1) and smaller ones.

    Attributes:
        size: "small", or "paper": three blocks, cutoff 10 Å, width 128.
        hidden, edge, blocks, cutoff, neighbours: Of the network; None for those of the size.
        readout: Hidden width of the readout of each site.
        max_atoms: Largest crystal it is trained on and answers for.
    """

    size: Literal["small", "paper"] = "small"
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


SCALE_CRYSTALS = 64
"""Crystals that the scale factors are fitted on."""
PAIRS = 12_000
"""Pairs of sites, about, in a batch of predictions."""


class GemNetPredictor(Predictor):
    """Property columns of crystals; the answer holds for any cell, orientation and order of sites of a crystal.

    Arguments:
        config: Settings; without targets there is nothing to answer.
        name: Of the model.
    """

    config: GemNetPredictorConfig

    def __init__(self, config: GemNetPredictorConfig, name: str) -> None:
        super().__init__(config, name)
        self.encoder = GemNetEncoder(config.network)
        count = len(config.targets)
        width = config.network.hidden + config.network.edge
        self.hide, self.answer = nn.Linear(width, config.readout), nn.Linear(config.readout, count)

    @property
    def columns(self) -> Mapping[str, str]:
        """Its columns; units are those of the labels and not known."""
        return {target.name: "" for target in self.config.targets}

    @property
    def limit(self) -> str:
        """Crystals that it can take, in words."""
        return f"a crystal of up to {self.config.max_atoms} sites and elements up to Fm with a usable cell"

    def fit(self, batch: TrainingBatch) -> TrainingBatch:
        """Take the statistics of the labels and return the crystals ready for a call.

        Raises:
            UserError: A target has no label, or one that has no logarithm.
        """
        targets = [_fitted(target, batch.labels.values[target.name]) for target in self.config.targets]
        self.config = self.config.model_copy(update={"targets": tuple(targets)})
        ready = self.prepared(batch)
        # Crystals of every size, not those that happen to come first.
        some = torch.argsort(ready.crystals.n_atoms, stable=True)[:: max(1, len(ready) // SCALE_CRYSTALS)]
        part = ready.crystals[some]
        self.encoder.fit_scales(self._species(part), part.frac, part.lattice, None, part.mask)
        return ready

    def prepared(self, batch: TrainingBatch) -> TrainingBatch:
        """Crystals as a call takes them: single precision, labels as they are learned, in standard deviations."""
        labels = {}
        for target in self.config.targets:
            label = batch.labels.values[target.name].double()
            learned = label.log10() if target.log10 else label
            labels[target.name] = (learned - target.mean) / target.std
        return TrainingBatch.of(batch.crystals, labels).to(dtype=torch.float32)

    @override
    def forward(self, batch: TrainingBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of crystals from :meth:`fit`: the absolute error of every standardised target, and their sum."""
        wanted = torch.stack([batch.labels.values[target.name] for target in self.config.targets], 1)
        error = (self.standardised(batch.crystals).to(wanted.dtype) - torch.nan_to_num(wanted)).abs() * ~wanted.isnan()
        return {"total": error.sum(1), **{t.name: error[:, k] for k, t in enumerate(self.config.targets)}}

    def standardised(self, crystals: Crystals) -> Tensor:
        """Answers on the scale of the training, shape (B, targets)."""
        mask = crystals.mask
        *_, state = self.encoder.states(self._species(crystals), crystals.frac, crystals.lattice, None, mask)
        graph = state.graph
        number = torch.bincount(graph.target, minlength=graph.n_sites).clamp_min(1)[:, None]
        edges = (graph.table(state.edges).sum(1) / number).unflatten(0, mask.shape)
        values = self.answer(nn.functional.silu(self.hide(torch.cat([state.sites, edges], -1))))
        mean: Tensor = (values * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return mean

    @torch.inference_mode()
    def predict(self, crystals: Crystals, column: str) -> Tensor:
        """A property of crystals, float64, shape (B,); NaN where the model cannot take the crystal.

        Raises:
            UserError: The model does not know the column.
        """
        names = list(self.columns)
        if column not in names:
            raise UserError("column", repr(column), "one of " + ", ".join(names))
        k = names.index(column)
        target = self.config.targets[k]
        device, dtype = self.answer.weight.device, self.answer.weight.dtype
        result = torch.full((len(crystals),), torch.nan, dtype=torch.float64)
        rows = self.takes(crystals).nonzero().flatten()
        order = rows[torch.argsort(crystals.n_atoms[rows], stable=True)]
        for batch in _batches(order, crystals.n_atoms[order]):
            learned = self.standardised(crystals[batch].to(device, dtype))[:, k].double().cpu()
            learned = learned * target.std + target.mean
            result[batch] = 10.0**learned if target.log10 else learned
        return result

    def takes(self, crystals: Crystals) -> Tensor:
        """Which crystals the model can answer for, shape (B,)."""
        known = (crystals.n_atoms > 0) & (crystals.n_atoms <= self.config.max_atoms)
        inside = (crystals.numbers <= N_SPECIES) & ((crystals.numbers > 0) | ~crystals.mask)
        return known & inside.all(1) & usable_cells(crystals)

    def _species(self, crystals: Crystals) -> Tensor:
        place = (crystals.numbers - 1).clamp_min(0)
        return nn.functional.one_hot(place, N_SPECIES).to(self.answer.weight.dtype)


def _fitted(target: Target, labels: Tensor) -> Target:
    known = labels[labels.isfinite()].double()
    if not len(known):
        raise UserError(f"column {target.name!r}", "no label", "a number in at least one row")
    if target.log10 and float(known.min()) <= 0:
        raise UserError(f"column {target.name!r}", f"the label {float(known.min()):g}", "positive numbers for log10")
    learned = known.log10() if target.log10 else known
    std = float(learned.std()) if len(learned) > 1 else 0.0
    return target.model_copy(
        update={
            "mean": float(learned.mean()),
            "std": std if std > 1e-9 else 1.0,
            "low": float(known.min()),
            "high": float(known.max()),
        }
    )


def _batches(order: Tensor, n_atoms: Tensor) -> list[Tensor]:
    """Rows of ascending size, split so that padded pairs stay near ``PAIRS``."""
    batches, start = [], 0
    while start < len(order):
        guess = min(len(order), start + max(1, PAIRS // int(n_atoms[start]) ** 2))
        size = max(1, PAIRS // int(n_atoms[guess - 1]) ** 2)
        batches.append(order[start : start + size])
        start += size
    return batches


SPEC = PredictorSpec(
    name="gemnet_property",
    config=GemNetPredictorConfig,
    model=GemNetPredictor,
    presets={"predictor": GemNetPredictorConfig},
    training=TrainConfig(pairs=3200, batch=(8, 64), epochs=60, learning_rate=5e-4),
)
