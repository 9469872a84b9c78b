"""Many structures in one folder or zip, a file each."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from nucleate.crystal.limits import MAX_BYTES, MAX_STRUCTURE_BYTES, as_text, read_within, regular_file
from nucleate.errors import UserError

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
                content = stream.read(MAX_STRUCTURE_BYTES + 1)
        except OSError as error:
            raise UserError(str(file), str(error.strerror or error), "a file that can be read") from None
        yield name, as_text(content) if len(content) <= MAX_STRUCTURE_BYTES else None


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
                    yield name, as_text(read_within(stream, entry.file_size, f"{path}, {name}"))
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise UserError(str(path), f"a damaged or unknown zip ({error})", "a zip of CIFs") from None
    except RuntimeError:
        raise UserError(str(path), "an encrypted zip", "a zip without a password") from None


def natural(name: PurePosixPath) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which ``a9`` comes before ``a10``."""
    pieces = re.split(r"([0-9]+)", str(name))
    return tuple((1, int(piece), "") if piece.isdigit() else (0, 0, piece) for piece in pieces)


def _check_count(path: Path, n: int) -> None:
    if n > MAX_MEMBERS:
        raise UserError(str(path), f"{n:,} structure files", f"at most {MAX_MEMBERS:,}")
