"""Fine-tuning a model for further conditions, from a table of the user's to a new model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor

from nucleate.campaign.train import TrainingTask, counted, described_by, in_parts, learned, usable_rows
from nucleate.conditions.kinds import Condition
from nucleate.conditions.quantities import quantity
from nucleate.crystal.elements import SYMBOLS
from nucleate.data.dataset import Dataset, label
from nucleate.errors import UserError
from nucleate.families.base import ConditionalModel, FamilySpec
from nucleate.families.registry import FAMILIES, check_weights, find_model
from nucleate.training.export import WEIGHTS, ModelFacts, StoredModel, write_model
from nucleate.training.model import TrainConfig
from nucleate.training.trainer import Trainer

PASSES = 60_000
"""Crystals that are seen in all, over the epochs."""
EPOCHS = (10, 200)
"""Fewest and most epochs."""
FROZEN = TrainConfig(learning_rate=1e-3, warmup=20, ema=0.995)
FULL = TrainConfig(learning_rate=1e-4, warmup=50, ema=0.995)
"""Settings of a training of adapters alone, and of everything."""


@dataclass(frozen=True)
class Base:
    """The model that is fine-tuned.

    Attributes:
        spec: Its family.
        sha256: Of its weights.
        model: The model itself.
    """

    spec: FamilySpec
    sha256: str
    model: ConditionalModel

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model.name

    @classmethod
    def load(cls, name: str) -> Base:
        """The model of a name or folder.

        Raises:
            UserError: There is none, or it takes no adapters.
        """
        folder, expected = find_model(name).folder, "a model whose family takes adapters"
        if folder is None:
            raise UserError("model", repr(name), expected)
        stored = StoredModel.read(folder)
        sha256 = check_weights(folder / WEIGHTS, stored.sha256)
        spec = FAMILIES.get(stored.family) if stored.family in FAMILIES else None
        model = None if spec is None else spec.load(folder)
        if spec is None or not isinstance(model, ConditionalModel):
            raise UserError("model", f"{name} of the family {stored.family!r}", expected)
        return cls(spec, sha256, model)

    def widened(self, new: Sequence[Condition], name: str) -> tuple[ConditionalModel, set[str]]:
        """The model with adapters for new conditions, and the names of the weights that it has beyond the old one."""
        config = self.model.config
        tuned: ConditionalModel = self.spec.model(
            config.model_copy(update={"adapters": (*config.adapters, *new)}), name
        )
        old = self.model.state_dict()
        tuned.load_state_dict({**tuned.state_dict(), **old})
        return tuned, set(tuned.state_dict()) - set(old)


def finetune(model: str, properties: Sequence[str], task: TrainingTask, freeze: bool = True) -> Path:
    """Teach a model further conditions, and return the folder of the new model.

    Arguments:
        model: Name or folder of a model whose family takes adapters.
        properties: What the new model can be asked for beside what the old one can.
        task: What to train on, and how; a property that is computed from structures needs no column.
        freeze: Train the new adapters alone, so that without them the model answers as before; else everything.

    Raises:
        UserError: The model cannot be fine-tuned or knows a property already; a setting or the data are not usable;
            the folder holds another training.
    """
    folder, dataset = task.folder(), task.dataset
    base = Base.load(model)
    usable, labels, new = _usable_labels(dataset, base, properties)
    epochs = min(max(round(PASSES / len(usable)), EPOCHS[0]), EPOCHS[1])
    defaults = (FROZEN if freeze else FULL).model_copy(update={"epochs": epochs})
    config, _ = task.settings((), defaults)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        tuned, fresh = base.widened(new, task.name)
    for key, parameter in tuned.named_parameters():
        parameter.requires_grad_(not freeze or key in fresh)
    train, *others = in_parts(usable, labels, config.seed)
    train = tuned.tune(train, [condition.name for condition in new])
    validation = tuned.prepared(others[0]) if others else None
    described = described_by(tuned.config)
    if freeze and len(tuned.config.conditioning) == 1:
        # Without its label such a model is the old one, and there is nothing to learn.
        tuned.config = tuned.config.model_copy(update={"drop_each": 0.0, "drop_all": 0.0})
    identity: dict[str, JsonValue] = {
        "base": base.sha256,
        "freeze": freeze,
        "model": learned(described),
        "data": dataset.digest,
    }
    trainer = Trainer(tuned, config, folder, identity, task.device)
    before = {} if validation is None else {"validation loss, total, before": trainer.validate(validation)["total"]}
    trained = task.run(trainer, train, validation)
    write_model(
        task.out,
        trained.weights,
        ModelFacts(
            family=base.spec.name,
            name=task.name,
            summary=f"{base.name} fine-tuned on {', '.join(one.name for one in new)} of {task.source}",
            config=described,
            data={
                "base model": base.name,
                "base model, sha256": base.sha256,
                "origin of the labels": task.source,
                "sha256": dataset.digest,
                **counted(train, validation),
                "left out (no label, too large, unknown elements, degenerate cells)": len(dataset) - len(usable),
                **{f"labels of {key}": _range(value) for key, value in labels.items()},
            },
            training={"freeze": freeze, **config.model_dump(mode="json")},
            cost=trainer.cost,
            measured={**before, **trained.measured},
            notes=_notes(base, freeze, len(train)),
        ),
    )
    return task.out


def _usable_labels(
    dataset: Dataset, base: Base, properties: Sequence[str]
) -> tuple[Dataset, dict[str, Tensor], list[Condition]]:
    """Rows with a label that the model can take, their labels, and the new conditions.

    Raises:
        UserError: A property is known already or has no column; no row is usable.
    """
    asked = {condition.name for condition in base.model.config.conditioning}
    known = [name for name in properties if name in asked]
    if known or not properties or len(set(properties)) < len(properties):
        found = known[0] if known else ", ".join(properties) or "none"
        raise UserError("--property", found, f"properties, once each, beside what {base.name} knows already")
    new = [quantity(name).condition for name in properties]
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
        quantity(name).warn_of_units(values, dataset.source)
    if len(labels) < len(new):  # elements are known of every crystal
        return usable, labels, new
    given = torch.stack([values.isfinite() for values in labels.values()]).any(0)
    if not given.any():
        raise UserError(dataset.source, f"no label in {', '.join(labels)}", "at least one row with a number")
    rows = given.nonzero().flatten()
    return usable[rows], {name: values[rows] for name, values in labels.items()}, new


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
