"""The columns of a run's tables, each once, with its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# Matrices are lists of rows, so that any Parquet reader understands them. Å, eV and eV/atom.
_INPUT = {
    "id": "string",
    "model": "string",
    "formula": "string",
    "chemical_system": "string",
    "n_atoms": "int64",
    "status": "string",
    "reason": "string",
    "numbers": "integers",
    "frac": "matrix",
    "lattice": "matrix",
}
_SCREENED = {
    "relaxed_frac": "matrix",
    "relaxed_lattice": "matrix",
    "energy_per_atom": "double",
    "formation_energy": "double",
    "energy_above_hull": "double",
    "n_competing_phases": "int64",
    "space_group": "int64",
    "relaxed_space_group": "int64",
    "rmsd_to_relaxed": "double",
    "rmsd_matched": "bool",
    "is_valid": "bool",
    "is_unique": "bool",
    "duplicate_of": "string",
    "is_novel": "bool",
    "formula_known": "bool",
    "is_stable": "bool",
    "meets_request": "bool",
    "density": "double",
}

PROTOTYPE_COLUMNS = {
    "has_prototype": "bool",
    "prototype": "string",
    "prototype_name": "string",
    "prototype_rank": "int64",
}
"""The structure type of the final crystal; its rank is its place among the types compared with, from 0."""

STOPPED_BY = "stopped_by"
"""The first filter of the run's funnel that a candidate does not pass; null for one that passes all."""

INPUT_COLUMNS = tuple(_INPUT)
CANDIDATE_COLUMNS = tuple(_INPUT | _SCREENED)

WHY_UNDEFINED = "undefined_descriptors"
"""Column beside the descriptors: those without a value, and the elements that are the cause where it is elements."""


def input_schema() -> pa.Schema:
    """Schema of ``generated/*.parquet``: the structures as they came, or the reason why one did not."""
    return _schema(_INPUT)


NUMERIC_COLUMNS = tuple(
    name for name, kind in (_INPUT | _SCREENED | PROTOTYPE_COLUMNS).items() if kind in ("int64", "double", "bool")
)
"""The columns that a filter may read, beside the descriptors."""


def candidate_schema(descriptors: Sequence[str] = (), more: Mapping[str, str] | None = None) -> pa.Schema:
    """Schema of ``candidates/*.parquet``: the same rows, screened. An unknown value is null, never 0.

    Arguments:
        descriptors: Names of the descriptors that follow the columns which every run has.
        more: Further columns at the end, with their types.
    """
    described = dict.fromkeys(descriptors, "double")
    why = {WHY_UNDEFINED: "string"} if described else {}
    return _schema(_INPUT | _SCREENED | described | why | dict(more or {}))


def _schema(columns: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "integers": pa.list_(pa.int64()),
        "matrix": pa.list_(pa.list_(pa.float64())),
    }
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])
