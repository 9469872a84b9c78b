"""Extended XYZ and the ASE database, through ASE."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.parsed_structure import MAX_SITES, ParsedStructure
from nucleate.errors import UserError
from nucleate.io.bounds import as_text, read_bytes, regular_file
from nucleate.io.interop import to_ase
from nucleate.io.validation import StructureFile, default_ids, gather

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms

_MAX_COLUMNS = 1000  # of a frame; the library takes any width


def read_extxyz(path: Path) -> StructureFile:
    """Frames of an extended XYZ file; numbers and texts on the comment line become properties.

    A frame that is no crystal is a failure of its own; a count of atoms that does not fit ends the reading,
    since nothing after it can be told apart.
    """
    from ase.io.extxyz import read_xyz

    entries: list[ParsedStructure | str] = []
    found: list[dict[str, Any]] = []
    for frame in _frames(as_text(read_bytes(path))):
        info: dict[str, Any] = {}
        if frame.startswith("!"):
            entries.append(frame[1:])
        else:
            try:
                atoms = next(iter(read_xyz(io.StringIO(_bounded(frame)), index=slice(0, 1))))
                results = atoms.calc.results if atoms.calc is not None else {}
                info = {**atoms.info, **results, "id": _written_id(frame)}
                entries.append(_with_losses(_raw(atoms), {**info, **atoms.arrays}))
            except Exception as error:  # noqa: BLE001 - whatever a malformed frame made the library trip over
                entries.append(_reason("the frame", error))
        found.append(info)
    return gather(entries, _names(found), _properties(found))


def write_extxyz(crystals: Crystals, ids: Sequence[str], properties: pd.DataFrame | None, path: Path) -> None:
    """One frame per crystal; id and properties on its comment line."""
    from ase.io import write

    frames = to_ase(crystals)
    for atoms, identifier, row in zip(frames, ids, _rows(properties, len(frames)), strict=True):
        atoms.info.update({**row, "id": identifier})
    write(path, frames, format="extxyz")


def read_ase_db(path: Path) -> StructureFile:
    """Rows of an ASE database in the order of their keys."""
    from ase.db import connect

    regular_file(path)
    if path.open("rb").read(16) != b"SQLite format 3\0":
        raise UserError(str(path), "no SQLite file", "an ASE database")
    entries: list[ParsedStructure | str] = []
    found: list[dict[str, Any]] = []
    try:
        for row in connect(str(path), type="db").select(sort="id"):
            found.append(dict(row.key_value_pairs))
            try:
                found[-1]["id"] = row.data.get("id")
                entries.append(_raw(row.toatoms()))
            except Exception as error:  # noqa: BLE001 - whatever a malformed row made the library trip over
                entries.append(_reason("the row", error))
    except Exception as error:
        raise UserError(str(path), f"a database that cannot be read ({error})", "an ASE database") from error
    return gather(entries, _names(found), _properties(found))


def write_ase_db(crystals: Crystals, ids: Sequence[str], properties: pd.DataFrame | None, path: Path) -> None:
    """One row per crystal; id and properties as key-value pairs."""
    from ase.db import connect

    rows = _rows(properties, len(crystals))
    with connect(str(path), type="db", append=False) as database:
        for atoms, identifier, row in zip(to_ase(crystals), ids, rows, strict=True):
            database.write(atoms, data={"id": identifier}, **_pairs(row))


def _frames(text: str) -> Iterator[str]:
    """Text of each frame, or ``!`` and the reason why there is none."""
    lines = text.splitlines(keepends=True)
    start = 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        count = lines[start].strip()
        if not re.fullmatch(r"[0-9]{1,9}", count):
            yield f"!{count[:40]!r} where a count of atoms is expected; nothing after it was read"
            return
        stop = start + 2 + int(count)
        if stop > len(lines):
            yield f"!{len(lines) - start - 2} lines for {int(count):,} atoms"
            return
        if int(count) > MAX_SITES:
            yield f"!{int(count):,} sites; at most {MAX_SITES:,} are read"
        else:
            yield "".join(lines[start:stop])
        start = stop


def _bounded(frame: str) -> str:
    """The frame with the keys of its comment line as the library knows them.

    Raises:
        ValueError: It announces more columns than may be read.
    """
    count, comment, sites = frame.split("\n", 2) if frame.count("\n") > 1 else (*frame.split("\n", 1), "")
    widths = re.findall(r":[A-Za-z]:(\d+)", comment)
    if any(len(width) > 4 for width in widths) or sum(map(int, widths)) > _MAX_COLUMNS:
        raise ValueError(f"more than {_MAX_COLUMNS:,} columns")
    comment = re.sub(r"(?i)(?<!\S)(lattice|properties)=", lambda found: f"{found[1].capitalize()}=", comment)
    return "\n".join((count, comment, sites))


def _with_losses(entry: ParsedStructure | str, found: dict[str, Any]) -> ParsedStructure | str:
    """The structure with a note that names what has a value an atom or a direction: only single values are kept."""
    lost = [
        name
        for name, value in found.items()
        if name not in {"numbers", "positions", "occupancy", "spacegroup_kinds"} and np.ndim(value) > 0
    ]
    if isinstance(entry, str) or not lost:
        return entry
    return replace(entry, notes=(*entry.notes, f"not read: {', '.join(lost)}"))


def _written_id(frame: str) -> str | None:
    """The value of ``id`` as it stands on the comment line: the library would make a number of 007."""
    comment = frame.split("\n", 2)[1]
    found = re.search(r"""(?:^|\s)(?:id|material_id)=(?:"((?:[^"\\]|\\.)*)"|(\S+))""", comment)
    if found is None:
        return None
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])


