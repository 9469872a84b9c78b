"""Records of a file: a structure or the reason why it is none, its name and its properties."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.validation import StructureFile, default_ids, gather

Value: TypeAlias = "str | int | float | list[Value]"
"""A property of one crystal: text, a number, or numbers in lists, such as forces (n, 3)."""

RESERVED = frozenset(("id", "cif", "numbers", "frac", "lattice"))
"""Names of columns that hold the structure itself."""


@dataclass(frozen=True)
class Record:
    """One structure of a file.

    Attributes:
        entry: Its sites, or the reason why there are none.
        id: Its name, None where the file has none.
        properties: What else the file says of it, by name.
    """

    entry: ParsedStructure | str
    id: str | None = None
    properties: Mapping[str, Value] = field(default_factory=dict)


def gather_records(records: Sequence[Record]) -> StructureFile:
    """Check records and batch those that are crystals; their properties are a table with a column for each name."""
    fallback = default_ids(len(records))
    ids = [fallback[row] if record.id is None else record.id for row, record in enumerate(records)]
    known = [{name: value for name, value in one.properties.items() if name not in RESERVED} for one in records]
    return gather([record.entry for record in records], ids, pd.DataFrame(known) if any(known) else None)


def plain(value: object, depth: int = 4) -> Value | None:
    """A value without the types of a library; dictionaries become JSON, and None stands for what is no property.

    Lists deeper than ``depth`` are none.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return json.dumps(value, default=str)
    if isinstance(value, list | tuple):
        items = [plain(item, depth - 1) for item in value] if depth else [None]
        return None if any(item is None for item in items) else [item for item in items if item is not None]
    return value if isinstance(value, str | int | float) else None


def present(properties: pd.DataFrame | None, n: int) -> list[dict[str, Value]]:
    """Properties of each of n crystals, without those that are missing."""
    if properties is None:
        return [{} for _ in range(n)]
    rows: list[dict[str, Value]] = []
    for row in properties.to_dict("records"):
        values = {str(name): plain(value) for name, value in row.items()}
        rows.append({name: value for name, value in values.items() if value is not None and value == value})
    return rows
