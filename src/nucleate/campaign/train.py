"""Training a family on a data set, from table to model folder, and the steps that every training has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor

from nucleate.conditions.kinds import Condition
from nucleate.conditions.labels import Labels
from nucleate.conditions.quantities import quantity
from nucleate.crystal.periodic import usable_cells
from nucleate.data.dataset import Dataset, hold_out_system, known_labels, label, split
from nucleate.errors import UserError
from nucleate.execution.executor import Progress, silent
from nucleate.families.registry import trainable
from nucleate.symmetry.space_group import niggli_reduced
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import ModelFacts, halved, write_model
from nucleate.training.model import LabelledConfig, ModelConfig, Overrides, TrainableModel, TrainConfig
from nucleate.training.trainer import Trainer, read_progress

FEWEST_TO_SPLIT = 20
"""Below this many crystals all of them are trained on, and nothing is validated."""
HALF_PRECISION_LOSS = 0.01
"""Relative rise of the validation loss at which weights are not stored in half precision."""


@dataclass(frozen=True)
class TrainingTask:
    """Data, settings and folder of a training.

    Attributes:
        dataset: Structures; those that the model cannot take are left out and counted in its card.
        out: The model's folder; its name becomes the model's. Checkpoint and loss curve lie in its ``training`` folder.
        overrides: Settings of the model and of :class:`nucleate.training.model.TrainConfig`, as text.
        seed: Of everything that is drawn.
        device: Where to train.
        resume: Go on with the training found in ``out``.
        progress: Called with "train", the number of steps done and of all.
    """

    dataset: Dataset
    out: Path
    overrides: Mapping[str, str]
    seed: int = 0
    device: str = "cpu"
    resume: bool = False
    progress: Progress = silent

    @property
    def name(self) -> str:
        """Name of the new model."""
        return self.out.resolve().name

    @property
    def source(self) -> str:
        """Name of the file that the structures come from."""
        return Path(self.dataset.source).name

    def folder(self) -> Path:
        """Where checkpoint and loss curve lie.

        Raises:
            UserError: A training is there that is not to go on.
        """
        folder = self.out / "training"
        if not self.resume and read_progress(folder) is not None:
            raise UserError(str(self.out), "a training", "a new folder, or --resume to go on with this one")
        return folder

    def settings(self, model: Sequence[str], defaults: TrainConfig) -> tuple[TrainConfig, Overrides]:
        """Settings of the training, and values for settings of the model, of which ``model`` are the names.

        Raises:
            UserError: A setting is unknown, or a value for the training does not fit.
        """
        values = {name: _value(text) for name, text in self.overrides.items()}
        of_training = TrainConfig.model_fields
        known = {*of_training, *model}
        unknown = [name for name in values if name.partition(".")[0] not in known]
        if unknown:
            raise UserError("--set", repr(unknown[0]), "one of " + ", ".join(sorted(known)))
        how = {name: value for name, value in values.items() if name in of_training}
        config = TrainConfig.checked({**defaults.model_dump(), "seed": self.seed, **how}, where="--set")
        return config, {name: value for name, value in values.items() if name not in of_training}

    def run(self, trainer: Trainer, train: TrainingBatch, validation: TrainingBatch | None) -> Trained:
        """The model's final weights, halved where that costs nothing, and what the validation says of them."""
        weights = trainer.fit(train, validation, lambda done, total, _: self.progress("train", done, total))
        if validation is None:
            return Trained(weights, {})
        losses = trainer.validate(validation)
        half = halved(weights)
        if trainer.validate(validation, half)["total"] <= losses["total"] * (1 + HALF_PRECISION_LOSS):
            weights = half
        return Trained(weights, {f"validation loss, {name}": value for name, value in losses.items()})


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        weights: The model's state.
        measured: Losses by name, dimensionless, for the card; empty without a validation.
    """

    weights: Mapping[str, Tensor]
    measured: Mapping[str, float]


def train_family(family: str, task: TrainingTask, hold_out: Sequence[str] = ()) -> Path:
    """Train, and return the model's folder.

    Arguments:
        family: Preset of a family, or of a predictor with conditions, such as "diffcsp".
        task: What to train on, and how.
        hold_out: Chemical systems such as ``Al-Mg-O`` of which nothing is learned, subsystems included.

    Raises:
        UserError: Family, setting or data are not usable, or the folder holds another training.
    """
    spec, preset = trainable(family)
    if not issubclass(spec.config, LabelledConfig):
        raise UserError("family", repr(family), "one that learns no columns; `nucleate train predictor` does")
    dataset, withheld = _without(task.dataset, hold_out)
    folder = task.folder()
    config, what = task.settings(spec.settings, spec.training)
    asked = spec.configured({"preset": preset, **what})
    usable = usable_rows(dataset, asked.max_atoms)
    labels = _labels(usable, asked.conditions, spec.fewest_labels, strict="conditions" in what)
    kept = tuple(c for c in asked.conditions if c.name in labels or c.kind == "multi_hot")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = spec.model(asked.model_copy(update={"conditions": kept}), task.name)
    train, *others = in_parts(usable, labels, config.seed)
    train = model.fit(train)
    validation = model.prepared(others[0]) if others else None
    described = described_by(model.config)
    identity: dict[str, JsonValue] = {
        "family": family,
        "model": learned(described),
        "data": dataset.digest,
        "withheld": dict(withheld),
    }
    trainer = Trainer(model, config, folder, identity, task.device)
    trained = task.run(trainer, train, validation)
    seen = len(train) + (0 if validation is None else len(validation))
    write_model(
        task.out,
        finished_weights(model, train, trained.weights),
        ModelFacts(
            family=spec.name,
            name=task.name,
            summary=f"{family} trained on {len(train)} crystals of {task.source}",
            config=described,
            data={
                "origin": task.source,
                "sha256": dataset.digest,
                **counted(train, validation),
                **withheld,
                "left out (too large, unknown elements, degenerate cells)": len(dataset) - seen,
            },
            training=config.model_dump(mode="json"),
            cost=trainer.cost,
            measured=trained.measured,
            notes=("Trained by a user of Nucleate; generated crystals were not judged yet.",),
        ),
    )
    return task.out


def described_by(config: ModelConfig) -> dict[str, JsonValue]:
    """A configuration, with the statistics of the labels, as plain JSON."""
    return config.model_dump(mode="json")


def learned(described: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The part of a configuration that a training depends on."""
    return {name: value for name, value in described.items() if name != "sampler"}


