"""Candidates: the crystals of a chunk and all that is known of them, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.formula import chemical_system, compositions, reduced_formula
from nucleate.errors import Status
from nucleate.io.validation import Failure
from nucleate.io.writing import write_whole
from nucleate.runs.columns import INPUT_COLUMNS, STRUCTURE_COLUMNS, described, schema
from nucleate.runs.run import Run, read_shard

Flags = NDArray[np.bool_]
Values: TypeAlias = Sequence[object] | NDArray[Any] | pd.Series
Index = slice | Sequence[int] | NDArray[np.integer] | Flags

_PANDAS = {"string": "string", "int64": "Int64", "double": "Float64", "bool": "boolean"}
_FROM_ARROW = {
    pa.string(): pd.StringDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


@dataclass(frozen=True)
class Candidates:
    """B candidates; row i is crystal i.

    Attributes:
        crystals: As generated, in float64. One that could not be read keeps its place without sites, its cell NaN.
        final: Relaxed where there is a relaxed crystal, else as generated.
        has_relaxed: Which have a relaxed crystal, shape (B,).
        table: The other columns, B rows, each of the nullable type that :mod:`nucleate.runs.columns` gives it.
    """

    crystals: Crystals
    final: Crystals
    has_relaxed: Flags
    table: pd.DataFrame

    @classmethod
    def from_crystals(cls, crystals: Crystals, ids: Sequence[str], model: str) -> Candidates:
        """B crystals as they came, with status ``ok``; one that is not finite says so instead.

        Arguments:
            crystals: On any device, in any precision.
            ids: A name for each.
            model: What made them.
        """
        moved = crystals.to("cpu", torch.float64)
        kept = Crystals(moved.numbers, wrap(moved.frac), moved.lattice, moved.n_atoms)
        finite = kept.frac.isfinite().all(2).all(1) & kept.lattice.isfinite().all(2).all(1) & (kept.n_atoms > 0)
        counts = compositions(kept)
        said = {True: (Status.OK, ""), False: (Status.NOT_FINITE, "a coordinate or the cell is not a finite number")}
        columns = {
            "id": ids,
            "model": [model] * len(kept),
            "formula": [reduced_formula(one) if one else "" for one in counts],
            "chemical_system": [chemical_system(one) for one in counts],
            "n_atoms": kept.n_atoms.numpy(),
            "status": [said[good][0] for good in finite.tolist()],
            "reason": [said[good][1] for good in finite.tolist()],
        }
        return cls(kept, kept, np.zeros(len(kept), bool), _frame(columns))

    @classmethod
    def from_failures(cls, failures: Sequence[Failure], ids: Sequence[str], model: str) -> Candidates:
        """Structures that could not be read: each keeps a row, with what was wrong, and has no crystal."""
        n = len(failures)
        nothing = _without_sites(n)
        columns = {
            "id": ids,
            "model": [model] * n,
            "formula": [""] * n,
            "chemical_system": [""] * n,
            "n_atoms": np.zeros(n, np.int64),
            "status": [failure.status for failure in failures],
            "reason": [failure.reason for failure in failures],
        }
        return cls(nothing, nothing, np.zeros(n, bool), _frame(columns))

    @classmethod
    def from_parquet(cls, *paths: Path) -> Candidates:
        """The candidates of shards, in their order, as :meth:`to_parquet` wrote them.

        Raises:
            UserError: A file is not complete Parquet.
        """
        shards = [schema(INPUT_COLUMNS).empty_table(), *(read_shard(path) for path in paths)]
        table = pa.concat_tables(shards, promote_options="default").combine_chunks()
        numbers = table["numbers"].combine_chunks()
        counts = np.diff(numbers.offsets.to_numpy())
        frac, lattice = table["frac"].combine_chunks(), table["lattice"].combine_chunks()
        crystals = _crystals(counts, numbers.flatten().to_numpy(), _values(frac), lattice)
        final, has_relaxed = crystals, np.zeros(len(counts), bool)
        if "relaxed_frac" in table.column_names:
            column = table["relaxed_frac"].combine_chunks()
            has_relaxed = column.is_valid().to_numpy(zero_copy_only=False)
            if has_relaxed.any():
                cells = table["relaxed_lattice"].combine_chunks()
                final = _replaced(crystals, has_relaxed, _values(column), _values(cells))
        scalars = table.drop_columns([name for name in STRUCTURE_COLUMNS if name in table.column_names])
        return cls(crystals, final, has_relaxed, scalars.to_pandas(types_mapper=_FROM_ARROW.get))

    @classmethod
    def of_run(cls, run: Run) -> Candidates:
        """All candidates of a run that were screened so far, in order."""
        return cls.from_parquet(*run.finished)

    @classmethod
    def concatenate(cls, parts: Sequence[Candidates]) -> Candidates:
        """Candidates with the same columns, one after the other."""
        if not parts:
            return cls.from_failures([], [], "")
        crystals = Crystals.concatenate([part.crystals for part in parts])
        has_relaxed = np.concatenate([part.has_relaxed for part in parts])
        final = Crystals.concatenate([part.final for part in parts]) if has_relaxed.any() else crystals
        return cls(crystals, final, has_relaxed, pd.concat([part.table for part in parts], ignore_index=True))

    def __len__(self) -> int:
        return len(self.has_relaxed)

    def __getitem__(self, index: Index) -> Candidates:
        """Some of the candidates, by a slice, numbers, or a mask of shape (B,)."""
        rows = np.arange(len(self))[index]
        crystals = self.crystals[torch.from_numpy(rows)]
        final = crystals if self.final is self.crystals else self.final[torch.from_numpy(rows)]
        return Candidates(crystals, final, self.has_relaxed[rows], self.table.iloc[rows].reset_index(drop=True))

    @property
    def ids(self) -> list[str]:
        """Names of the candidates."""
        return self.table["id"].tolist()

    @property
    def has_sites(self) -> Flags:
        """Which hold a crystal, shape (B,)."""
        return (self.crystals.n_atoms > 0).numpy()

    def has_status(self, statuses: Iterable[str]) -> Flags:
        """Whose status is one of some, shape (B,)."""
        return np.asarray(self.table["status"].isin([str(status) for status in statuses]), dtype=bool)

    def column(self, name: str) -> pd.Series:
        """Values of a column, B rows; null where unknown, and everywhere if there is no such column."""
        if name in self.table:
            return self.table[name]
        return pd.Series(pd.NA, index=self.table.index, dtype=_PANDAS[described(name).dtype], name=name)

    def with_columns(self, columns: Mapping[str, Values], where: Flags | None = None) -> Candidates:
        """The same candidates with columns added or replaced.

        Arguments:
            columns: Values by name, of any type that the column can hold; what is not finite becomes null.
            where: Which candidates the values are of, shape (B,); the others keep theirs.
        """
        found = {name: _typed(name, values) for name, values in columns.items()}
        if where is not None:
            for name, values in found.items():
                found[name] = self.column(name).array.copy()
                found[name][where] = values
        return replace(self, table=self.table.assign(**found))

    def with_generated(self, where: Flags, crystals: Crystals) -> Candidates:
        """The same candidates, not relaxed, some of which have other coordinates and cells.

        Arguments:
            where: Which, shape (B,).
            crystals: What they are now: the same elements in the same order, a crystal for each.
        """
        frac, lattice = crystals.frac[crystals.mask], crystals.lattice
        moved = _replaced(self.crystals, where, frac.numpy(), lattice.numpy())
        return replace(self, crystals=moved, final=moved, has_relaxed=np.zeros(len(self), bool))

    def with_relaxed(self, where: Flags, frac: NDArray[np.float64], lattice: NDArray[np.float64]) -> Candidates:
        """The same candidates with relaxed crystals; those outside ``where`` have none.

        Arguments:
            where: Which have one, shape (B,).
            frac: Fractional coordinates of their sites, one crystal after the other, shape (sites, 3).
            lattice: Their lattices, rows in Å, shape (crystals, 3, 3).
        """
        final = _replaced(self.crystals, where, frac, lattice) if where.any() else self.crystals
        return replace(self, final=final, has_relaxed=where)

    def without_relaxed(self, where: Flags) -> Candidates:
        """The same candidates, of which those in ``where``, shape (B,), lose their relaxed crystal."""
        kept = self.has_relaxed & ~where
        rows = torch.from_numpy(kept)
        frac = self.final.frac[self.final.mask & rows[:, None]]
        return self.with_relaxed(kept, frac.numpy(), self.final.lattice[rows].numpy())

    def without_crystals(self, where: Flags) -> Candidates:
        """The same candidates, of which those in ``where``, shape (B,), keep their row alone."""
        rows = np.where(where, np.arange(len(self)) + len(self), np.arange(len(self)))
        crystals = Crystals.concatenate([self.crystals, _without_sites(len(self))])[torch.from_numpy(rows)]
        return replace(self, crystals=crystals, final=crystals, has_relaxed=np.zeros(len(self), bool))

    def to_pandas(self) -> pd.DataFrame:
        """All columns but the structures, as pandas reads them from Parquet: an unknown number is NaN, other None."""
        names = [str(name) for name in self.table]
        return pa.Table.from_arrays([self._arrow(name) for name in names], schema=schema(names)).to_pandas()

    def to_parquet(self, path: Path, columns: Sequence[str]) -> None:
        """Write columns as one Parquet file, whole or not at all; equal candidates give equal bytes."""
        types = schema(columns)
        arrays = [self._arrow(name) for name in columns]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_arrays(arrays, schema=types), sink, compression="zstd", write_page_checksum=True)
        write_whole(path, sink.getvalue().to_pybytes())

    def _arrow(self, name: str) -> pa.Array:
        counts, sites = self.crystals.n_atoms.numpy(), self.crystals.mask
        match name:
            case "numbers":
                return _lists(counts, pa.array(self.crystals.numbers[sites].numpy()))
            case "frac":
                return _lists(counts, _triples(self.crystals.frac[sites].numpy()))
            case "lattice":
                lattice = self.crystals.lattice.numpy()
                there = (counts > 0) | np.isfinite(lattice).any((1, 2))
                return _lists(3 * there, _triples(lattice[there]))
            case "relaxed_frac":
                moved = self.final.frac[sites & torch.from_numpy(self.has_relaxed)[:, None]]
                return _lists(counts * self.has_relaxed, _triples(moved.numpy()), ~self.has_relaxed)
            case "relaxed_lattice":
                lattice = self.final.lattice.numpy()[self.has_relaxed]
                return _lists(3 * self.has_relaxed, _triples(lattice), ~self.has_relaxed)
            case _:
                return pa.array(self.column(name).array, schema([name]).field(0).type)


def _frame(columns: Mapping[str, Values]) -> pd.DataFrame:
    return pd.DataFrame({name: _typed(name, values) for name, values in columns.items()})


def _typed(name: str, values: Values) -> Any:
    """Values as a pandas array of the column's type; what is missing or not finite is null."""
    kind = described(name).dtype
    if kind == "string":
        return pd.array([None if pd.isna(value) else str(value) for value in values], dtype="string")
    if kind == "double":
        numbers = pd.array(values, dtype="Float64").to_numpy(dtype=float, na_value=np.nan)
        return pd.array(np.where(np.isfinite(numbers), numbers, np.nan), dtype="Float64")
    return pd.array(values, dtype=_PANDAS[kind])


