"""Fine-tuning a model for further conditions, from a table of the user's to a new model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleate.errors import UserError
from nucleate.execution.progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor

    from nucleate.conditions.kinds import Condition
    from nucleate.data.dataset import Dataset

PASSES = 60_000
"""Crystals that are seen in all, over the epochs."""
EPOCHS = (10, 200)
"""Fewest and most epochs."""
FROZEN = {"learning_rate": 1e-3, "warmup": 20, "ema": 0.995}
FULL = {"learning_rate": 1e-4, "warmup": 50, "ema": 0.995}
"""Settings of a training of adapters alone, and of everything."""


@dataclass(frozen=True)
class Base:
    """The model that is fine-tuned.

    Attributes:
        name: Of the model.
        family: Whose it is.
        sha256: Of its weights.
        model: The model itself.
    """

    name: str
    family: str
    sha256: str
    model: Any


def finetune(
    model: str,
    dataset: Dataset,
    properties: Sequence[str],
    overrides: Mapping[str, str],
    out: Path,
    *,
    freeze: bool = True,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    progress: Progress = silent,
) -> Path:
    """Teach a model further conditions, and write the folder of the new model.

    Arguments:
        model: Name or folder of a model of a joint family.
        dataset: Structures with the properties as columns; a property that is computed from structures needs none.
        properties: What the new model can be asked for beside what the old one can.
        overrides: Settings of :class:`nucleate.training.config.TrainConfig`, as text.
        out: The new model's folder; its name becomes the model's.
        freeze: Train the new adapters alone, so that without them the model answers as before; else everything.
        seed: Of everything that is drawn.
        device: Where to train.
        resume: Go on with the training found in ``out``.
        progress: Called with "train", the number of steps done and of all.

    Raises:
        UserError: The model cannot be fine-tuned or knows a property already; a setting or the data are not usable;
            ``out`` holds another training.
    """
    import torch

    from nucleate.campaign.train import counted, in_parts, sorted_settings, training_folder, validated
    from nucleate.training.config import TrainConfig
    from nucleate.training.export import ModelFacts, write_model
    from nucleate.training.trainer import Trainer

    folder, name = training_folder(out, resume), out.resolve().name
    base = _base(model)
    usable, labels, new = _usable_labels(dataset, base, properties)
    how, _ = sorted_settings(overrides, TrainConfig.model_fields, ())
    epochs = min(max(round(PASSES / len(usable)), EPOCHS[0]), EPOCHS[1])
    defaults = {"epochs": epochs, **(FROZEN if freeze else FULL), "seed": seed}
    config = TrainConfig.checked({**defaults, **how}, where="--set")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        tuned, fresh = _widened(base, new, name)
    for key, parameter in tuned.named_parameters():
        parameter.requires_grad_(not freeze or key in fresh)
    train, *others = in_parts(usable, labels, config.seed)
    train = tuned.tune(train, [condition.name for condition in new])
    validation = tuned.prepared(others[0]) if others else None
    described = tuned.config.model_dump(mode="json")  # with the statistics of the labels
    if freeze and len(tuned.config.asked) == 1:
        # Without its label such a model is the old one, and there is nothing to learn.
        tuned.config = tuned.config.model_copy(update={"drop_each": 0.0, "drop_all": 0.0})
    what_is_learned = {key: value for key, value in described.items() if key != "sampler"}
    identity = {"base": base.sha256, "freeze": freeze, "model": what_is_learned, "data": dataset.digest}
    trainer = Trainer(tuned, config, folder, identity, device)
    before = {} if validation is None else {"validation loss, total, before": trainer.validate(validation)["total"]}
    weights = trainer.fit(train, validation, lambda done, total, _: progress("train", done, total))
    measured, weights = validated(trainer, validation, weights)
    properties_text = ", ".join(condition.name for condition in new)
    write_model(
        out,
        weights,
        ModelFacts(
            family=base.family,
            name=name,
            summary=f"{base.name} fine-tuned on {properties_text} of {Path(dataset.source).name}",
            config=described,
            data={
                "base model": base.name,
                "base model, sha256": base.sha256,
                "origin of the labels": Path(dataset.source).name,
                "sha256": dataset.digest,
                **counted(train, validation),
                "left out (no label, too large, unknown elements, degenerate cells)": len(dataset) - len(usable),
                **{f"labels of {key}": _range(value) for key, value in labels.items()},
            },
            training={"freeze": freeze, **config.model_dump(mode="json")},
            cost=trainer.cost,
            measured={**before, **measured},
            notes=_notes(base, freeze, len(train)),
        ),
    )
    return out


def _base(model: str) -> Base:
    """The model to start from.

    Raises:
        UserError: There is none, or it takes no adapters.
    """
    import importlib

    from nucleate.families.registry import WEIGHTS, check_weights, find_model, read_config

    entry = find_model(model)
    expected = "a model whose family takes adapters"
    if entry.folder is None:
        raise UserError("model", repr(model), expected)
    stored = read_config(entry.folder)
    sha256 = check_weights(entry.folder / WEIGHTS, stored.get("sha256"))
    family = str(stored.get("family"))
    try:
        module = importlib.import_module(f"nucleate.families.{family}")
    except ModuleNotFoundError:
        raise UserError("model", f"{entry.name} of {family!r}", expected) from None
    if "adapters" not in module.SETTINGS:
        raise UserError("model", f"{entry.name} of the family {family}", expected)
    loaded = module.load(entry.folder)
    return Base(loaded.name, family, sha256, loaded)


def _usable_labels(
    dataset: Dataset, base: Base, properties: Sequence[str]
) -> tuple[Dataset, dict[str, Tensor], list[Condition]]:
    """Rows with a label that the model can take, their labels, and the new conditions.

    Raises:
        UserError: A property is known already or has no column; no row is usable.
    """
    import torch

    from nucleate.campaign.train import usable_rows
    from nucleate.conditions.quantities import by_name, warn_of_units
    from nucleate.crystal.elements import SYMBOLS
    from nucleate.data.dataset import label

    asked = {condition.name for condition in base.model.config.asked}
    known = [name for name in properties if name in asked]
    if known or not properties or len(set(properties)) < len(properties):
        found = known[0] if known else ", ".join(properties) or "none"
        raise UserError("--property", found, f"properties, once each, beside what {base.name} knows already")
    new = [by_name(name) for name in properties]
    usable = usable_rows(dataset, base.model.config.max_atoms)
    known_elements = base.model.element_seen > 0
    seen = torch.zeros(len(SYMBOLS), dtype=torch.bool)
    seen[0], seen[1 : 1 + len(known_elements)] = True, known_elements
    fits = seen[usable.crystals.numbers].all(1)
    if not fits.any():
        raise UserError(dataset.source, "no crystal of elements that the model knows", f"elements of {base.name}")
    usable = usable[fits.nonzero().flatten()]
    labels = {c.name: label(usable, c.name) for c in new if c.kind != "multi_hot"}
    for name, values in labels.items():
        warn_of_units(name, values, dataset.source)
    if len(labels) < len(new):  # elements are known of every crystal
        return usable, labels, new
    given = torch.stack([values.isfinite() for values in labels.values()]).any(0)
    if not given.any():
        raise UserError(dataset.source, f"no label in {', '.join(labels)}", "at least one row with a number")
    rows = given.nonzero().flatten()
    return usable[rows], {name: values[rows] for name, values in labels.items()}, new


def _widened(base: Base, new: Sequence[Condition], name: str) -> tuple[Any, set[str]]:
    """The model with adapters for the new conditions, and the names of the weights that it has beyond the old one."""
    import importlib

    config = base.model.config
    settings = config.model_dump() | {"adapters": (*config.adapters, *new)}
    tuned = importlib.import_module(f"nucleate.families.{base.family}").build(settings, name)
    old = base.model.state_dict()
    tuned.load_state_dict({**tuned.state_dict(), **old})
    return tuned, set(tuned.state_dict()) - set(old)


def _range(values: Tensor) -> str:
    known = values[values.isfinite()]
    if not len(known):
        return "none"
    return f"{len(known)}, from {float(known.min()):.4g} to {float(known.max()):.4g}"


def _notes(base: Base, freeze: bool, size: int) -> tuple[str, ...]:
    kept = f"Asked for none of the new conditions, the network answers as {base.name} does."
    moved = f"All weights were trained; unconditional answers differ from those of {base.name}."
    few = f"{size} crystals are few: what the model learned of the labels may be what it learned by heart."
    return (
        kept if freeze else moved,
        *((few,) if size < 100 else ()),
        "What is asked against what comes was not measured yet.",
    )