def _without(dataset: Dataset, systems: Sequence[str]) -> tuple[Dataset, dict[str, int]]:
    """The rows outside the systems, and how many each of them took away."""
    withheld = {}
    for system in systems:
        dataset, inside = hold_out_system(dataset, system)
        withheld[f"withheld: {system} and its subsystems"] = len(inside)
    if not len(dataset):
        raise UserError("--hold-out-system", ", ".join(systems), "systems that leave something to train on")
    return dataset, withheld


def counted(train: TrainingBatch, validation: TrainingBatch | None) -> dict[str, int]:
    """How many crystals a model learned from and was looked at with, for its card."""
    return {
        "training crystals": len(train),
        "validation crystals": 0 if validation is None else len(validation),
    }


def in_parts(dataset: Dataset, labels: Mapping[str, Tensor], seed: int) -> list[TrainingBatch]:
    """Training and, where there are enough, validation crystals in reduced cells, with their labels."""
    carried = carrying(dataset, labels)
    parts = split(carried, 0.1, seed=seed) if len(carried) >= FEWEST_TO_SPLIT else (carried,)
    return [reduced_cells(part, list(labels)) for part in parts]


def carrying(dataset: Dataset, labels: Mapping[str, Tensor]) -> Dataset:
    """The data set with labels as columns ``label/NAME``, so that they go where its rows go."""
    return replace(dataset, table=dataset.table.assign(**{f"label/{k}": v.numpy() for k, v in labels.items()}))


def labels_in(dataset: Dataset, names: Iterable[str]) -> Labels:
    """Labels (B,) by the name of the quantity from the columns of :func:`carrying`."""
    return Labels.of({name: dataset.column(f"label/{name}") for name in names})


def finished_weights(
    model: TrainableModel, train: TrainingBatch, weights: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """The final weights, with what the model keeps of its training crystals, in the weights' precision."""
    model.load_state_dict(weights)
    model.finished(train)
    state = model.state_dict()
    return halved(state) if any(value.dtype == torch.bfloat16 for value in weights.values()) else state


def _value(text: str) -> JsonValue:
    """A number, truth value or list where the text is one (lists also as ``1,2``), else the text."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return [_value(part.strip()) for part in text.split(",")] if "," in text else text
    return value


def usable_rows(dataset: Dataset, max_atoms: int) -> Dataset:
    """The rows that a model of crystals of at most ``max_atoms`` sites can take.

    Raises:
        UserError: There are none.
    """
    crystals = dataset.crystals
    fits = (crystals.n_atoms > 0) & (crystals.n_atoms <= max_atoms) & (crystals.numbers.amax(1) <= 100)
    fits &= usable_cells(crystals)
    if not fits.any():
        raise UserError(dataset.source, "no crystal to train on", f"crystals of 1 to {max_atoms} atoms, Z up to 100")
    return dataset[fits.nonzero().flatten()]


def _labels(dataset: Dataset, conditions: Sequence[Condition], fewest: int, strict: bool) -> dict[str, Tensor]:
    """Labels of the conditions by name; those with fewer than ``fewest`` are left out, or an error if ``strict``."""
    names = tuple(condition.name for condition in conditions if condition.kind != "multi_hot")
    found = {name: label(dataset, name) for name in names} if strict else known_labels(dataset, names)
    counts = {name: int(values.isfinite().sum()) for name, values in found.items()}
    few = [name for name, count in counts.items() if count < fewest]
    if strict and few:
        raise UserError(f"{dataset.source}, {few[0]}", f"{counts[few[0]]} labels", f"at least {fewest} for a condition")
    kept = {name: values for name, values in found.items() if name not in few}
    for name, values in kept.items():
        quantity(name).warn_of_units(values, dataset.source)
    return kept


def reduced_cells(dataset: Dataset, names: Sequence[str]) -> TrainingBatch:
    """Reduced cells with their labels."""
    return TrainingBatch(niggli_reduced(dataset.crystals), labels_in(dataset, names))
