"""Everything of a run folder that a report shows, read once and brought to known types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import NUMBERS
from nucleate.runs.columns import CANDIDATE_COLUMNS, PROTOTYPE_COLUMNS, STOPPED_BY, WHY_UNDEFINED, described
from nucleate.runs.record import RunRecord, StatedProtocol
from nucleate.runs.run import Run
from nucleate.screening.ranking import rank_order

_SHOWN_BY_NAME = {"energy_per_atom", "formation_energy", "energy_above_hull", "rmsd_to_relaxed"}
_ALWAYS = (*CANDIDATE_COLUMNS, WHY_UNDEFINED, STOPPED_BY, *PROTOTYPE_COLUMNS)


@dataclass(frozen=True)
class RunData:
    """A run as the report sees it.

    Attributes:
        folder: Where the run lies.
        record: What the run is and how it was made.
        conditions: What was asked for.
        candidates: The ranked candidates with every column that a run can have, typed; unknown values are NA.
        extra_columns: Names of the further numeric columns of this run, such as descriptors.
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
    run = Run.open(folder)
    record, torn = run.record, list[str]()
    table = run.candidates(torn)
    warnings = [*record.warnings, *(f"{name} could not be read and is left out." for name in torn)]
    whole, planned = len(run.finished) - len(torn), len(run.chunks)
    if planned > whole:
        warnings.append(
            f"This run is not finished: {whole} of {planned} chunks are here. The same command with --resume goes on "
            "where it stopped."
        )
    extra = tuple(name for name in map(str, table) if described(name).dtype == "double" and name not in _SHOWN_BY_NAME)
    typed = _typed(table)
    candidates = typed.loc[rank_order(typed, record.request)].reset_index(drop=True)
    phases, system = _hull(folder / "hull.json", warnings)
    return RunData(
        folder=folder,
        record=record,
        conditions=record.request or Conditions(),
        candidates=candidates,
        extra_columns=extra,
        phases=phases,
        hull_system=system,
        cifs=_cifs(folder / "cifs", set(candidates["id"])),
        reference=_reference(folder / "reference.json", warnings),
        warnings=tuple(dict.fromkeys(warnings)),
    )


@dataclass(frozen=True)
class CandidateRow:
    """A candidate of the table, its values by the name of their column and by type; None where one is not known."""

    values: Mapping[str, object]

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        value = self.values[name]
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """A number in the unit of its column (eV/atom, Å, ...)."""
        value: Any = self.values[name]
        return None if pd.isna(value) else float(value)

    def whole(self, name: str) -> int | None:
        """A whole number."""
        value: Any = self.values[name]
        return None if pd.isna(value) else int(value)

    def flag(self, name: str) -> bool | None:
        """A flag."""
        value: Any = self.values[name]
        return None if pd.isna(value) else bool(value)

    def array(self, name: str) -> NDArray[Any] | None:
        """Numbers of a structure: atomic numbers (n,), fractional coordinates (n, 3) or a lattice (3, 3) in Å."""
        value = self.values[name]
        return value if isinstance(value, np.ndarray) else None


def candidate_rows(table: pd.DataFrame) -> list[CandidateRow]:
    """The rows of the table of a run, typed as :class:`RunData` has them."""
    return [CandidateRow(row) for row in table.to_dict("records")]


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Columns with one type each: an unknown text is empty, an unknown number or flag NA, an unknown structure None."""
    columns: dict[str, object] = {}
    for name in dict.fromkeys((*_ALWAYS, *map(str, table))):
        values = table[name] if name in table else pd.Series([None] * len(table), table.index, dtype=object)
        match described(name).dtype:
            case "string":
                columns[name] = values.fillna("").astype(object)
            case "double":
                numbers = values.astype(float)
                columns[name] = numbers.where(np.isfinite(numbers))
            case "int64":
                columns[name] = values.astype("Int64")
            case "bool":
                columns[name] = values.astype("boolean")
            case "integers":
                columns[name] = [_array(value, int) for value in values]
            case "matrix":
                columns[name] = [_array(value, float) for value in values]
    return pd.DataFrame(columns, index=table.index)


def _array(value: Sequence[object] | None, kind: type) -> np.ndarray | None:
    """Atomic numbers (n,) or rows of three (n, 3); None where there are none or some are not finite."""
    if value is None or not len(value):
        return None
    found = np.array([np.asarray(row, kind) for row in value])
    return found if np.isfinite(found).all() else None


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
