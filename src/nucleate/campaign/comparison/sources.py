"""Sources of a comparison (models, searchers, files), and the fixed set of benchmark requests that they are put to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import JsonValue

from nucleate.conditions.quantities import OF_THE_CRYSTAL, QUANTITIES, Quantity
from nucleate.errors import RELAXED, UserError
from nucleate.families.registry import WEIGHTS, ModelEntry, check_weights, find_model, shipped_models
from nucleate.intervals import Rate
from nucleate.io.files import read_structures

if TYPE_CHECKING:
    from nucleate.families.registry import ModelEntry


@dataclass(frozen=True)
class BenchmarkRequest:
    """One quantity asked for.

    Attributes:
        quantity: What is asked for, and how a result is judged.
        value: As it stands in ``--where``; a single number where results have a window.
    """

    quantity: Quantity
    value: str

    @property
    def where(self) -> str:
        """The request as a condition, such as ``n_atoms=8``."""
        return f"{self.quantity.name}={self.value}"

    @property
    def window(self) -> tuple[float, float]:
        """Smallest and largest result on target, in the unit of the quantity (eV, GPa, T; none for a ratio)."""
        value = float(self.value)
        return self.quantity.window((value, value))

    @property
    def counts_if(self) -> str:
        """The window of results on target, in words."""
        one = self.quantity
        if one.measure == "crystal":
            return "exactly so"
        low, high = self.window
        text = f"at most {high:g}" if low == -inf else f"{low:g} to {high:g}"
        return f"{text}{' ' + one.unit if one.unit else ''}{', relaxed' if one.relaxed else ''}"

    def rate(self, candidates: pd.DataFrame, name: str) -> Rate | None:
        """Share of all candidates that are on target; unknown is off. None where the column is known of none."""
        column = self.quantity.column
        if column not in candidates or candidates[column].isna().all():
            return None
        if self.quantity.measure == "crystal":
            hit = candidates[column].eq(True).fillna(False)
        else:
            hit = pd.to_numeric(candidates[column], errors="coerce").between(*self.window)
            if self.quantity.relaxed:
                hit &= candidates["status"].isin(RELAXED)
        return Rate(name, self.where, int(hit.sum()), len(candidates))


REQUESTS = tuple(
    BenchmarkRequest(QUANTITIES[name], value)
    for name, value in (
        ("chemical_system", "Li-Mn-O"),
        ("composition", "SrTiO3"),
        ("n_atoms", "8"),
        ("space_group", "225"),
        ("compactness", "0.7"),
        ("local_environment_diversity", "9"),
        ("complexity", "1.5"),
        ("hhi_score", "2000"),
        ("energy_above_hull", "0"),
        ("saturation_magnetization", "1"),
        ("magnetic_density", "0.08"),
        ("formation_energy", "-2"),
    )
)
"""Each is judged by the crystal, a descriptor or the potential. What needs a trained predictor is not here."""


def requests_of(entry: ModelEntry) -> tuple[BenchmarkRequest, ...]:
    """The requests that a model or searcher may be able to meet.

    Any generator may take those of the crystal; whether it does shows when it is asked.
    """
    return tuple(one for one in REQUESTS if one.quantity.name in (*OF_THE_CRYSTAL, *entry.conditions))


def unmeasured(conditions: Sequence[str]) -> list[str]:
    """Names of the conditions that a model offers and nothing here measures."""
    measured = {one.quantity.name for one in REQUESTS}
    return [name for name in conditions if name not in measured]


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

    def about(self) -> dict[str, JsonValue]:
        """Facts of its configuration: family, parameters, cost of the training, training data."""
        said: dict[str, JsonValue] = {"label": self.label, "kind": self.kind}
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


def sources_of(models: Sequence[str], files: Mapping[str, Path]) -> tuple[list[Source], list[str]]:
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
