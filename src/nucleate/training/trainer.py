"""One training loop for any model that gives losses for a batch of crystals: its state, resumed, and its loss curves.

The state is safetensors and JSON, written whole or not at all; the curves are a CSV for machines and a PNG for eyes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypedDict

import torch
from lightning_fabric import Fabric
from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nucleate.diffusion.noise import GeneratorNoise, Noise
from nucleate.errors import UserError
from nucleate.io.writing import write_whole
from nucleate.training.batch import TrainingBatch
from nucleate.training.model import TrainConfig

NAME = "checkpoint.safetensors"
FORMAT = 1

LossRow = dict[str, float | str]
"""Step, split, seconds and the losses by name."""


class HistoryState(TypedDict):
    """Everything of a :class:`History`, as plain JSON.

    Attributes:
        rows: Averaged losses (dimensionless) and seconds of the clock at a step.
        sums: Losses since the last row, added up.
        count: Number of steps since then.
    """

    rows: list[LossRow]
    sums: dict[str, float]
    count: int


class Progress(TypedDict):
    """Where a training stands: what it was configured with, steps, seconds of the clock, losses so far."""

    identity: Mapping[str, JsonValue]
    step: int
    seconds: float
    history: HistoryState


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write everything that a resumed training needs into one file.

    Arguments:
        folder: Of the training.
        model: With its current weights.
        average: Averaged weights by name.
        optimizer: Adam over the model's parameters, in their order.
        progress: Plain JSON: where the training stands and what it was configured with.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
    text = json.dumps({"format": FORMAT, **progress})
    data = save({name: value.detach().contiguous().clone() for name, value in tensors.items()}, {"progress": text})
    write_whole(folder / NAME, data)


def read_progress(folder: Path) -> Progress | None:
    """The progress of a checkpoint, or None where there is none.

    Raises:
        UserError: The file is damaged or of another version.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            progress = json.loads(file.metadata()["progress"])
            version = progress.pop("format")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(str(path), f"a damaged file ({error})", "a checkpoint of this training") from None
    if version != FORMAT:
        raise UserError(str(path), f"format {version}", f"format {FORMAT}")
    found: Progress = progress
    return found


