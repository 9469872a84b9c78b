"""What is set side by side: models, searchers and files of structures from elsewhere, each under its own name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucleate.errors import UserError
from nucleate.families.registry import WEIGHTS, ModelEntry, check_weights, find_model, shipped_models

BASELINES = ("random", "substitution")
REQUEST_RUNS = "requests"
"""Folder of the requests' runs, which no source may be called."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True)
class Source:
    """One of the sets that are compared.

    Attributes:
        label: Names its run's folder and its rows.
        entry: The model or searcher that makes it; None for a file.
        file: Structures from elsewhere; None for what is made here.
    """

    label: str
    entry: ModelEntry | None = None
    file: Path | None = None

    @property
    def kind(self) -> str:
        """model, searcher or file."""
        return "file" if self.entry is None else self.entry.kind

    def about(self) -> dict[str, Any]:
        """What its configuration says: family, parameters, cost of the training, training data."""
        said: dict[str, Any] = {"label": self.label, "kind": self.kind}
        if self.file is not None:
            return said | {"file": self.file.name}
        if self.entry is None or self.entry.folder is None:
            return said
        stored = self.entry.stored
        cost, data = stored.cost, stored.data
        return said | {
            "family": stored.family,
            "summary": stored.summary,
            "parameters": stored.parameters,
            "training_seconds": cost.get("processor seconds", cost.get("seconds")),
            "training_hardware": cost.get("hardware", cost.get("device")),
            "training_crystals": data.get("training crystals"),
            "training_data": data.get("origin"),
            "conditions": list(self.entry.conditions),
        }


def asked_sources(models: Sequence[str], files: Mapping[str, Path]) -> tuple[list[Source], list[str]]:
    """The sources of a comparison, checked before any work is done, and what was left out of them.

    Arguments:
        models: Names or folders of models, and searchers; without any, all that ship and the baselines.
        files: Structures from elsewhere by the name they go by.

    Raises:
        UserError: A model or file is not there or damaged, a name cannot name a folder, or two are the same.
    """
    left_out: list[str] = []
    names = list(dict.fromkeys(models))
    if not names:
        for entry in shipped_models():
            if entry.kind != "model":
                continue
            if entry.folder is not None and _needs_compositions(entry):
                left_out.append(f"{entry.name} is left out: it is made for given compositions; name it to include it")
            else:
                names.append(entry.name)
        names += BASELINES
    sources = [_of_model(name) for name in names] + [_of_file(label, path) for label, path in files.items()]
    seen: set[str] = set()
    for source in sources:
        if source.label in seen:
            raise UserError("compare", f"two sources called {source.label!r}", "a name for each")
        seen.add(source.label)
    return sources, left_out


def _of_model(name: str) -> Source:
    entry = find_model(name)
    label = Path(name).name
    _check_label(label, "model")
    if entry.folder is not None:
        stored = entry.stored
        if not stored.family:
            raise UserError(str(entry.folder), "no family in its configuration", "a model that generates")
        check_weights(entry.folder / WEIGHTS, stored.sha256)
    return Source(label, entry)


def _of_file(label: str, path: Path) -> Source:
    from nucleate.io.files import read_structures

    _check_label(label, "--file")
    found = read_structures(path)
    if not found.n_rows:
        raise UserError(str(path), "no structures", "at least one")
    return Source(label, file=path)


def _check_label(label: str, where: str) -> None:
    if not _NAME.fullmatch(label) or label == REQUEST_RUNS:
        expected = f"letters, digits and . _ + -, beginning with a letter or digit, and not {REQUEST_RUNS!r}"
        raise UserError(where, f"the name {label!r}", expected)


def _needs_compositions(entry: ModelEntry) -> bool:
    """Whether all species were given in the training, so that the model was never asked to choose them."""
    share = entry.stored.config.get("known_species", 0.0)
    return isinstance(share, int | float) and share >= 1.0
