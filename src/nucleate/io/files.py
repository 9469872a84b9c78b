"""Structures in and out of files, folders and archives; the name says the format."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.bounds import MAX_BYTES, MAX_STRUCTURE_BYTES, as_text, read_bytes, read_within, regular_file
from nucleate.io.cif_blocks import split_blocks
from nucleate.io.cif_reader import parse_cifs
from nucleate.io.cif_writer import METHOD, SYMPREC, block_names, cif_texts
from nucleate.io.formats import read_ase_db, read_extxyz, write_ase_db, write_extxyz
from nucleate.io.poscar import parse_poscar, poscar_id, poscar_texts
from nucleate.io.tables import read_csv, read_parquet, write_csv, write_parquet
from nucleate.io.validation import StructureFile, default_ids, gather
from nucleate.io.writing import whole_file, whole_folder

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (
    ".cif (one file), a folder, .zip or .tar.gz of CIFs, .extxyz or .xyz, .parquet, .csv or .csv.gz with a "
    "column 'cif', .db (ASE), .vasp or POSCAR (a file, or a folder of them)"
)
"""Formats that can be read and written, for messages."""


def read_structures(path: str | Path) -> StructureFile:
    """Crystals of a file or folder, in its order.

    Raises:
        UserError: The path is missing, of an unknown kind, damaged or too large. A single structure that is no
            crystal raises nothing; it is listed in ``failures``.
    """
    path = Path(path)
    if path.is_dir():
        return _read_members(folder_members(path, _is_structure), path)
    match _kind(path):
        case "csv":
            return read_csv(path)
        case "parquet":
            return read_parquet(path)
        case "zip":
            return _read_members(zip_members(path, _is_structure), path)
        case "tar":
            return _read_members(tar_members(path, _is_structure), path)
        case "extxyz":
            return read_extxyz(path)
        case "db":
            return read_ase_db(path)
        case "cif" | "poscar":
            return _read_members([(PurePosixPath(path.name), as_text(read_bytes(path, MAX_BYTES)))], path)
    raise UserError(str(path), f"the suffix {path.suffix!r}" if path.suffix else "no suffix", FORMATS)


def write_structures(
    crystals: Crystals,
    path: str | Path,
    ids: Sequence[str] | None = None,
    properties: pd.DataFrame | None = None,
    symprec: float = SYMPREC,
) -> None:
    """Write crystals whole or not at all; a path without a suffix becomes a folder of CIFs.

    Arguments:
        crystals: B crystals.
        path: Where to; see ``FORMATS``. An existing file is replaced, a folder must be new or empty.
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
    kind = _kind(path)
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
            raise UserError(str(path), f"the suffix {path.suffix!r}", FORMATS)


def _read_members(members: Iterable[tuple[PurePosixPath, str | None]], path: Path) -> StructureFile:
    """One row for each data block of each CIF and for each POSCAR."""
    ids: list[str] = []
    texts: list[str] = []
    other: dict[int, str | None] = {}  # rows that are no CIF: a POSCAR's text, or None for a file too large
    for name, text in members:
        if text is None or _kind(Path(name.name)) == "poscar":
            other[len(ids)] = text
            ids.append(poscar_id(text or "", _file_id(name)))
            texts.append("")
            continue
        blocks = split_blocks(text)
        ids += [_cif_id(block, block_name if len(blocks) > 1 else _file_id(name)) for block_name, block in blocks]
        texts += [block for _, block in blocks]
    if not ids:
        raise UserError(str(path), *_nothing_in(path))
    entries = parse_cifs([text for row, text in enumerate(texts) if row not in other])
    for row, text in other.items():
        reason = f"a file of more than {MAX_STRUCTURE_BYTES / 1e6:.0f} MB"
        entries.insert(row, reason if text is None else parse_poscar(text))
    return gather(entries, ids)


def _nothing_in(path: Path) -> tuple[str, str]:
    """Content of a folder or archive without structure files, and the names expected."""
    expected = "files named .cif, .vasp or POSCAR"
    if not path.is_dir():
        return "no structure files", f"{expected} (extended XYZ and tables are read by themselves, unpacked)"
    tables = sorted(file.name for file in path.iterdir() if _kind(file) not in {"", "folder", "poscar", "cif"})
    if not tables:
        return "no structure files", expected
    return f"no structure files but {', '.join(tables[:5])}", f"{expected}, or one of those by its own name"


def _cif_id(block: str, fallback: str) -> str:
    """The id that we wrote into a block; that of other programs' files is the fallback."""
    ours = re.search(
        rf"^_audit_creation_method\s+'{METHOD}'\s*\n_audit_block_code\s+(?:'(.*)'|\"(.*)\")\s*$", block, re.MULTILINE
    )
    return fallback if ours is None else ours[1] or ours[2] or ""


def _file_id(name: PurePosixPath) -> str:
    """File name without its suffix; a plain POSCAR is named by its folder."""
    plain = name.with_suffix("") if name.suffix.lower() == ".gz" else name
    if plain.suffix:
        return plain.stem
    return plain.parent.name if plain.name in {"POSCAR", "CONTCAR"} and plain.parent.name else plain.name


