"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nucleate.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A scratch path beside ``path`` that takes its place when the block ends well.

    Raises:
        UserError: The place cannot be written or the disk is full.
    """
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=".writing-"))
        try:
            made = scratch / path.name
            yield made
            if path.is_dir():
                raise UserError(str(path), "a folder", "the name of a file")
            made.replace(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A scratch folder beside ``path`` that takes its place when the block ends well.

    Raises:
        UserError: Something other than an empty folder is there, it cannot be written, or the disk is full.
    """
    with _named(path):
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
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(str(path), found, "a place with space that may be written") from error
