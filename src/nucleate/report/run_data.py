"""What a report is made of: everything that a run folder holds, read once and brought to known types."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import NUMBERS, SYMBOLS
from nucleate.errors import UserError
from nucleate.runs.record import RunRecord, StatedProtocol
from nucleate.screening.ranking import rank_order

TEXT_COLUMNS = (
    "id", "model", "formula", "chemical_system", "status", "reason", "duplicate_of", "undefined_descriptors",
    "stopped_by", "prototype", "prototype_name",
)  # fmt: skip
INTEGER_COLUMNS = ("n_atoms", "n_competing_phases", "space_group", "relaxed_space_group", "prototype_rank")
FLOAT_COLUMNS = ("energy_per_atom", "formation_energy", "energy_above_hull", "rmsd_to_relaxed")
FLAG_COLUMNS = (
    "is_valid", "is_unique", "is_novel", "formula_known", "is_stable", "meets_request", "rmsd_matched",
    "has_prototype",
)  # fmt: skip
STRUCTURE_COLUMNS = ("numbers", "frac", "lattice", "relaxed_frac", "relaxed_lattice")
_KNOWN = {*TEXT_COLUMNS, *INTEGER_COLUMNS, *FLOAT_COLUMNS, *FLAG_COLUMNS, *STRUCTURE_COLUMNS}


@dataclass(frozen=True)
class RunData:
    """A run as the report sees it.

    Attributes:
        folder: Where the run lies.
        record: The content of ``run.json``.
        conditions: What was asked for; empty where the record does not say.
        candidates: The ranked candidates with every column of the contract, typed; unknown values are NA.
        extra_columns: Names of further numeric columns (descriptors, conditions, predictions).
        phases: Competing phases: ``formula``, ``formation_energy`` in eV/atom, ``source``; may be empty.
        hull_system: Symbols of the chemical system whose phases these are; empty where not known.
        cifs: CIF text by candidate id, where the run holds such files.
        reference: What ``reference.json`` says of the reference's structure types and descriptors; may be empty.
        warnings: What a reader must know before trusting the numbers.
    """

    folder: Path
    record: RunRecord
    conditions: Conditions
    candidates: pd.DataFrame
    extra_columns: tuple[str, ...]
    phases: pd.DataFrame
    hull_system: tuple[str, ...]
    cifs: dict[str, str]
    reference: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = field(default=())

    @property
    def protocol(self) -> StatedProtocol:
        """How the numbers were made."""
        return self.record.protocol

    @property
    def threshold(self) -> float:
        """Largest energy above the hull that counts as stable, eV/atom."""
        return self.record.protocol.stability_threshold


def read_run(folder: Path) -> RunData:
    """Read a run folder; what is missing or torn becomes a warning, not a failure.

    Raises:
        UserError: There is no ``run.json``, another version wrote it, or it does not fit.
    """
    record = RunRecord.read(folder)
    warnings = list(record.warnings)
    table = _shards(folder, record, warnings)
    candidates = _ranked(_typed(table))
    extra = tuple(name for name in table.columns if name not in _KNOWN and name != "rank" and _is_numeric(table[name]))
    for name in extra:
        candidates[name] = pd.to_numeric(table[name], errors="coerce").astype(float).reindex(candidates.index)
    candidates = candidates.reset_index(drop=True)
    phases, system = _hull(folder / "hull.json", warnings)
    return RunData(
        folder=folder,
        record=record,
        conditions=_conditions(record, warnings),
        candidates=candidates,
        extra_columns=extra,
        phases=phases,
        hull_system=system,
        cifs=_cifs(folder / "cifs", set(candidates["id"])),
        reference=_reference(folder / "reference.json", warnings),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain dictionaries; an unknown value is ``pd.NA``, NaN or None, which ``pd.isna`` recognises."""
    return table.to_dict("records")


