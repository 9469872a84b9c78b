"""Data sets: crystals with a table of their properties row by row, their labels, and deterministic splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nucleate.conditions.quantities import quantity
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS, atomic_number
from nucleate.crystal.formula import count_table
from nucleate.data.cache import cached, content_hash
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.errors import UserError
from nucleate.io.files import read_structures
from nucleate.io.validation import Failure, StructureFile
from nucleate.symmetry.space_group import space_groups
from nucleate.thermo.magnetism import TESLA


@dataclass(frozen=True)
class Dataset:
    """Structures and their properties; row i of the table belongs to crystal i.

    Attributes:
        crystals: The B structures, float64.
        table: One row a crystal, index 0 to B - 1. The column ``id`` names it; missing numbers are NaN.
        source: Where the data came from, for messages.
        digest: SHA-256 of the source's content; empty for a dataset made in memory.
        rows: Position of each crystal in the source, from 0; by default its position here.
        failures: Rows of the source that are no crystals, and why.

    Raises:
        UserError: Crystals and rows differ in number.
    """

    crystals: Crystals
    table: pd.DataFrame
    source: str = "the dataset"
    digest: str = ""
    rows: Sequence[int] = field(default=())
    failures: tuple[Failure, ...] = ()

    def __post_init__(self) -> None:
        if len(self.table) != len(self.crystals):
            raise UserError(self.source, f"{len(self.table)} rows for {len(self.crystals)} crystals", "one for each")
        if "id" not in self.table:
            table = self.table.assign(id=[str(i) for i in range(len(self.table))])
            object.__setattr__(self, "table", table)
        if not len(self.rows):
            object.__setattr__(self, "rows", range(len(self.table)))

    def __len__(self) -> int:
        return len(self.crystals)

    def __getitem__(self, index: slice | Sequence[int] | Tensor | np.ndarray) -> Dataset:
        """The dataset of some rows, by position or mask."""
        positions = np.arange(len(self))[index if isinstance(index, slice) else np.asarray(index)]
        table = self.table.iloc[positions].reset_index(drop=True)
        rows = [self.rows[i] for i in positions]
        return Dataset(self.crystals[torch.from_numpy(positions)], table, self.source, self.digest, rows)

    @property
    def ids(self) -> list[str]:
        """Name of each row."""
        return self.table["id"].tolist()

    def column(self, name: str) -> Tensor:
        """A property as float64 of shape (B,); NaN where it is missing.

        Raises:
            UserError: There is no such column, or a value in it is no finite number.
        """
        if name not in self.table:
            raise UserError(self.source, f"no column {name!r}", f"one of {', '.join(map(str, self.table.columns))}")
        values = self.table[name]
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.flatnonzero((np.isnan(numbers) & values.notna().to_numpy()) | np.isinf(numbers))
        if wrong.size:
            i = int(wrong[0])
            where = f"{self.source}, row {self.rows[i] + 1} ({self.ids[i]}), column {name!r}"
            raise UserError(where, repr(values.iloc[i]), "a number, or nothing where it is unknown")
        return torch.from_numpy(numbers.copy())


def load_dataset(path: str | Path, columns: Sequence[str] = (), cache: bool = True) -> Dataset:
    """Read structures and their properties: a CSV or Parquet table with a column ``cif``, a folder or zip of CIFs,
    or any other file that :func:`nucleate.io.files.read_structures` knows.

    Rows that are no crystals are left out and listed in ``failures``. What was read is kept by its content.

    Arguments:
        path: A file or folder.
        columns: Properties that must be there as numbers.
        cache: Keep the parsed form under the user's cache folder and take it from there next time.

    Raises:
        UserError: The path cannot be read, holds no crystal, or lacks one of the columns.
    """
    path = Path(path)
    key = content_hash(path)
    found: StructureFile = cached(key, lambda: read_structures(path)) if cache else read_structures(path)
    if not len(found.crystals):
        first = found.failures[0].reason if found.failures else "no rows"
        raise UserError(str(path), f"no crystal in {found.n_rows} rows ({first})", "structures")
    table = pd.DataFrame({"id": found.ids})
    if found.properties is not None:
        table = pd.concat([table, found.properties], axis=1)
    dataset = Dataset(found.crystals, table, str(path), key, found.rows, found.failures)
    for name in columns:
        dataset.column(name)
    return dataset


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


_FROM_STRUCTURE = ("space_group", "n_atoms")
_IN_TESLA = {"saturation_magnetization": "magnetic_density"}
"""Conditions that are another one times µ₀µB / Å³, unless the table has them as they are."""


def label(dataset: Dataset, name: str) -> Tensor:
    """Labels (B,) of a condition, float64, NaN (0 for a space group) where unknown.

    A column of the table counts before what could be computed.

    Raises:
        UserError: There is no such column, and nothing that computes it; or a value is no number.
    """
    for column in quantity(name).label_columns:
        if column in dataset.table:
            return dataset.column(column)
    if name in _IN_TESLA:
        return TESLA * label(dataset, _IN_TESLA[name])
    if name in DESCRIPTORS:
        return DESCRIPTORS[name].function(dataset.crystals)
    if name == "space_group":
        return space_groups(dataset.crystals).double()
    if name == "n_atoms":
        return dataset.crystals.n_atoms.double()
    known = sorted({*DESCRIPTORS, *_FROM_STRUCTURE})
    found = f"no column for the condition {name!r}"
    raise UserError(dataset.source, found, f"such a column, or one of {', '.join(known)}, which are computed")


def known_labels(dataset: Dataset, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Labels of the conditions that some crystal has, by name; see :func:`label`.

    Raises:
        UserError: A value in a column is no number.
    """
    found = {}
    for name in names:
        if _is_known(dataset, name):
            values = label(dataset, name)
            if values.isfinite().any():
                found[name] = values
    return found


def _is_known(dataset: Dataset, name: str) -> bool:
    computed = name in DESCRIPTORS or name in _FROM_STRUCTURE
    if computed or any(column in dataset.table for column in quantity(name).label_columns):
        return True
    return name in _IN_TESLA and _is_known(dataset, _IN_TESLA[name])
