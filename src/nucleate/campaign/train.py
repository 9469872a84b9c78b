"""Training a family on a data set, from table to model folder."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nucleate.errors import UserError
from nucleate.execution.progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor

    from nucleate.crystal.crystals import Crystals
    from nucleate.data.dataset import Dataset
    from nucleate.training.trainer import Trainer

FAMILIES = {
    "pigen": ("pigen", "pigen"),
    "diffcsp": ("pigen", "diffcsp"),
    "mattergen": ("mattergen", "mattergen"),
    "diffcrysgen": ("diffcrysgen", "diffcrysgen"),
    "maggen": ("maggen", "maggen"),
    "wyckoffdiff": ("wyckoffdiff", "wyckoffdiff"),
}
"""Package and preset behind each name of a family."""
PREDICTORS = {"property-cnn": ("property_cnn", "property-cnn")}
"""The same for predictors, which :func:`train_family` trains likewise."""
FEWEST_TO_SPLIT = 20
"""Below this many crystals all of them are trained on, and nothing is validated."""
HALF_PRECISION_LOSS = 0.01
"""Relative rise of the validation loss at which weights are not stored in half precision."""


@runtime_checkable
class Finishing(Protocol):
    """A model that keeps something of its training crystals that only its final weights can tell."""

    def finished(self, train: Crystals) -> None:
        """Take it from the crystals that it was trained on."""

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> object:
        """Of a module."""

    def state_dict(self) -> dict[str, Tensor]:
        """Of a module."""


def train_family(
    family: str,
    dataset: Dataset,
    overrides: Mapping[str, str],
    out: Path,
    *,
    hold_out: Sequence[str] = (),
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train, and write the model's folder; the resume state and the loss curve lie in its ``training`` folder.

    Arguments:
        family: Name of the family.
        dataset: Structures; those that the family cannot take are left out and counted in the card.
        overrides: Settings of the family and of :class:`nucleate.training.config.TrainConfig`, as text.
        out: The model's folder; its name becomes the model's.
        hold_out: Chemical systems such as ``Al-Mg-O`` of which nothing is learned, subsystems included.
        seed: Of everything that is drawn.
        device: Where to train.
        resume: Go on with the training found in ``out``.
        progress: Called with "train", the number of steps done and of all.

    Raises:
        UserError: Family, setting or data are not usable, or ``out`` holds another training.
    """
    import torch

    from nucleate.training.config import TrainConfig
    from nucleate.training.export import ModelFacts, write_model
    from nucleate.training.trainer import Trainer

    module, preset = family_module(family)
    dataset, withheld = _without(dataset, hold_out)
    folder, name = training_folder(out, resume), out.resolve().name
    how, what = sorted_settings(overrides, TrainConfig.model_fields, module.SETTINGS)
    config = TrainConfig.checked({**getattr(module, "TRAINING", {}), "seed": seed, **how}, where="--set")
    settings = {"preset": preset, **what}
    asked = module.configured(settings)
    usable = usable_rows(dataset, asked.max_atoms)
    fewest = getattr(module, "FEWEST_LABELS", 1)
    labels = _labels(usable, asked.conditions, fewest, strict="conditions" in what)
    kept = [condition for condition in asked.conditions if condition.name in labels or condition.kind == "multi_hot"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = module.build({**settings, "conditions": kept}, name)
    train, *others = in_parts(usable, labels, config.seed)
    train = model.fit(train)
    validation = model.prepared(others[0]) if others else None
    described = model.config.model_dump(mode="json")  # with the statistics of the labels
    what_is_learned = {name: value for name, value in described.items() if name != "sampler"}
    identity = {"family": family, "model": what_is_learned, "data": dataset.digest, "withheld": withheld}
    trainer = Trainer(model, config, folder, identity, device)
    weights = trainer.fit(train, validation, lambda done, total, _: progress("train", done, total))
    measured, weights = validated(trainer, validation, weights)
    if isinstance(model, Finishing):
        weights = _with_what_it_keeps(model, train, weights)
    write_model(
        out,
        weights,
        ModelFacts(
            family=module.FAMILY,
            name=name,
            summary=f"{family} trained on {len(train)} crystals of {Path(dataset.source).name}",
            config=described,
            data={
                "origin": Path(dataset.source).name,
                "sha256": dataset.digest,
                **counted(train, validation),
                **withheld,
                "left out (too large, unknown elements, degenerate cells)": len(dataset)
                - len(train)
                - (0 if validation is None else len(validation)),
            },
            training=config.model_dump(mode="json"),
            cost=trainer.cost,
            measured=measured,
            notes=("Trained by a user of Nucleate; generated crystals were not judged yet.",),
        ),
    )
    return out


def _without(dataset: Dataset, systems: Sequence[str]) -> tuple[Dataset, dict[str, int]]:
    """The rows outside the systems, and how many each of them took away."""
    from nucleate.data.dataset import hold_out_system

    withheld = {}
    for system in systems:
        dataset, inside = hold_out_system(dataset, system)
        withheld[f"withheld: {system} and its subsystems"] = len(inside)
    if not len(dataset):
        raise UserError("--hold-out-system", ", ".join(systems), "systems that leave something to train on")
    return dataset, withheld


def training_folder(out: Path, resume: bool) -> Path:
    """Where the checkpoint and the loss curve of a model folder lie.

    Raises:
        UserError: A training is there that is not to go on.
    """
    from nucleate.training.checkpoint import read_progress

    folder = out / "training"
    if not resume and read_progress(folder) is not None:
        raise UserError(str(out), "a training", "a new folder, or --resume to go on with this one")
    return folder


def counted(train: Crystals, validation: Crystals | None) -> dict[str, int]:
    """How many crystals a model learned from and was looked at with, for its card."""
    return {
        "training crystals": len(train),
        "validation crystals": 0 if validation is None else len(validation),
    }


def validated(
    trainer: Trainer, validation: Crystals | None, weights: dict[str, Tensor]
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """What the validation says of averaged weights, and those weights, halved where that costs nothing."""
    from nucleate.training.export import halved

    if validation is None:
        return {}, weights
    losses = trainer.validate(validation)
    measured = {f"validation loss, {name}": value for name, value in losses.items()}
    half = halved(weights)
    if trainer.validate(validation, half)["total"] <= losses["total"] * (1 + HALF_PRECISION_LOSS):
        weights = half
    return measured, weights


def in_parts(dataset: Dataset, labels: Mapping[str, Tensor], seed: int) -> list[Crystals]:
    """Training and, where there are enough, validation crystals in reduced cells, with their labels as fields."""
    from nucleate.data.dataset import split

    carried = carrying(dataset, labels)
    parts = split(carried, 0.1, seed=seed) if len(carried) >= FEWEST_TO_SPLIT else (carried,)
    return [reduced_cells(part, list(labels)) for part in parts]


def carrying(dataset: Dataset, labels: Mapping[str, Tensor]) -> Dataset:
    """The data set with labels as columns ``label/NAME``, so that they go where its rows go."""
    return replace(dataset, table=dataset.table.assign(**{f"label/{k}": v.numpy() for k, v in labels.items()}))


def label_fields(dataset: Dataset, names: Sequence[str]) -> dict[str, Tensor]:
    """Crystal fields ``label/NAME`` from the columns of :func:`carrying`."""
    return {f"label/{name}": dataset.column(f"label/{name}") for name in names}


def _with_what_it_keeps(model: Finishing, train: Crystals, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The final weights and what the model keeps of its training crystals, in the weights' precision."""
    import torch

    from nucleate.training.export import halved

    model.load_state_dict(weights)
    model.finished(train)
    state = model.state_dict()
    return halved(state) if any(value.dtype == torch.bfloat16 for value in weights.values()) else state


def family_module(name: str) -> tuple[ModuleType, str]:
    """The package of a family or predictor and its preset.

    Raises:
        UserError: There is no such family.
    """
    for folder, known in (("families", FAMILIES), ("predictors", PREDICTORS)):
        if name in known:
            package, preset = known[name]
            return importlib.import_module(f"nucleate.{folder}.{package}"), preset
    raise UserError("family", repr(name), "one of " + ", ".join((*FAMILIES, *PREDICTORS)))


def sorted_settings(
    overrides: Mapping[str, str], training: Mapping[str, object], family: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values for the training and for the family."""
    values = {name: _value(text) for name, text in overrides.items()}
    known = {*training, *family}
    unknown = [name for name in values if name.partition(".")[0] not in known]
    if unknown:
        raise UserError("--set", repr(unknown[0]), "one of " + ", ".join(sorted(known)))
    how = {name: value for name, value in values.items() if name in training}
    return how, {name: value for name, value in values.items() if name not in training}


def _value(text: str) -> Any:
    """A number, truth value or list where the text is one (lists also as ``1,2``), else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return [_value(part.strip()) for part in text.split(",")] if "," in text else text


def usable_rows(dataset: Dataset, max_atoms: int) -> Dataset:
    """The rows that a family can take.

    Raises:
        UserError: There are none.
    """
    from nucleate.crystal.periodic import usable_cells

    crystals = dataset.crystals
    fits = (crystals.n_atoms > 0) & (crystals.n_atoms <= max_atoms) & (crystals.numbers.amax(1) <= 100)
    fits &= usable_cells(crystals)
    if not fits.any():
        raise UserError(dataset.source, "no crystal to train on", f"crystals of 1 to {max_atoms} atoms, Z up to 100")
    return dataset[fits.nonzero().flatten()]


def _labels(dataset: Dataset, conditions: Sequence[Any], fewest: int, strict: bool) -> dict[str, Tensor]:
    """Labels of the conditions by name; those with fewer than ``fewest`` are left out, or an error if ``strict``."""
    from nucleate.conditions.quantities import warn_of_units
    from nucleate.data.dataset import known_labels, label

    names = tuple(condition.name for condition in conditions if condition.kind != "multi_hot")
    found = {name: label(dataset, name) for name in names} if strict else known_labels(dataset, names)
    counts = {name: int(values.isfinite().sum()) for name, values in found.items()}
    few = [name for name, count in counts.items() if count < fewest]
    if strict and few:
        raise UserError(f"{dataset.source}, {few[0]}", f"{counts[few[0]]} labels", f"at least {fewest} for a condition")
    kept = {name: values for name, values in found.items() if name not in few}
    for name, values in kept.items():
        warn_of_units(name, values, dataset.source)
    return kept


def reduced_cells(dataset: Dataset, names: Sequence[str]) -> Crystals:
    """Reduced cells with their labels."""
    from nucleate.symmetry.standard_cells import niggli_reduced

    crystals = niggli_reduced(dataset.crystals)
    return replace(crystals, crystal_fields={**crystals.crystal_fields, **label_fields(dataset, names)})
