"""Files by themselves or inside folders, zips and tars: their kinds, their natural order and their bounds."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nucleate.errors import UserError
from nucleate.io.bounds import (
    MAX_BYTES,
    MAX_STRUCTURE_BYTES,
    read_bytes,
    read_within,
    regular_file,
    unfolded,
    unfolded_limit,
)

FORMATS = (
    ".cif or .mcif, a folder, .zip or .tar.gz of structures, .extxyz or .xyz, .parquet, .csv with a column 'cif', .db "
    "or .traj (ASE), .vasp, POSCAR or XDATCAR, .res (AIRSS), .json (pymatgen, OPTIMADE), .pwo or .out (Quantum "
    "ESPRESSO), .gpw or .txt (GPAW), .pt (CDVAE, DiffCSP); text with .gz, too"
)
"""Formats that can be read, for messages."""

WRITTEN = (
    ".cif, a folder or .zip of CIFs, .extxyz or .xyz, .parquet, .csv or .csv.gz with a column 'cif', .db (ASE), .vasp "
    "or POSCAR (a file, or a folder of them)"
)
"""Formats that can be written, for messages."""

TABLES = frozenset(("csv", "parquet"))
ARCHIVES = frozenset(("zip", "tar"))
CONFINED = frozenset(("db", "espresso", "gpaw", "gpw", "json", "pt", "traj"))
"""Kinds that libraries read, in a process of its own; the others are read here within bounds."""

MAX_FRAMES_BYTES = 256 << 20
"""Largest file inside a folder or archive that may hold many structures."""

_SUFFIXES = {
    **dict.fromkeys((".cif", ".mcif"), "cif"),
    **dict.fromkeys((".extxyz", ".xyz"), "extxyz"),
    **dict.fromkeys((".pt", ".pth"), "pt"),
    **dict.fromkeys((".out", ".log", ".txt"), "output"),
    **{f".{kind}": kind for kind in ("csv", "db", "gpw", "json", "parquet", "res", "traj", "vasp", "zip")},
    ".pwo": "espresso",
    ".vasp": "poscar",
}

MAX_MEMBERS = 500_000
"""Files that are read of one folder or archive."""

Limit = Callable[[PurePosixPath], int]
"""Bytes that a member may have, by its name; 0 for one that is not read."""


@dataclass(frozen=True)
class Member:
    """A file inside a folder or an archive.

    Attributes:
        name: Its path inside.
        content: Its bytes, decompressed where its name ends in ``.gz``; None where they are too many or damaged.
        file: Where it lies on the disk, if it does as it is; ``content`` is then empty.
    """

    name: PurePosixPath
    content: bytes | None
    file: Path | None = None


def kind_of(name: str) -> str:
    """Kind of a file by its name: ``cif``, ``poscar``, ...; ``output`` where its text decides; else empty."""
    plain = name.lower()
    if plain.endswith((".tar.gz", ".tgz", ".tar")):
        return "tar"
    plain = plain.removesuffix(".gz")
    suffix = PurePosixPath(plain).suffix
    known = _SUFFIXES.get(suffix, "")
    if known and known != "output":
        return known
    if re.search(r"(?:^|[._-])xdatcar(?:[._-]|$)", plain):
        return "xdatcar"
    if re.search(r"(?:^|[._-])(?:poscar|contcar)(?:[._-]|$)", plain):
        return "poscar"
    return "potcar" if plain == "potcar" else known


def output_kind(content: bytes) -> str:
    """Program whose output a text is; empty where it is none that is read."""
    head = content[:2000]
    if b"Program PWSCF" in head:
        return "espresso"
    return "gpaw" if b"___ ___ ___ _ _ _" in head else ""


def is_hidden(name: PurePosixPath) -> bool:
    """Whether a file is the system's own and neither read nor named."""
    return name.name.startswith(".") or "__MACOSX" in name.parts


