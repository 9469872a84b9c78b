"""Crystals with a table of their properties, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.files import read_structures
from nucleate.crystal.structure_file import Failure, StructureFile
from nucleate.data.cache import cached, content_hash
from nucleate.errors import UserError


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
    or any other file that :func:`nucleate.crystal.files.read_structures` knows.

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
