"""Structures in and out of files, folders and archives; the name says the format."""

from __future__ import annotations

import gzip
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.errors import SkippedWarning, UserError
from nucleate.io.ase_writers import write_ase_db, write_extxyz
from nucleate.io.bounds import read_bytes, regular_file
from nucleate.io.cif_writer import SYMPREC, block_names, cif_texts
from nucleate.io.members import (
    CONFINED,
    FORMATS,
    MAX_FRAMES_BYTES,
    WRITTEN,
    Member,
    folder_members,
    is_hidden,
    kind_of,
    most_bytes,
    natural,
    tar_members,
    zip_members,
)
from nucleate.io.poscar import poscar_texts
from nucleate.io.reading import Readings
from nucleate.io.tables import read_csv, read_parquet, write_csv, write_parquet
from nucleate.io.validation import SOURCE_FILE, Failure, StructureFile, default_ids, gather_records
from nucleate.io.writing import whole_file, whole_folder

_MATTERGEN = ("generated_crystals.extxyz", "generated_crystals_cif.zip")
"""Crystals in the output folder of MatterGen, the first with more digits; trajectories lie beside them."""


def read_structures(path: str | Path) -> StructureFile:
    """Crystals of a file or folder, in its order.

    Files of a folder or archive that hold no structures are listed in ``skipped``, with a warning.

    Raises:
        UserError: The path is missing, of an unknown kind, damaged or too large. A single structure that is no
            crystal raises nothing; it is listed in ``failures``.
    """
    path = Path(path)
    kind = "folder" if path.is_dir() else kind_of(path.name)
    match kind:
        case "csv":
            return read_csv(path)
        case "parquet":
            return read_parquet(path)
        case "folder" | "zip" | "tar":
            return _read_many(path, kind)
        case "" | "potcar":
            raise UserError(str(path), f"the suffix {path.suffix!r}" if path.suffix else "no suffix", FORMATS)
    return _read_single(path, kind)


def _read_single(path: Path, kind: str) -> StructureFile:
    """Crystals of one file, named by their positions where it holds more than one and does not name them.

    Raises:
        UserError: It cannot be read.
    """
    name = PurePosixPath(path.name)
    with Readings() as readings:
        if kind == "poscar" and (potcar := path.with_name("POTCAR")).is_file():
            readings.add([Member(PurePosixPath("POTCAR"), read_bytes(potcar, MAX_FRAMES_BYTES))])
        if kind in CONFINED and path.suffix.lower() != ".gz":
            regular_file(path)
            readings.add([Member(name, b"", path)])
        else:
            readings.add([Member(name, read_bytes(path))])
        readings.finish()
        for unread in readings.unread().values():
            raise UserError(str(path), unread.reason, FORMATS if unread.foreign else "a file of structures")
        records = readings.records()
        named = len(records) == 1 and kind not in {"extxyz", "db"}
        return gather_records(records if named else readings.without_names())


def _read_many(path: Path, kind: str) -> StructureFile:
    """Crystals of all files in a folder or archive that hold some.

    Raises:
        UserError: It cannot be read, or holds none.
    """
    generated = next((name for name in _MATTERGEN if kind == "folder" and (path / name).is_file()), None)
    if generated == _MATTERGEN[1]:
        others = tuple(sorted(file.name for file in path.iterdir() if file.name != generated))
        return _with_skipped(read_structures(path / generated), path, others)
    skipped: dict[str, None] = {}

    def most(name: PurePosixPath) -> int:
        size = most_bytes(name) if generated is None or str(name) == generated else 0
        if not size and not is_hidden(name):
            skipped[str(name)] = None
        return size

    members = {"folder": folder_members, "zip": zip_members, "tar": tar_members}[kind]
    with Readings(inside=True) as readings:
        readings.add(members(path, most))
        readings.finish()
        records = readings.records()
        skipped.update((name, None) for name, unread in readings.unread().items() if unread.foreign)
    names = tuple(sorted(skipped, key=lambda name: natural(PurePosixPath(name))))
    if not records:
        found = "no structure files" + (f" but {_listed(names)}" if names else "")
        raise UserError(str(path), found, "files named .cif, .vasp, POSCAR, .extxyz, ...; tables by their own names")
    return _with_skipped(gather_records(records), path, names)


