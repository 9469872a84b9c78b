"""What a data set holds, for the person who brings it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import count_table, reduced_formulas
from nucleate.data.dataset import Dataset, load_dataset


@dataclass(frozen=True)
class Column:
    """A property column: how many rows have a number, and its quartiles."""

    name: str
    known: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Inspection:
    """The content of a data set.

    Attributes:
        path: Where it came from.
        crystals: Number of structures.
        formulas: Number of distinct reduced formulas.
        atoms: Smallest, median and largest number of sites.
        elements: Structures that hold each element, the most frequent first.
        columns: Numeric columns.
        texts: Other columns.
        failures: Reasons of rows that are no crystals, with how many rows and the first of them.
    """

    path: str
    crystals: int
    formulas: int
    atoms: tuple[int, int, int]
    elements: dict[str, int]
    columns: tuple[Column, ...]
    texts: tuple[str, ...]
    failures: dict[str, tuple[int, str]]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        failed = sum(count for count, _ in self.failures.values())
        lines = [
            f"{self.path}: {self.crystals} crystals, {self.formulas} formulas, {failed} rows that are no crystals",
            f"sites: {self.atoms[0]} to {self.atoms[2]}, median {self.atoms[1]}",
            f"elements ({len(self.elements)}): "
            + ", ".join(f"{name} {count}" for name, count in list(self.elements.items())[:12]),
        ]
        for column in self.columns:
            lines.append(
                f"{column.name}: {column.known} of {self.crystals} known, {column.low:.4g} to {column.high:.4g}, "
                f"median {column.median:.4g}"
            )
        if self.texts:
            lines.append(f"other columns: {', '.join(self.texts)}")
        lines += [f"failed, {count} rows ({first} first): {reason}" for reason, (count, first) in self.failures.items()]
        return "\n".join(lines)


def inspected(path: Path) -> Inspection:
    """Look into a data set.

    Raises:
        UserError: It cannot be read, or holds no crystal.
    """
    data = load_dataset(path)
    sizes = data.crystals.n_atoms.numpy()
    counts = (count_table(data.crystals) > 0).sum(0)
    present = sorted(np.flatnonzero(counts).tolist(), key=lambda z: (-counts[z], z))
    columns, texts = _columns(data)
    reasons = Counter(failure.reason for failure in data.failures)
    first = {failure.reason: failure.id for failure in reversed(data.failures)}
    return Inspection(
        str(path),
        len(data),
        len(set(reduced_formulas(data.crystals))),
        (int(sizes.min()), int(np.median(sizes)), int(sizes.max())),
        {SYMBOLS[z]: int(counts[z]) for z in present},
        columns,
        texts,
        {reason: (count, first[reason]) for reason, count in reasons.most_common(10)},
    )


def _columns(data: Dataset) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    numeric, texts = [], []
    for name in data.table.columns:
        if name in ("id", "source_row"):
            continue
        values = pd.to_numeric(data.table[name], errors="coerce")
        if values.notna().any() and not (values.isna() & data.table[name].notna()).any():
            known = int(values.notna().sum())
            numeric.append(Column(name, known, float(values.min()), float(values.median()), float(values.max())))
        else:
            texts.append(str(name))
    return tuple(numeric), tuple(texts)