def load_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Restore model and optimizer; returns the averaged weights."""
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    with safe_open(folder / NAME, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 (not a mapping)
            kind, name = key.split("/", 1)
            groups[kind][name] = file.get_tensor(key)
    model.load_state_dict(groups["model"])
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in groups["optimizer"].items():
        index, name = key.split("/", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return groups["average"]


_AVERAGED_STEPS = 100


class History:
    """Losses over a training; training losses are averaged over a hundred steps.

    Arguments:
        folder: Where ``losses.csv`` and ``losses.png`` are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[LossRow] = []
        self._sums: dict[str, float] = {}
        self._count = 0

    def accumulate(self, step: int, losses: dict[str, float], seconds: float) -> None:
        """Take the dimensionless losses of one training step, ``seconds`` after the start."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if self._count == _AVERAGED_STEPS:
            self.flush(step, seconds)

    def flush(self, step: int, seconds: float) -> None:
        """Add a row of the training losses (dimensionless) that are not in one yet, if there are any."""
        if self._count:
            self.add(step, "train", {name: value / self._count for name, value in self._sums.items()}, seconds)
            self._sums, self._count = {}, 0

    def add(self, step: int, split: str, losses: dict[str, float], seconds: float) -> None:
        """Add a row of losses (dimensionless) of a split, at a step and ``seconds`` after the start."""
        self.rows.append({"step": step, "split": split, "seconds": round(seconds, 1), **losses})

    def state(self) -> HistoryState:
        """Everything, as plain JSON."""
        return {"rows": self.rows, "sums": self._sums, "count": self._count}

    def restore(self, state: HistoryState) -> None:
        """Go back to an earlier :meth:`state`."""
        self.rows, self._sums, self._count = state["rows"], state["sums"], state["count"]

    def write(self) -> None:
        """Write ``losses.csv`` and, once there is a curve, ``losses.png``."""
        if not self.rows:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.folder / "losses.csv", text.getvalue().encode())
        write_whole(self.folder / "losses.png", self._picture())

    def _picture(self) -> bytes:
        from matplotlib.figure import Figure

        names = [name for name in self.rows[0] if name not in ("step", "split", "seconds")]
        figure = Figure(figsize=(3.2 * len(names), 2.8), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for split, style in (("train", "-"), ("validation", "o-")):
                rows = [row for row in self.rows if row["split"] == split]
                axes.plot([r["step"] for r in rows], [r[name] for r in rows], style, ms=3, lw=1, label=split)
            axes.set(title=name, xlabel="step", ylabel="loss")
        axes.legend(frameon=False)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=150)
        return data.getvalue()


def epoch_batches(n_atoms: Tensor, pairs: int, limits: tuple[int, int], seed: int, epoch: int) -> list[Tensor]:
    """Rows of every batch of one epoch, in random order.

    Arguments:
        n_atoms: Sites of each crystal, shape (R,).
        pairs: Pairs of sites in a batch, about; a batch's time and memory follow them.
        limits: Fewest and most crystals in a batch, the last of each size excepted.
        seed: Of the training.
        epoch: Number of the epoch; every epoch has an order of its own.
    """
    generator = torch.Generator().manual_seed(stream_seed(seed, epoch))
    shuffled = torch.randperm(len(n_atoms), generator=generator)
    batches: list[Tensor] = []
    for size in n_atoms.unique().tolist():
        rows = shuffled[n_atoms[shuffled] == size]
        batches += rows.split(min(max(pairs // size**2, limits[0]), limits[1]))
    order = torch.randperm(len(batches), generator=generator)
    return [batches[i] for i in order.tolist()]


def stream_seed(seed: int, number: int) -> int:
    """Seed of the generator of one step or epoch.

    The processor's generator looks at the lowest 32 bits alone, so the higher bits of the seed are folded into them.
    """
    spread = seed * 0x9E3779B97F4A7C15 % 2**64
    return ((spread ^ spread >> 32) + number) % 2**63


_VALIDATION_STREAM = 2**40


class Trainable(Protocol):
    """A module whose call gives the losses of each crystal by name, "total" among them."""

    def __call__(self, batch: TrainingBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses, each of shape (B,)."""


