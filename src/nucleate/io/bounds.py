"""Bounds on what is read from untrusted files, and reading within them."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Protocol

from nucleate.errors import UserError

MAX_BYTES = 2 << 30
"""Largest content of one file, after decompression."""

MAX_STRUCTURE_BYTES = 16 << 20
"""Largest file that holds a single structure."""

MAX_RATIO, FREE_BYTES = 100, 64 << 20
"""Bytes of content for each compressed byte, and how many bytes may be there in any case."""


def unfolded_limit(size: int, limit: int) -> int:
    """Bytes that a compressed file of ``size`` bytes may unfold to: text shrinks tenfold, a bomb a thousandfold."""
    return min(limit, max(FREE_BYTES, MAX_RATIO * size))


def unfolded(content: bytes, limit: int, where: str) -> bytes:
    """Content of a gzip file.

    Raises:
        UserError: It is damaged or too large.
    """
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            return read_within(stream, unfolded_limit(len(content), limit), where)
    except (EOFError, OSError, zlib.error):
        raise UserError(where, "a gzip file that is damaged or cut short", "a whole one") from None


def regular_file(path: Path, limit: int = MAX_BYTES) -> None:
    """Check that a path is an ordinary, readable file of bounded size.

    Raises:
        UserError: It is not.
    """
    try:
        if not path.exists():
            raise UserError(str(path), "nothing there", "a file or folder of structures")
        if not path.is_file():
            raise UserError(str(path), "something that is not an ordinary file", "a file of structures")
        size = path.stat().st_size
    except OSError as error:
        raise UserError(str(path), str(error.strerror or error), "a path that can be read") from None
    if size == 0:
        raise UserError(str(path), "an empty file", "a file of structures")
    if size > limit:
        raise UserError(str(path), f"{size / 1e6:,.0f} MB", f"at most {limit / 1e6:,.0f} MB")


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Content of a file, decompressed if its name ends in ``.gz``.

    Raises:
        UserError: The file is missing, unreadable, damaged or too large once decompressed.
    """
    regular_file(path, limit)
    try:
        with path.open("rb") as stream:
            content = read_within(stream, limit, str(path))
    except OSError as error:
        raise UserError(str(path), str(error.strerror or error), "a file that can be read") from None
    return unfolded(content, limit, str(path)) if path.suffix.lower() in {".gz", ".tgz"} else content


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_within(stream: _Readable, limit: int, where: str) -> bytes:
    """All of a stream.

    Raises:
        UserError: It holds more than ``limit`` bytes; no more than that is ever kept in memory.
    """
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise UserError(where, f"more than {limit / 1e6:,.0f} MB of content", "less")
    return content


def as_text(content: bytes) -> str:
    """Text of UTF-8, of UTF-16 with or without its mark, or else of Latin-1; the mark is dropped."""
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return content.decode("utf-16", errors="replace")
    head = content[:200]
    if len(head) >= 4 and head.count(0) > len(head) // 3:  # every other byte of Latin letters in UTF-16
        return content.decode("utf-16-le" if head[1:2] == b"\0" else "utf-16-be", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