def _with_skipped(found: StructureFile, path: Path, names: tuple[str, ...]) -> StructureFile:
    if names:
        warnings.warn(f"{path}: not read, since no structures: {_listed(names)}", SkippedWarning, stacklevel=4)
    return replace(found, skipped=(*found.skipped, *names))


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def write_structures(
    crystals: Crystals,
    path: str | Path,
    ids: Sequence[str] | None = None,
    properties: pd.DataFrame | None = None,
    symprec: float = SYMPREC,
) -> tuple[str, ...]:
    """Write crystals whole or not at all; a path without a suffix becomes a folder of CIFs.

    Returns the names of properties that were left out, since the format has no place for them: all in CIFs and POSCARs,
    and in a CSV those with values of sites or directions, whose cell is not the one that is written.

    Arguments:
        crystals: B crystals.
        path: Where to; see ``WRITTEN``. An existing file is replaced, a folder must be new or empty.
        ids: A name for each crystal; by default its position.
        properties: Further columns, one row a crystal.
        symprec: Å within which the symmetry written to CIFs is found.

    Raises:
        UserError: The suffix is unknown, or the place cannot be written.
    """
    path = Path(path)
    ids = default_ids(len(crystals)) if ids is None else [str(identifier) for identifier in ids]
    if len(ids) != len(crystals):
        raise UserError("ids", f"{len(ids)} for {len(crystals)} crystals", "one for each")
    kind = kind_of(path.name) or ("" if path.suffix else "folder")
    if path.suffix.lower() == ".gz" and kind not in {"cif", "csv", "extxyz"}:
        raise UserError(str(path), "the suffix '.gz'", WRITTEN)
    left_out = _left_out(kind, properties)
    properties = properties if properties is None else properties.drop(columns=left_out)
    if kind == "poscar" and len(crystals) == 1 and not path.is_dir():
        with whole_file(path) as made:
            made.write_text(poscar_texts(crystals, ids)[0], encoding="utf-8")
    elif kind == "poscar":
        with whole_folder(path) as made:
            for name, text in zip(file_names(ids), poscar_texts(crystals, ids), strict=True):
                (made / f"{name}.vasp").write_text(text, encoding="utf-8")
    elif kind == "folder":
        with whole_folder(path) as made:
            for name, text in zip(file_names(ids), cif_texts(crystals, ids, symprec), strict=True):
                (made / f"{name}.cif").write_text(text, encoding="utf-8")
    else:
        with whole_file(path) as made:
            _write_file(kind, crystals, ids, properties, symprec, made, path)
    return tuple(map(str, left_out))


def _left_out(kind: str, properties: pd.DataFrame | None) -> list[str]:
    """Properties that a kind of file has no place for."""
    if properties is None or kind in {"db", "extxyz", "parquet"}:
        return []
    if kind != "csv":
        return [name for name in properties.columns if name != SOURCE_FILE]
    return [name for name in properties if any(isinstance(value, list | np.ndarray) for value in properties[name])]


@dataclass(frozen=True)
class Conversion:
    """Outcome of a conversion.

    Attributes:
        n: Crystals written.
        failures: Rows that are none, and why.
        skipped: Files of a folder or archive that hold no structures.
        left_out: Properties that the format written has no place for.
    """

    n: int
    failures: tuple[Failure, ...]
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]


def convert_structures(source: Path, target: Path) -> Conversion:
    """Write the structures of one file to another, with their names and properties.

    Raises:
        UserError: A format is unknown, or the source holds no crystal.
    """
    found = read_structures(source)
    if not found.ids:
        why = f"; {found.failures[0].reason}" if found.failures else ""
        raise UserError(str(source), f"no crystal{why}", "at least one")
    left_out = write_structures(found.crystals, target, found.ids, found.properties)
    return Conversion(len(found.ids), found.failures, found.skipped, left_out)


def file_names(ids: Iterable[str]) -> list[str]:
    """File names whose natural order is the order given: the ids themselves where that holds."""
    names = block_names(ids)
    keys = [natural(PurePosixPath(f"{name}.cif")) for name in names]
    if keys == sorted(keys):
        return names
    return [f"{position}_{name}" for position, name in zip(default_ids(len(names)), names, strict=True)]


def _write_file(
    kind: str,
    crystals: Crystals,
    ids: Sequence[str],
    properties: pd.DataFrame | None,
    symprec: float,
    made: Path,
    path: Path,
) -> None:
    match kind:
        case "cif":
            content = "\n".join(cif_texts(crystals, ids, symprec)).encode()
            made.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        case "zip":
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, text in zip(file_names(ids), cif_texts(crystals, ids, symprec), strict=True):
                    archive.writestr(zipfile.ZipInfo(f"{name}.cif"), text, zipfile.ZIP_DEFLATED)
        case "extxyz":
            write_extxyz(crystals, ids, properties, made)
        case "db":
            write_ase_db(crystals, ids, properties, made)
        case "csv":
            write_csv(cif_texts(crystals, ids, symprec), ids, properties, made)
        case "parquet":
            write_parquet(crystals, ids, properties, made)
        case _:
            raise UserError(str(path), f"the suffix {path.suffix!r}", WRITTEN)
