"""Deterministic splits: each row's part depends on its name and the seed alone, not on its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from nucleate.crystal.elements import SYMBOLS, atomic_number
from nucleate.crystal.formula import count_table
from nucleate.data.dataset import Dataset
from nucleate.errors import UserError


def split(dataset: Dataset, validation: float = 0.1, test: float = 0.0, seed: int = 0) -> tuple[Dataset, ...]:
    """Training, validation and test rows, each in the dataset's order.

    Rows are ranked by a hash of (seed, id), so the order of the rows does not matter, and adding a row
    moves at most a few others. Rows that share an id stay together.

    Raises:
        UserError: The shares do not lie in 0..1 or leave nothing to train on.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise UserError("split", f"shares {validation} and {test}", "two shares from 0 that add up to less than 1")
    names = sorted(set(dataset.ids), key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    rank = {name: position for position, name in enumerate(names)}
    position = np.array([rank[name] for name in dataset.ids])
    first, second = round(validation * len(names)), round((validation + test) * len(names))
    parts = (position >= second, position < first, (position >= first) & (position < second))
    if not parts[0].any():
        raise UserError(dataset.source, f"{len(dataset)} rows", "more rows than the shares take away")
    return tuple(dataset[part] for part in parts)


def hold_out_system(dataset: Dataset, system: str | Iterable[str]) -> tuple[Dataset, Dataset]:
    """The rows outside a chemical system such as ``Li-O``, and those inside it, subsystems included.

    Raises:
        UserError: The system names something that is not an element.
    """
    symbols = system.split("-") if isinstance(system, str) else list(system)
    members = np.zeros(len(SYMBOLS), dtype=bool)
    members[[atomic_number(symbol, "chemical system") for symbol in symbols]] = True
    inside = (count_table(dataset.crystals)[:, ~members] == 0).all(axis=1)
    return dataset[~inside], dataset[inside]