def most_bytes(name: PurePosixPath) -> int:
    """Bytes that a file inside a folder or archive may have; 0 where it is none that is read there."""
    kind = kind_of(name.name)
    if is_hidden(name) or not kind or kind in TABLES | ARCHIVES | {"db"}:
        return 0
    return MAX_STRUCTURE_BYTES if kind in {"cif", "poscar", "output"} else MAX_FRAMES_BYTES


def folder_members(path: Path, limit: Limit) -> Iterator[Member]:
    """Each file under a folder that is read.

    Raises:
        UserError: A file cannot be read, or there are too many.
    """
    names = [PurePosixPath(file.relative_to(path).as_posix()) for file in path.rglob("*") if file.is_file()]
    names = [name for name in names if limit(name)]
    _check_count(path, len(names))
    for name in sorted(names, key=natural):
        file, most = path / name, limit(name)
        if kind_of(name.name) in CONFINED and name.suffix.lower() != ".gz":
            yield Member(name, b"" if file.stat().st_size <= most else None, file)
            continue
        try:
            with file.open("rb") as stream:
                content = stream.read(most + 1)
        except OSError as error:
            raise UserError(str(file), str(error.strerror or error), "a file that can be read") from None
        yield _member(name, content, most)


def zip_members(path: Path, limit: Limit) -> Iterator[Member]:
    """Each file in a zip that is read, nothing being unpacked to disk.

    Raises:
        UserError: It is not a zip, is encrypted or damaged, or unfolds to more than may be read.
    """
    regular_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            files = [one for one in archive.infolist() if not one.is_dir() and limit(PurePosixPath(one.filename))]
            files.sort(key=lambda one: natural(PurePosixPath(one.filename)))
            _check_count(path, len(files))
            total = sum(one.file_size for one in files)
            most = unfolded_limit(path.stat().st_size, MAX_BYTES)
            if total > most:
                raise UserError(str(path), f"{total / 1e6:,.0f} MB of content", f"at most {most / 1e6:,.0f} MB")
            for one in files:
                name = PurePosixPath(one.filename)
                if one.file_size > limit(name):
                    yield Member(name, None)
                    continue
                with archive.open(one) as stream:
                    yield _member(name, read_within(stream, one.file_size, f"{path}, {name}"), limit(name))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged archive made the library trip over
        if "encrypted" in str(error):
            raise UserError(str(path), "an encrypted zip", "a zip without a password") from None
        raise UserError(str(path), f"a damaged or unknown zip ({error})", "a zip of structures") from None


def tar_members(path: Path, limit: Limit) -> Iterator[Member]:
    """Each file in a tar that is read, whether the tar is compressed or not.

    Raises:
        UserError: It is no tar, is damaged, or unfolds to more than may be read.
    """
    content = read_bytes(path)  # decompressed within bounds first: headers, too, can be bombs
    found: list[Member] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for one in archive:
                name = PurePosixPath(one.name)
                if not (one.isfile() and limit(name)):
                    continue
                stream = archive.extractfile(one) if one.size <= limit(name) else None
                found.append(Member(name, None) if stream is None else _member(name, stream.read(), limit(name)))
                _check_count(path, len(found))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged archive made the library trip over
        raise UserError(str(path), f"a damaged or unknown tar ({error})", "a tar of structures") from None
    yield from sorted(found, key=lambda member: natural(member.name))


def _member(name: PurePosixPath, content: bytes, limit: int) -> Member:
    if len(content) > limit:
        return Member(name, None)
    if name.suffix.lower() != ".gz":
        return Member(name, content)
    try:
        return Member(name, unfolded(content, limit, str(name)))
    except UserError:
        return Member(name, None)


def natural(name: PurePosixPath) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which ``a9`` comes before ``a10``."""
    pieces = re.split(r"([0-9]{1,18})", str(name))
    return tuple((1, int(piece), "") if re.fullmatch("[0-9]+", piece) else (0, 0, piece) for piece in pieces)


def _check_count(path: Path, n: int) -> None:
    if n > MAX_MEMBERS:
        raise UserError(str(path), f"{n:,} files", f"at most {MAX_MEMBERS:,}")
