"""Models from data, and what they predict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nucleate.api.files import as_file
from nucleate.execution.progress import Progress, silent
from nucleate.settings import resolve_device

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.core import Structure

    from nucleate.crystal.crystals import Crystals


def train(
    family: str,
    data: str | Path,
    out: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    hold_out: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a family on a data set; returns the model's folder.

    ``hold_out`` names chemical systems such as ``Al-Mg-O`` that nothing is learned of, subsystems included.

    Raises:
        UserError: The family, a setting or the data are not usable.
    """
    from nucleate.campaign.train import TrainingTask, train_family
    from nucleate.data.dataset import load_dataset

    where = resolve_device(device)
    task = TrainingTask(load_dataset(data), Path(out), dict(overrides or {}), seed, where, resume, progress)
    return train_family(family, task, tuple(hold_out))


def finetune(
    model: str,
    data: str | Path,
    properties: Iterable[str],
    out: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    freeze: bool = True,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Teach a model further conditions; returns the folder of the new model.

    Arguments:
        model: To start from, by name or folder.
        data: Structures with the properties as columns.
        properties: What the new model can be asked for beside what the old one can.
        out: The new model's folder.
        overrides: Settings of the training.
        freeze: Train adapters alone, or all weights.
        seed: Of everything that is drawn.
        device: Where to train.
        resume: Go on with an interrupted training.
        progress: Called with a stage, the number of steps done, and of all.

    Raises:
        UserError: The model, a property, a setting or the data are not usable.
    """
    from nucleate.campaign.finetune import finetune as tune
    from nucleate.campaign.train import TrainingTask
    from nucleate.data.dataset import load_dataset

    where = resolve_device(device)
    task = TrainingTask(load_dataset(data), Path(out), dict(overrides or {}), seed, where, resume, progress)
    return tune(model, tuple(properties), task, freeze)


def train_predictor(
    data: str | Path,
    properties: Iterable[str],
    out: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    log10: bool = False,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a predictor of columns of a table; returns the model's folder.

    Raises:
        UserError: A column, a setting or the data are not usable.
    """
    from nucleate.campaign.predict import train_predictor as train_on
    from nucleate.campaign.train import TrainingTask
    from nucleate.data.dataset import load_dataset

    where = resolve_device(device)
    task = TrainingTask(load_dataset(data), Path(out), dict(overrides or {}), seed, where, resume, progress)
    return train_on(tuple(properties), task, log10)


def predict(
    model: str,
    structures: str | Path | Crystals | Sequence[Structure | Atoms],
    properties: Iterable[str] = (),
    *,
    device: str = "auto",
) -> pd.DataFrame:
    """Property columns of structures, one row for each: ``id``, ``status``, ``reason`` and the columns.

    Arguments:
        model: Folder of a predictor.
        structures: A file, a batch, or a list of objects.
        properties: Some of the model's columns; all of them if empty.
        device: Where to compute.

    Raises:
        UserError: There is no such predictor or column, or the structures cannot be read.
    """
    from nucleate.campaign.predict import load_predictor, predictions

    predictor = load_predictor(model, resolve_device(device))
    return predictions(predictor, as_file(structures), tuple(properties))
