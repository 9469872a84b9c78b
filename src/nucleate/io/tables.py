"""Tables of structures: CSV and Parquet, with CIF text or plain arrays in each row."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.errors import UserError
from nucleate.io.bounds import read_bytes, regular_file
from nucleate.io.cif_reader import parse_cifs
from nucleate.io.confined import confined
from nucleate.io.confined_reader import MAX_CELLS
from nucleate.io.validation import StructureFile, default_ids, gather

ID_COLUMNS = ("id", "material_id", "structure_id", "mp_id")
"""Columns that name a row, in the order in which they are looked for."""

_BYTES_PER_CELL = 16  # on average, below which many cells are a bomb; lines of CIFs within cells have more
_ARRAYS = ("numbers", "frac", "lattice")
_MISSING = {"", "nan", "na", "n/a", "none", "null"}


def read_csv(path: Path) -> StructureFile:
    """Structures and properties of a CSV (possibly ``.gz``) with a column ``cif``.

    A column whose values are all numbers or missing becomes numeric, with NaN where one is missing; any
    other stays text, so that a stray word can be named when the column is asked for as a number.

    Raises:
        UserError: The file cannot be read as CSV, or has no column ``cif``.
    """
    content = read_bytes(path)
    cells = content.count(b",") + content.count(b"\n")
    if cells > MAX_CELLS and len(content) < _BYTES_PER_CELL * cells:
        raise UserError(str(path), f"{cells:,} commas and lines", f"at most {MAX_CELLS:,}")
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, na_filter=False)
    except UnicodeDecodeError:
        raise UserError(str(path), "bytes that are not UTF-8 text", "a CSV table") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise UserError(str(path), f"no table ({' '.join(str(error).split())})", "a CSV table") from None
    table = table.rename(columns={name: _known_name(name, table) for name in table.columns})
    typed = [name for name in table.columns if name != "cif" and name not in ID_COLUMNS]
    for name in typed:
        table[name] = _typed(table[name])
    return from_table(table, str(path))


def read_parquet(path: Path) -> StructureFile:
    """Structures and properties of a Parquet table with a column ``cif``, or ``numbers``, ``frac`` and ``lattice``.

    Raises:
        UserError: The file is not Parquet, is too large, or lacks those columns.
    """
    regular_file(path)
    with confined([("parquet", path)]) as (folder, refused):
        if refused:
            raise UserError(str(path), refused[0].reason, "a Parquet table")
        try:
            with pa.memory_map(str(folder / "0.arrow")) as source:
                table = pa.ipc.open_file(source).read_all().to_pandas()
        except (pa.ArrowException, ValueError) as error:  # a value that pandas cannot hold, such as a date
            raise UserError(str(path), f"no table ({' '.join(str(error).split())[:120]})", "a Parquet table") from None
    return from_table(table.drop(columns=[name for name in table if name.startswith("__index_level_")]), str(path))


def from_table(table: pd.DataFrame, where: str) -> StructureFile:
    """Structures and properties of a table in memory.

    Raises:
        UserError: It has neither CIF texts nor arrays.
    """
    if "cif" in table:
        used: tuple[str, ...] = ("cif",)
        entries = parse_cifs([_text(value) for value in table["cif"]])
    elif set(_ARRAYS) <= set(table.columns):
        used = _ARRAYS
        entries = [_from_arrays(*row) for row in zip(*(table[name] for name in _ARRAYS), strict=True)]
    else:
        columns = ", ".join(map(str, table.columns[:12])) or "none"
        raise UserError(where, f"the columns {columns}", "a column 'cif' with CIF text (or numbers, frac, lattice)")
    name = next((name for name in ID_COLUMNS if name in table), None)
    ids = default_ids(len(table)) if name is None else [str(value) for value in table[name]]
    return gather(entries, ids, table.drop(columns=[*used, *(name for name in ID_COLUMNS[:1] if name in table)]))


def _known_name(name: str, table: pd.DataFrame) -> str:
    """Name of a column; in small letters where it is one of ours in others, and not there already."""
    small = name.strip().lower()
    return small if small in {"cif", *ID_COLUMNS[:2]} and small not in table else name


def _text(value: object) -> str:
    """CIF text of a cell; lines that were escaped as one are lines again."""
    if not isinstance(value, str):
        return ""
    return value.replace("\\n", "\n") if "\n" not in value and "\\n" in value else value


def _from_arrays(
    numbers: Sequence[int], frac: Sequence[Sequence[float]], lattice: Sequence[Sequence[float]]
) -> ParsedStructure | str:
    try:
        given = np.asarray(numbers, dtype=np.float64).reshape(-1)
        z = np.where(np.isfinite(given), given, 0).round().astype(np.int64)
        if (z != given).any():
            return f"an atomic number of {given[z != given][0]:g}"
        x = np.array([np.asarray(row, dtype=np.float64) for row in frac]).reshape(len(z), 3)
        cell = np.array([np.asarray(row, dtype=np.float64) for row in lattice]).reshape(3, 3)
    except (TypeError, ValueError):
        return "numbers, frac and lattice do not fit one another"
    return ParsedStructure(z, x, cell)


def _typed(values: pd.Series) -> pd.Series:
    """The column as whole numbers, numbers with NaN, truth values, or text with None for missing."""
    plain = values.str.strip()
    missing = plain.str.casefold().isin(_MISSING)
    numbers = pd.to_numeric(plain.mask(missing), errors="coerce")
    if (numbers.notna() | missing).all():
        whole = not missing.any() and plain.str.fullmatch(r"[-+]?\d{1,18}").all()
        return numbers.astype("int64" if whole else "float64")
    if plain.str.casefold().isin({"true", "false"}).all():
        return plain.str.casefold() == "true"
    return values.mask(plain == "", None)


def write_csv(texts: Sequence[str], ids: Sequence[str], properties: pd.DataFrame | None, path: Path) -> None:
    """A CSV with the columns ``id``, those of ``properties``, and ``cif``."""
    compression = "gzip" if path.suffix == ".gz" else None
    table = _with_ids(ids, properties)
    table.assign(cif=list(texts)).to_csv(path, index=False, compression=compression)


def write_parquet(crystals: Crystals, ids: Sequence[str], properties: pd.DataFrame | None, path: Path) -> None:
    """A Parquet table with the columns ``id``, those of ``properties``, ``numbers``, ``frac`` and ``lattice``."""
    sites = [tuple(value.tolist() for value in crystals.sites(i)) for i in range(len(crystals))]
    table = _with_ids(ids, properties)
    arrays = {name: [site[k] for site in sites] for k, name in enumerate(_ARRAYS)}
    table.assign(**arrays).to_parquet(path, index=False)


def _with_ids(ids: Sequence[str], properties: pd.DataFrame | None) -> pd.DataFrame:
    table = pd.DataFrame({"id": list(ids)})
    if properties is None:
        return table
    kept = properties.drop(columns=[name for name in ("id", "cif", *_ARRAYS) if name in properties])
    return pd.concat([table, kept.reset_index(drop=True)], axis=1)