def _shards(folder: Path, record: RunRecord, warnings: list[str]) -> pd.DataFrame:
    tables = []
    paths = sorted((folder / "candidates").glob("*.parquet"))
    for path in paths:
        try:
            tables.append(pd.read_parquet(path))
        except (OSError, ValueError) as error:  # pyarrow's errors are of these two kinds
            warnings.append(f"{path.name} could not be read and is left out: {error}")
    planned = len(record.chunk_plan)
    if planned > len(tables):
        warnings.append(
            f"This run is not finished: {len(tables)} of {planned} chunks are here. The same command with --resume "
            "goes on where it stopped."
        )
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of the contract with one type each; those that are missing are filled with NA."""
    out = pd.DataFrame(index=table.index)

    def column(name: str) -> pd.Series:
        return table[name] if name in table else pd.Series([None] * len(table), index=table.index, dtype=object)

    for name in TEXT_COLUMNS:
        out[name] = column(name).map(lambda value: "" if _is_missing(value) else str(value)).astype(object)
    for name in FLOAT_COLUMNS:
        values = pd.to_numeric(column(name), errors="coerce").astype(float)
        out[name] = values.where(np.isfinite(values))
    for name in INTEGER_COLUMNS:
        values = pd.to_numeric(column(name), errors="coerce").astype(float)
        out[name] = values.where(np.isfinite(values)).round().astype("Int64")
    for name in FLAG_COLUMNS:
        out[name] = column(name).map(_flag).astype("boolean")
    for name in STRUCTURE_COLUMNS:
        width = 1 if name == "numbers" else 3
        out[name] = [_array(value, width) for value in column(name)]
    if "rank" in table:
        out["rank"] = pd.to_numeric(table["rank"], errors="coerce")
    _complete(out)
    return out


def _complete(table: pd.DataFrame) -> None:
    """Fill what follows from other columns: ids from row numbers, sizes and formulas from the atoms."""
    table["id"] = [value or f"row {i}" for i, value in enumerate(table["id"])]
    table["status"] = table["status"].where(table["status"] != "", "unknown")
    counts = [None if numbers is None else len(numbers) for numbers in table["numbers"]]
    table["n_atoms"] = table["n_atoms"].fillna(pd.Series(counts, index=table.index, dtype="Int64"))
    formulas = [
        value or _cell_formula(numbers) for value, numbers in zip(table["formula"], table["numbers"], strict=True)
    ]
    table["formula"] = pd.Series(formulas, index=table.index, dtype=object)


def _cell_formula(numbers: np.ndarray | None) -> str:
    if numbers is None:
        return "?"
    symbols = [SYMBOLS[int(z)] if 0 < z < len(SYMBOLS) else "?" for z in numbers.ravel()]
    return "".join(s + (str(symbols.count(s)) if symbols.count(s) > 1 else "") for s in dict.fromkeys(symbols))


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Rank order; the index still names the rows of the table that was read."""
    if "rank" in table:
        return table.sort_values("rank", kind="stable").drop(columns="rank")
    return table.loc[rank_order(table)]


def _conditions(record: RunRecord, warnings: list[str]) -> Conditions:
    try:
        return Conditions.parse(record.where, record.allow_subsystems)
    except UserError as error:
        warnings.append(f"The request in run.json is not understood: {error}")
        return Conditions()


def _hull(path: Path, warnings: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Competing phases and the symbols of their chemical system."""
    empty = pd.DataFrame({"formula": [], "formation_energy": [], "source": []}), ()
    if not path.exists():
        return empty
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        table = pd.DataFrame(
            [
                {
                    "formula": str(row["formula"]),
                    "formation_energy": float(row["formation_energy"]),
                    "source": str(row.get("source", "")),
                }
                for row in content["phases"]
            ],
            columns=["formula", "formation_energy", "source"],
        )
        named = str(content.get("chemical_system", "")).split("-")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        warnings.append(f"hull.json could not be read, so the hull is not drawn: {error!r}")
        return empty
    table = table[np.isfinite(table["formation_energy"].astype(float))].reset_index(drop=True)
    return table, tuple(symbol for symbol in named if symbol in NUMBERS)


def _reference(path: Path, warnings: list[str]) -> dict[str, Any]:
    """How the reference spreads, as far as the run holds it."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        warnings.append("reference.json could not be read, so the run is not drawn beside its reference.")
        return {}
    return content


def _cifs(folder: Path, ids: set[str], limit: int = 200_000) -> dict[str, str]:
    """CIF files named by candidate; a file above ``limit`` bytes is not a unit cell of ours."""
    found = {}
    for path in sorted(folder.glob("*.cif")) if folder.is_dir() else []:
        name = path.stem if path.stem in ids else path.stem.split("_")[0]
        if name in ids and path.stat().st_size <= limit:
            found[name] = path.read_text(encoding="utf-8", errors="replace")
    return found


def _array(value: Any, width: int) -> np.ndarray | None:
    """Atomic numbers (n,) or rows of three (n, 3), from flat or nested lists; None where that does not hold."""
    if _is_missing(value):
        return None
    try:
        flat = np.array([np.asarray(list(row) if np.ndim(row) else row, dtype=float).ravel() for row in value])
        flat = flat.ravel()
    except (TypeError, ValueError):
        return None
    if not len(flat) or len(flat) % width or not np.isfinite(flat).all():
        return None
    return flat.astype(int) if width == 1 else flat.reshape(-1, width)


def _flag(value: Any) -> bool | None:
    return None if _is_missing(value) else bool(value)


def _is_missing(value: Any) -> bool:
    return value is None or (np.ndim(value) == 0 and bool(pd.isna(value)))


def _is_numeric(values: pd.Series) -> bool:
    if values.dtype == bool or isinstance(values.dtype, pd.BooleanDtype):
        return False
    if values.dtype == object:
        values = values.dropna()
        return len(values) > 0 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return pd.api.types.is_numeric_dtype(values)
