"""Files that appear whole or not at all: written beside, synced, renamed.

A kill or a power cut leaves the old file or the new one. Folders are renamed whole too, but their files are not synced
one by one: there are thousands, and each would take milliseconds.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nucleate.errors import UserError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is either complete under its name or what was there before.

    Raises:
        UserError: The place cannot be written or the disk is full.
    """
    scratch = path.with_name(path.name + ".part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with scratch.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            scratch.replace(path)
        except OSError:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write plain data as indented JSON, whole or not at all.

    Raises:
        UserError: The place cannot be written or the disk is full.
    """
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A scratch path beside ``path`` that takes its place when the block ends well.

    Raises:
        UserError: The place cannot be written or the disk is full.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=".writing-"))
        try:
            made = scratch / path.name
            yield made
            if path.is_dir():
                raise UserError(str(path), "a folder", "the name of a file")
            _sync(made)
            made.replace(path)
            _sync(path.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A scratch folder beside ``path`` that takes its place when the block ends well.

    Raises:
        UserError: Something other than an empty folder is there, it cannot be written, or the disk is full.
    """
    with writing(path):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(str(path), "something already there", "a new or empty folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=".writing-"))
        try:
            made = scratch / path.name
            made.mkdir()
            yield made
            if path.exists():
                path.rmdir()
            made.replace(path)
            _sync(path.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a disk that is full or a place that may not be written into the one line that names it."""
    try:
        yield
    except OSError as error:
        found = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(str(path), found, "a place with space that may be written") from error


def _sync(path: Path) -> None:
    """Wait until a file, or the list of a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