class Trainer:
    """Adam with warm-up, cosine decay, clipped gradients and averaged weights.

    Arguments:
        model: The module to train; its losses come from :class:`Trainable`.
        config: How.
        folder: Where checkpoint and history live; a checkpoint found there is resumed.
        identity: Plain JSON that says what is trained on what; a checkpoint of another identity is refused.
        device: Lightning Fabric's accelerator.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        folder: Path,
        identity: Mapping[str, JsonValue],
        device: str = "cpu",
    ) -> None:
        self.config, self.folder = config, folder
        self.identity = {"train": config.model_dump(mode="json"), **identity}
        self.fabric = Fabric(accelerator=device, devices=1, precision=config.precision)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
        _, self.optimizer = self.fabric.setup(model, optimizer)
        self.model = model  # Fabric's wrapper would take the frozen containers apart; autocast is all it is needed for
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.history = History(folder)
        self.step, self.seconds, self.device = 0, 0.0, device

    @property
    def cost(self) -> dict[str, str | int | float]:
        """Costs of the training so far (hours, seconds, counts), for the model's card."""
        return {"steps": self.step, "seconds": round(self.seconds, 1), "device": self.device}

    def fit(
        self,
        train: TrainingBatch,
        validation: TrainingBatch | None = None,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> dict[str, Tensor]:
        """Train to the end of the last epoch; returns the averaged weights.

        Arguments:
            train: Training crystals, as the model prepared them.
            validation: The same for the crystals that are only looked at.
            progress: Called after every step with (steps done, steps in all, loss).

        Raises:
            UserError: A checkpoint of another training is in the way, or a loss is not finite.
        """
        epochs = self._epoch_starts(train)
        self._resume()
        saved = started = time.monotonic()
        while self.step < epochs[-1]:
            epoch = sum(start <= self.step for start in epochs) - 1
            for rows in self._batches(train, epoch)[self.step - epochs[epoch] :]:
                loss = self._advance(train[rows], epochs[-1])
                ended = self.step == epochs[epoch + 1]
                if ended and self._validates(epoch) and validation is not None:
                    self.history.add(self.step, "validation", self.validate(validation), self.seconds)
                now = time.monotonic()
                self.seconds, started = self.seconds + now - started, now
                if now - saved > self.config.checkpoint_seconds and self.step < epochs[-1]:
                    self._save()
                    saved = time.monotonic()
                if progress is not None:
                    progress(self.step, epochs[-1], loss)
        self.history.flush(self.step, self.seconds)
        self._save()
        return self.average

    @torch.no_grad()
    def validate(self, data: TrainingBatch, weights: Mapping[str, Tensor] | None = None) -> dict[str, float]:
        """Mean dimensionless losses under some weights, the averaged ones by default, with the same noise each time."""
        current = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average if weights is None else weights)
        self.model.eval()
        sums: dict[str, float] = {}
        for rows in epoch_batches(self._sizes(data), self.config.pairs, self.config.batch, 0, 0):
            for name, value in self._losses(data[rows], _VALIDATION_STREAM + int(rows[0])).items():
                sums[name] = sums.get(name, 0.0) + float(value.sum())
        self.model.train()
        self.model.load_state_dict(current)
        return {name: value / len(data) for name, value in sums.items()}

    def _advance(self, batch: TrainingBatch, total_steps: int) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * _schedule(self.step, self.config.warmup, total_steps)
        losses = self._losses(batch, self.step)
        means = {name: value.mean() for name, value in losses.items()}
        if not torch.isfinite(means["total"]):
            lower = "a lower rate, --set learning_rate=VALUE"
            raise UserError(f"training step {self.step}", "a loss that is not finite", lower)
        self.fabric.backward(means["total"])
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        # Early on an average over thousands of steps would still hold the initial weights.
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay) if value.is_floating_point() else self.average[name].copy_(value)
        values = {name: float(value.detach()) for name, value in means.items()}
        self.history.accumulate(self.step, values, self.seconds)
        return values["total"]

    def _validates(self, epoch: int) -> bool:
        return (epoch + 1) % self.config.validate_every == 0 or epoch + 1 == self.config.epochs

    def _losses(self, batch: TrainingBatch, stream: int) -> dict[str, Tensor]:
        with self.fabric.autocast():
            losses: dict[str, Tensor] = self.model(batch.to(self.fabric.device), self._noise(stream))
        return losses

    def _noise(self, stream: int) -> GeneratorNoise:
        generator = torch.Generator(self.fabric.device).manual_seed(stream_seed(self.config.seed, stream))
        return GeneratorNoise(generator)

    def _batches(self, train: TrainingBatch, epoch: int) -> list[Tensor]:
        return epoch_batches(self._sizes(train), self.config.pairs, self.config.batch, self.config.seed, epoch)

    def _sizes(self, data: TrainingBatch) -> Tensor:
        """Sizes by which crystals share a batch, shape (B,)."""
        n_atoms = data.crystals.n_atoms
        return torch.ones_like(n_atoms) if self.config.mixed_sizes else n_atoms

    def _epoch_starts(self, train: TrainingBatch) -> list[int]:
        per_epoch = len(self._batches(train, 0))
        return [per_epoch * epoch for epoch in range(self.config.epochs + 1)]

    def _save(self) -> None:
        self.history.write()
        progress: Progress = {
            "identity": self.identity,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history.state(),
        }
        save_checkpoint(self.folder, self.model, self.average, self.optimizer, progress)

    def _resume(self) -> None:
        progress = read_progress(self.folder)
        if progress is None:
            return
        if progress["identity"] != self.identity:
            raise UserError(
                str(self.folder), "a training with other settings or data", "the same ones, or a new folder"
            )
        average = load_checkpoint(self.folder, self.model, self.optimizer)
        self.average = {name: value.to(self.fabric.device) for name, value in average.items()}
        self.step, self.seconds = progress["step"], progress["seconds"]
        self.history.restore(progress["history"])


def _schedule(step: int, warmup: int, total: int) -> float:
    """Share of the learning rate: a linear rise, then a half cosine down to one percent."""
    rise = min(1.0, (step + 1) / (warmup + 1))
    return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / total)))