def _raw(atoms: Atoms) -> ParsedStructure | str:
    if atoms.cell.rank < 3 or not atoms.pbc.all():
        return "no cell that is periodic in three directions"
    occupancy = atoms.info.get("occupancy")
    if isinstance(occupancy, dict) and any(share != 1 for site in occupancy.values() for share in site.values()):
        return "partial occupancies"
    return ParsedStructure(
        atoms.numbers.astype(np.int64), atoms.get_scaled_positions(wrap=False), atoms.cell.array.copy()
    )


def _reason(what: str, error: Exception) -> str:
    if isinstance(error, np.linalg.LinAlgError):  # cartesian coordinates in a cell that spans no space
        return "a cell without volume"
    return f"{what} cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:160]})"


def _names(found: Sequence[dict[str, Any]]) -> list[str]:
    fallback = default_ids(len(found))
    names = [info.pop("id", None) for info in found]
    return [fallback[i] if name is None else str(name) for i, name in enumerate(names)]


def _properties(found: Sequence[dict[str, Any]]) -> pd.DataFrame | None:
    """Scalars of each row as a table; None where no row has any."""
    import pandas as pd

    scalars = [
        {key: value for key, value in info.items() if isinstance(value, str | int | float | np.generic)}
        for info in found
    ]
    return pd.DataFrame(scalars) if any(scalars) else None


def _rows(properties: pd.DataFrame | None, n: int) -> list[dict[str, Any]]:
    """Properties of each crystal, without those that are missing or not scalar."""
    if properties is None:
        return [{} for _ in range(n)]
    return [
        {str(key): value for key, value in row.items() if isinstance(value, str | int | float) and value == value}
        for row in properties.to_dict("records")
    ]


def _pairs(row: dict[str, Any]) -> dict[str, Any]:
    """Key-value pairs that the database takes: plain names that mean nothing else to it, no text like a number."""
    from ase.db.core import reserved_keys

    return {
        key: value
        for key, value in row.items()
        if re.fullmatch(r"[A-Za-z_]\w*", key) and key not in reserved_keys and not _looks_numeric(value)
    }


def _looks_numeric(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return value.lower() in {"true", "false"}
    return True
