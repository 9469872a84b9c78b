"""Parsed structure files on disk: safetensors and Parquet under a key of content, verified before use."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status, UserError
from nucleate.io.validation import Failure, StructureFile

VERSION = 4
"""Raised whenever a reader's answer changes; older entries are then ignored."""

_FIELDS = ("numbers", "frac", "lattice", "n_atoms")


def cache_folder() -> Path:
    """Where parsed files are kept: ``$XDG_CACHE_HOME/nucleate`` or the platform's own place."""
    home = os.environ.get("XDG_CACHE_HOME")
    if not home and sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA")
    return (Path(home) if home else Path.home() / ".cache") / "nucleate"


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes with its suffixes, or of a folder's files with their names.

    Raises:
        UserError: The path is missing or cannot be read.
    """
    try:
        if path.is_dir():
            total = hashlib.sha256()
            for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
                total.update(f"{file.relative_to(path).as_posix()}\0{_sha256(file)}\n".encode())
            return total.hexdigest()
        if not path.is_file():
            raise UserError(str(path), "no file or folder", "structures")
        return hashlib.sha256(f"{''.join(path.suffixes[-2:])}\0{_sha256(path)}".encode()).hexdigest()
    except OSError as error:
        raise UserError(str(path), str(error.strerror or error), "a path that can be read") from None


def cached(key: str, build: Callable[[], StructureFile]) -> StructureFile:
    """Structures stored under ``key``, or a new reading, then stored; a damaged entry is read anew.

    A cache that cannot be written costs time, never the answer.
    """
    entry = cache_folder() / "structures" / f"{key}-v{VERSION}"
    try:
        return _read(entry, key)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):  # absent, cut short or altered
        pass
    found = build()
    with suppress(OSError):
        _write(entry, key, found)
    return found


def _read(entry: Path, key: str) -> StructureFile:
    meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
    if (meta["key"], meta["version"]) != (key, VERSION):
        raise ValueError("an entry of another file or version")
    for name, expected in meta["files"].items():
        if _sha256(entry / name) != expected:
            raise ValueError(f"{name} is damaged")
    tensors = load_file(entry / "crystals.safetensors")
    table = pd.read_parquet(entry / "table.parquet")
    failures = tuple(Failure(**{**item, "status": Status(item["status"])}) for item in meta["failures"])
    numbers, frac, lattice, n_atoms = (tensors[name] for name in _FIELDS)
    crystals = Crystals(numbers, frac, lattice, n_atoms)
    return StructureFile(crystals, meta["ids"], meta["rows"], failures, table if meta["has_table"] else None)


def _write(entry: Path, key: str, found: StructureFile) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".new-"))
    try:
        tensors = {name: getattr(found.crystals, name).contiguous() for name in _FIELDS}
        save_file(tensors, scratch / "crystals.safetensors")
        table = found.properties if found.properties is not None else pd.DataFrame(index=range(len(found.ids)))
        table.to_parquet(scratch / "table.parquet")
        meta = {
            "key": key,
            "version": VERSION,
            "files": {name: _sha256(scratch / name) for name in ("crystals.safetensors", "table.parquet")},
            "ids": found.ids,
            "rows": found.rows,
            "has_table": found.properties is not None,
            "failures": [asdict(failure) for failure in found.failures],
        }
        (scratch / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # an entry that is there failed its check
        scratch.rename(entry)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