def _kind(path: Path) -> str:
    name = path.name.lower()
    if name.endswith((".tar.gz", ".tgz", ".tar")):
        return "tar"
    name = name.removesuffix(".gz")
    if name.endswith((".csv", ".parquet", ".zip", ".db")):
        return name.rpartition(".")[2]
    if name.endswith((".cif", ".mcif")):
        return "cif"
    if name.endswith((".extxyz", ".xyz")):
        return "extxyz"
    if name.endswith(".vasp") or re.search(r"(?:^|[._-])(?:poscar|contcar)(?:[._-]|$)", name):
        return "poscar"
    return "folder" if not path.suffix else ""


def _is_structure(name: PurePosixPath) -> bool:
    if name.name.startswith(".") or "__MACOSX" in name.parts:
        return False
    return _kind(Path(name.name)) in {"cif", "poscar"}


MAX_MEMBERS = 500_000
"""Structure files in one folder or zip."""


def folder_members(path: Path, wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[PurePosixPath, str | None]]:
    """Relative name and text of each wanted file under a folder, in the natural order of names.

    The text is None where a file is larger than a structure's may be.
    """
    names = sorted((PurePosixPath(p.relative_to(path).as_posix()) for p in path.rglob("*") if p.is_file()), key=natural)
    names = [name for name in names if wanted(name)]
    _check_count(path, len(names))
    for name in names:
        file = path / name
        try:
            with file.open("rb") as stream:
                content = _unpacked(stream.read(MAX_STRUCTURE_BYTES + 1), name)
        except OSError as error:
            raise UserError(str(file), str(error.strerror or error), "a file that can be read") from None
        yield name, content


def zip_members(path: Path, wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[PurePosixPath, str | None]]:
    """Name and text of each wanted file in a zip, in the natural order of names, nothing being unpacked to disk.

    Raises:
        UserError: It is not a zip, is encrypted or damaged, or unfolds to more than may be read.
    """
    regular_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            files = [
                entry for entry in archive.infolist() if not entry.is_dir() and wanted(PurePosixPath(entry.filename))
            ]
            files.sort(key=lambda entry: natural(PurePosixPath(entry.filename)))
            _check_count(path, len(files))
            total = sum(entry.file_size for entry in files)
            if total > MAX_BYTES:
                raise UserError(str(path), f"{total / 1e6:,.0f} MB of content", f"at most {MAX_BYTES / 1e6:,.0f} MB")
            for entry in files:
                name = PurePosixPath(entry.filename)
                if entry.file_size > MAX_STRUCTURE_BYTES:
                    yield name, None
                    continue
                with archive.open(entry) as stream:
                    yield name, _unpacked(read_within(stream, entry.file_size, f"{path}, {name}"), name)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, zlib.error) as error:
        raise UserError(str(path), f"a damaged or unknown zip ({error})", "a zip of CIFs") from None
    except RuntimeError:
        raise UserError(str(path), "an encrypted zip", "a zip without a password") from None


def tar_members(path: Path, wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[PurePosixPath, str | None]]:
    """Name and text of each wanted file in a tar, compressed or not, in the natural order of names.

    Raises:
        UserError: It is no tar, is damaged, or unfolds to more than may be read.
    """
    regular_file(path)
    found: list[tuple[PurePosixPath, str | None]] = []
    total = 0
    try:
        with tarfile.open(path) as archive:
            for entry in archive:  # one pass: a compressed stream cannot go back
                total += 512 + entry.size
                if total > MAX_BYTES:
                    raise UserError(str(path), "too much content", f"at most {MAX_BYTES / 1e6:,.0f} MB")
                name = PurePosixPath(entry.name)
                if not (entry.isfile() and wanted(name)):
                    continue
                stream = archive.extractfile(entry) if entry.size <= MAX_STRUCTURE_BYTES else None
                found.append((name, None if stream is None else _unpacked(stream.read(), name)))
                _check_count(path, len(found))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(str(path), f"a damaged or unknown tar ({error})", "a tar of CIFs") from None
    yield from sorted(found, key=lambda member: natural(member[0]))


def _unpacked(content: bytes, name: PurePosixPath) -> str | None:
    """Text of one structure's file, decompressed where its name ends in ``.gz``; None where it is too large."""
    if name.suffix.lower() == ".gz":
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(MAX_STRUCTURE_BYTES + 1)
        except (EOFError, OSError, zlib.error):
            content = b""  # no text, which is a reason of its own
    return as_text(content) if len(content) <= MAX_STRUCTURE_BYTES else None


def natural(name: PurePosixPath) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which ``a9`` comes before ``a10``."""
    pieces = re.split(r"([0-9]+)", str(name))
    return tuple((1, int(piece), "") if piece.isdigit() else (0, 0, piece) for piece in pieces)


def _check_count(path: Path, n: int) -> None:
    if n > MAX_MEMBERS:
        raise UserError(str(path), f"{n:,} structure files", f"at most {MAX_MEMBERS:,}")
