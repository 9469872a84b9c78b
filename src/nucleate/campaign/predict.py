"""Predictors of property columns: training one from a table, and rows of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from pydantic import JsonValue

from nucleate.campaign.train import (
    FEWEST_TO_SPLIT,
    TrainingTask,
    carrying,
    counted,
    described_by,
    labels_in,
    usable_rows,
)
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import Dataset, label, split
from nucleate.errors import Status, UserError
from nucleate.families.registry import check_weights, find_model, trainable
from nucleate.io.validation import StructureFile
from nucleate.predictors.base import PREDICTORS, Predictor, Target
from nucleate.symmetry.space_group import primitive_cells
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import WEIGHTS, ModelFacts, StoredModel, write_model
from nucleate.training.trainer import Trainer


def train_predictor(columns: Sequence[str], task: TrainingTask, log10: bool = False) -> Path:
    """Train a predictor of columns and return its folder; a tenth of the rows is held out for its card.

    Arguments:
        columns: What to predict; anything that a condition could be named.
        task: What to train on, and how; a row may lack some of the columns.
        log10: Learn the logarithms of all columns.

    Raises:
        UserError: A column, a setting or the data are not usable, or the folder holds another training.
    """
    if not columns or len(set(columns)) < len(columns):
        raise UserError("--property", ", ".join(columns) or "nothing", "the columns to predict, each once")
    spec, preset = trainable("predictor")
    folder, dataset = task.folder(), task.dataset
    config, what = task.settings(spec.settings, spec.training)
    asked = spec.configured({"preset": preset, **what})
    targets = tuple(Target(name=column, log10=log10) for column in columns)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = spec.model(asked.model_copy(update={"targets": targets}), task.name)
    usable = usable_rows(dataset, model.config.max_atoms)
    labels = {column: label(usable, column) for column in columns}
    there = torch.stack(list(labels.values())).isfinite().any(0)
    if not there.any():
        raise UserError(dataset.source, f"no label in {', '.join(columns)}", "a number in at least one row")
    usable = carrying(usable, labels)[there.nonzero().flatten()]
    parts = split(usable, 0.1, 0.1, seed=config.seed) if len(usable) >= FEWEST_TO_SPLIT else (usable,)
    labelled = [_with_labels(part, columns) for part in parts if len(part)]
    train = model.fit(labelled[0])
    validation = model.prepared(labelled[1]) if len(labelled) > 1 else None
    described = described_by(model.config)
    identity: dict[str, JsonValue] = {"predictor": spec.name, "model": described, "data": dataset.digest}
    trainer = Trainer(model, config, folder, identity, task.device)
    trained = task.run(trainer, train, validation)
    model.load_state_dict(trained.weights)
    errors: dict[str, float] = {}
    if len(labelled) > 2:
        for column in columns:
            errors |= _errors(model, labelled[2], column)
    write_model(
        task.out,
        trained.weights,
        ModelFacts(
            family=spec.name,
            name=task.name,
            summary=f"{', '.join(columns)}, trained on {len(train)} crystals of {task.source}",
            config=described,
            data={
                "origin": task.source,
                "sha256": dataset.digest,
                **counted(train, validation),
                "held-out crystals": len(labelled[2]) if len(labelled) > 2 else 0,
                "left out (no label, too large, unknown elements, degenerate cells)": len(dataset) - len(usable),
            },
            training=config.model_dump(mode="json"),
            cost=trainer.cost,
            measured={**trained.measured, **errors},
            notes=("Trained by a user of Nucleate; it knows nothing beyond the range of its labels.",),
        ),
    )
    return task.out


def load_predictor(name: str, device: str = "cpu") -> Predictor:
    """Make the predictor of a name or model folder ready.

    Raises:
        UserError: There is no such model, it is no predictor, or its weights are damaged.
    """
    folder = find_model(name).folder
    if folder is None:
        raise UserError("model", repr(name), "a predictor with weights")
    stored = StoredModel.read(folder)
    if stored.family not in PREDICTORS:
        found, expected = f"a model of {stored.family!r}", "a predictor, as `nucleate train predictor` makes"
        raise UserError(str(folder), found, expected)
    check_weights(folder / WEIGHTS, stored.sha256)
    return PREDICTORS.get(stored.family).load(folder).to(device)


def predictions(model: Predictor, structures: StructureFile, columns: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each row of a file, in its order: ``id``, ``status``, ``reason`` and the columns.

    Arguments:
        model: That predicts.
        structures: Crystals, and rows that are none.
        columns: Some of the model's; all of them if empty.

    Raises:
        UserError: The model does not know a column.
    """
    names = list(columns) or list(model.columns)
    crystals = _small_cells(structures.crystals, model.config.max_atoms)
    values = {name: model.predict(crystals, name).numpy() for name in names}
    found = pd.DataFrame({"row": structures.rows, "id": structures.ids, "status": Status.OK, "reason": "", **values})
    beyond = found[names].isna().any(axis=1)
    found.loc[beyond, ["status", "reason"]] = [Status.INVALID_INPUT, f"not {model.limit}"]
    failed = [(f.row, f.id, f.status, f.reason) for f in structures.failures]
    wrong = pd.DataFrame(failed, columns=["row", "id", "status", "reason"])
    rows = pd.concat([found, wrong]) if len(wrong) else found
    return rows.sort_values("row", kind="stable").drop(columns="row").reset_index(drop=True)


def _small_cells(crystals: Crystals, most: int) -> Crystals:
    """The crystals, those of more than ``most`` sites in primitive cells: files often hold conventional ones."""
    large = crystals.n_atoms > most
    if not large.any():
        return crystals
    plain = replace(crystals, crystal_fields={})
    both = Crystals.concatenate([plain, primitive_cells(plain[large])])
    index = torch.arange(len(crystals))
    index[large] = len(crystals) + torch.arange(int(large.sum()))
    return both[index]


def _with_labels(dataset: Dataset, columns: Sequence[str]) -> TrainingBatch:
    return TrainingBatch(dataset.crystals, labels_in(dataset, columns))


def _errors(model: Predictor, held_out: TrainingBatch, column: str) -> dict[str, float]:
    """Error on crystals that the training has not seen, beside that of answering the median."""
    wanted = held_out.labels.values[column]
    error = (model.predict(held_out.crystals, column) - wanted).abs()
    known = error.isfinite()
    if not known.any():
        return {}
    plain = (wanted[known] - wanted[known].median()).abs().mean()
    return {
        f"{column}, mean absolute error on {int(known.sum())} held-out crystals": float(error[known].mean()),
        f"{column}, the same for the median": float(plain),
    }
