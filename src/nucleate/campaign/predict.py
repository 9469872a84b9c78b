"""Predictors of property columns: training one from a table, and rows of predictions."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nucleate.campaign.train import (
    FEWEST_TO_SPLIT,
    carrying,
    counted,
    label_fields,
    sorted_settings,
    training_folder,
    usable_rows,
    validated,
)
from nucleate.errors import Status, UserError
from nucleate.execution.progress import Progress, silent
from nucleate.families.registry import PREDICTORS, WEIGHTS, check_weights, find_model, read_config

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from nucleate.crystal.crystals import Crystals
    from nucleate.data.dataset import Dataset
    from nucleate.io.validation import StructureFile


class Predictor(Protocol):
    """Anything that answers a column for crystals."""

    config: Any
    name: str

    @property
    def limit(self) -> str:
        """What it can take, in words: "a crystal of up to 20 sites"."""

    def predict(self, crystals: Crystals, column: str) -> Tensor:
        """The column, shape (B,); NaN where the crystal is beyond the model."""


def train_predictor(
    dataset: Dataset,
    columns: Sequence[str],
    overrides: Mapping[str, str],
    out: Path,
    *,
    log10: bool = False,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a predictor of columns and write its folder; a tenth of the rows is held out for its card.

    Arguments:
        dataset: Structures with the columns; a row may lack some of them.
        columns: What to predict; anything that a condition could be named.
        overrides: Settings of the predictor and of the training, as text.
        out: The model's folder; its name becomes the model's.
        log10: Learn the logarithms of all columns.
        seed: Of everything that is drawn.
        device: Where to train.
        resume: Go on with the training found in ``out``.
        progress: Called with "train", the number of steps done and of all.

    Raises:
        UserError: A column, a setting or the data are not usable, or ``out`` holds another training.
    """
    import torch

    from nucleate.data.dataset import label, split
    from nucleate.training.config import TrainConfig
    from nucleate.training.export import ModelFacts, write_model
    from nucleate.training.trainer import Trainer

    if not columns or len(set(columns)) < len(columns):
        raise UserError("--property", ", ".join(columns) or "nothing", "the columns to predict, each once")
    from nucleate.predictors import gemnet as module

    folder, name = training_folder(out, resume), out.resolve().name
    how, what = sorted_settings(overrides, TrainConfig.model_fields, module.SETTINGS)
    config = TrainConfig.checked({**module.TRAINING, "seed": seed, **how}, where="--set")
    targets = [{"name": column, "log10": log10} for column in columns]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = module.build({**what, "targets": targets}, name)
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
    described = model.config.model_dump(mode="json")
    trainer = Trainer(
        model, config, folder, {"predictor": module.FAMILY, "model": described, "data": dataset.digest}, device
    )
    weights = trainer.fit(train, validation, lambda done, total, _: progress("train", done, total))
    measured, weights = validated(trainer, validation, weights)
    model.load_state_dict(weights)
    if len(labelled) > 2:
        for column in columns:
            measured |= _errors(model, labelled[2], column)
    write_model(
        out,
        weights,
        ModelFacts(
            family=module.FAMILY,
            name=name,
            summary=f"{', '.join(columns)}, trained on {len(train)} crystals of {Path(dataset.source).name}",
            config=described,
            data={
                "origin": Path(dataset.source).name,
                "sha256": dataset.digest,
                **counted(train, validation),
                "held-out crystals": len(labelled[2]) if len(labelled) > 2 else 0,
                "left out (no label, too large, unknown elements, degenerate cells)": len(dataset) - len(usable),
            },
            training=config.model_dump(mode="json"),
            cost=trainer.cost,
            measured=measured,
            notes=("Trained by a user of Nucleate; it knows nothing beyond the range of its labels.",),
        ),
    )
    return out


def load_predictor(name: str, device: str = "cpu") -> Predictor:
    """Make the predictor of a name or model folder ready.

    Raises:
        UserError: There is no such model, it is no predictor, or its weights are damaged.
    """
    from nucleate.training.export import load_weights

    entry = find_model(name)
    if entry.folder is None:
        raise UserError("model", repr(name), "a predictor with weights")
    stored = read_config(entry.folder)
    family = stored.get("family")
    if family not in PREDICTORS:
        raise UserError(str(entry.folder), f"a model of {family!r}", "a predictor, as `nucleate train predictor` makes")
    check_weights(entry.folder / WEIGHTS, stored.get("sha256"))
    module = importlib.import_module(f"nucleate.predictors.{PREDICTORS[family]}")
    model = module.build(stored.get("config", {}), entry.folder.resolve().name)
    load_weights(model, entry.folder)
    predictor: Predictor = model.eval().to(device)
    return predictor


def predictions(model: Predictor, structures: StructureFile, columns: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each row of a file, in its order: ``id``, ``status``, ``reason`` and the columns.

    Arguments:
        model: That predicts.
        structures: Crystals, and rows that are none.
        columns: Some of the model's; all of them if empty.

    Raises:
        UserError: The model does not know a column.
    """
    import pandas as pd

    names = list(columns) or [target.name for target in model.config.targets]
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
    import torch

    from nucleate.crystal.crystals import Crystals
    from nucleate.symmetry.standard_cells import primitive_cells

    large = crystals.n_atoms > most
    if not large.any():
        return crystals
    plain = replace(crystals, crystal_fields={}, site_fields={})
    both = Crystals.concatenate([plain, primitive_cells(plain[large])])
    index = torch.arange(len(crystals))
    index[large] = len(crystals) + torch.arange(int(large.sum()))
    return both[index]


def _with_labels(dataset: Dataset, columns: Sequence[str]) -> Crystals:
    return replace(dataset.crystals, crystal_fields=label_fields(dataset, columns), site_fields={})


def _errors(model: Predictor, held_out: Crystals, column: str) -> dict[str, float]:
    """Error on crystals that the training has not seen, beside that of answering the median."""
    wanted = held_out.crystal_fields[f"label/{column}"]
    error = (model.predict(held_out, column) - wanted).abs()
    known = error.isfinite()
    if not known.any():
        return {}
    plain = (wanted[known] - wanted[known].median()).abs().mean()
    return {
        f"{column}, mean absolute error on {int(known.sum())} held-out crystals": float(error[known].mean()),
        f"{column}, the same for the median": float(plain),
    }