def _without_sites(n: int) -> Crystals:
    """Places of n crystals that are not there."""
    lattice = torch.full((n, 3, 3), torch.nan, dtype=torch.float64)
    counts = torch.zeros(n, dtype=torch.int64)
    return Crystals(counts.new_zeros(n, 0), lattice.new_zeros(n, 0, 3), lattice, counts)


def _crystals(counts: NDArray[np.integer], numbers: Any, frac: Any, lattice: pa.ListArray) -> Crystals:
    """Crystals of sites that lie one crystal after the other; cells that are empty lists become NaN."""
    n = torch.from_numpy(counts.astype(np.int64))
    places = torch.arange(int(n.max()) if len(n) else 0) < n[:, None]
    z = torch.zeros(places.shape, dtype=torch.int64)
    z[places] = torch.from_numpy(np.array(numbers, dtype=np.int64))
    x = torch.zeros(*places.shape, 3, dtype=torch.float64)
    x[places] = torch.from_numpy(np.array(frac, dtype=np.float64).reshape(-1, 3))
    cells = np.full((len(n), 3, 3), np.nan)
    cells[np.diff(lattice.offsets.to_numpy()) == 3] = np.asarray(_values(lattice)).reshape(-1, 3, 3)
    return Crystals(z, x, torch.from_numpy(cells), n)


