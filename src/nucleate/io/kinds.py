"""Kinds of structure files by their names and, where a name says little, by their first lines."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from nucleate.io.bounds import MAX_STRUCTURE_BYTES

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
