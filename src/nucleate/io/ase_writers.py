"""Crystals to extended XYZ and to the ASE database, through ASE, with their properties."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.db.core import reserved_keys
from ase.io import write
from ase.io.extxyz import per_atom_properties

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import to_ase
from nucleate.io.validation import Value, present

_OF_THE_CELL = frozenset(all_properties) - frozenset(per_atom_properties)  # such as a stress of six numbers
_RESULTS = ("energy", "forces", "stress", "magmoms", "charges")
"""Properties that the database keeps in places of their own."""


def write_extxyz(crystals: Crystals, ids: Sequence[str], properties: pd.DataFrame | None, path: Path) -> None:
    """One frame per crystal; id and properties on its comment line, values of the sites as columns."""
    frames = to_ase(crystals)
    rows = present(properties, len(frames))
    columns = site_columns(rows, crystals.n_atoms.tolist())
    for atoms, identifier, row in zip(frames, ids, rows, strict=True):
        for name, value in row.items():
            if name in columns and name not in atoms.arrays:
                atoms.set_array(name, np.array(value))
            else:
                atoms.info[name] = np.array(value) if isinstance(value, list) else value
        atoms.info["id"] = identifier
    write(path, frames, format="extxyz")


def write_ase_db(crystals: Crystals, ids: Sequence[str], properties: pd.DataFrame | None, path: Path) -> None:
    """One row per crystal; properties as results, as key-value pairs, or else as data of the row."""
    rows = present(properties, len(crystals))
    with connect(str(path), type="db", append=False) as database:
        for atoms, identifier, row in zip(to_ase(crystals), ids, rows, strict=True):
            results = {name: row[name] for name in _RESULTS if _is_result(name, row.get(name), len(atoms))}
            if results:
                atoms.calc = SinglePointCalculator(atoms, **{name: _result(name, one) for name, one in results.items()})
            pairs = {name: value for name, value in row.items() if name not in results and _is_pair(name, value)}
            data = {name: value for name, value in row.items() if name not in results and name not in pairs}
            database.write(atoms, data={**data, "id": identifier}, **pairs)


def site_columns(rows: Sequence[Mapping[str, Value]], counts: Sequence[int]) -> set[str]:
    """Names of the properties with one value for each site, in all rows that have them, of ``counts`` sites."""
    lengths: dict[str, set[bool]] = {}
    for row, n in zip(rows, counts, strict=True):
        for name, value in row.items():
            lengths.setdefault(name, set()).add(isinstance(value, list) and len(value) == n)
    return {name for name, of_sites in lengths.items() if of_sites == {True}} - _OF_THE_CELL


def _is_result(name: str, value: Value | None, n: int) -> bool:
    """Whether a property has the shape that ASE expects of the result of its name."""
    shapes = {"energy": (), "forces": (n, 3), "stress": (3, 3), "magmoms": (n,), "charges": (n,)}
    if value is None or isinstance(value, str):
        return False
    try:
        return np.array(value, dtype=np.float64).shape == shapes[name]
    except (TypeError, ValueError):
        return False


def _result(name: str, value: Value) -> np.ndarray | Value:
    """A result as the database keeps it: a stress as xx, yy, zz, yz, xz, xy."""
    array = np.array(value)
    return value if array.ndim == 0 else array[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] if name == "stress" else array


def _is_pair(name: str, value: Value) -> bool:
    """Whether the database takes it as a key-value pair: a plain name of no other meaning, no text like a number."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", name) and name not in reserved_keys
    return bool(plain) and not isinstance(value, list) and not _looks_numeric(value)


def _looks_numeric(value: Value) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return value.lower() in {"true", "false"}
    return True