def _replaced(crystals: Crystals, where: Flags, frac: Any, lattice: Any) -> Crystals:
    """Crystals with other coordinates and cells in some rows."""
    rows = torch.from_numpy(where)
    x, cells = crystals.frac.clone(), crystals.lattice.clone()
    x[crystals.mask & rows[:, None]] = torch.from_numpy(np.array(frac, dtype=np.float64).reshape(-1, 3))
    cells[rows] = torch.from_numpy(np.array(lattice, dtype=np.float64).reshape(-1, 3, 3))
    return Crystals(crystals.numbers, x, cells, crystals.n_atoms)


def _values(matrices: pa.ListArray) -> NDArray[np.float64]:
    """All numbers of a column of matrices, null ones left out."""
    return matrices.flatten().flatten().to_numpy()


def _triples(values: NDArray[np.float64]) -> pa.ListArray:
    """Rows of three."""
    flat = np.ascontiguousarray(values).ravel()
    return pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, 3, dtype=np.int32), pa.array(flat))


def _lists(counts: NDArray[np.integer], values: pa.Array, missing: Flags | None = None) -> pa.ListArray:
    """Lists of the given lengths, taken from values in order; null where missing."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, values, mask=None if missing is None else pa.array(missing))


def table_crystals(table: pd.DataFrame, relaxed: bool = False) -> Crystals:
    """Crystals of the structure columns of a pandas table, such as :meth:`Run.candidates` returns.

    A row without values becomes a crystal whose cell and coordinates are NaN.

    Arguments:
        table: B rows with ``numbers``, ``frac`` and ``lattice``, and the relaxed ones where those are asked for.
        relaxed: Take the relaxed ones.
    """
    prefix = "relaxed_" if relaxed else ""
    numbers, frac, lattice = [], [], []
    for z, x, cell in zip(table["numbers"], table[prefix + "frac"], table[prefix + "lattice"], strict=True):
        sites = [] if _missing(z) else [int(value) for value in z]
        there = not (_missing(x) or _missing(cell))
        numbers.append(sites)
        frac.append(_matrix(x, len(sites)) if there else np.full((len(sites), 3), np.nan).tolist())
        lattice.append(_matrix(cell, 3) if there else np.full((3, 3), np.nan).tolist())
    return Crystals.from_lists(numbers, frac, lattice)


def _matrix(rows: Iterable[Iterable[float]], count: int) -> list[list[float]]:
    return np.array([list(row) for row in rows], dtype=float).reshape(count, 3).tolist()


def _missing(value: object) -> bool:
    # Tables write a missing list as None or NaN; a structure that could not be read has an empty one.
    return value is None or isinstance(value, float) or len(value) == 0  # type: ignore[arg-type]
