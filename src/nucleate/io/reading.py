"""Readings of the files of a folder or archive, or of a single file: each in its place, whoever reads it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from types import TracebackType

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.airss import parse_res
from nucleate.io.bounds import as_text
from nucleate.io.cif_blocks import split_blocks
from nucleate.io.cif_reader import parse_cifs
from nucleate.io.cif_writer import METHOD, block_names
from nucleate.io.confined import Unread, read_confined
from nucleate.io.extended_xyz import parse_extxyz
from nucleate.io.members import CONFINED, Member, kind_of, output_kind
from nucleate.io.poscar import parse_poscar, parse_xdatcar, poscar_id, potcar_names
from nucleate.io.validation import SOURCE_FILE, Record


class Readings:
    """Records of files in their order; what many files have in common is done once, when all are there.

    A context manager, since files that another process reads may have to lie on the disk while it does.

    Arguments:
        inside: The files lie inside a folder or archive: their rows have the property ``SOURCE_FILE``, and one of ours
            that was renamed is called after its file.
    """

    def __init__(self, inside: bool = False) -> None:
        self._inside = inside
        self._scratch = tempfile.TemporaryDirectory(prefix="nucleate-members-")
        self._names: list[PurePosixPath] = []
        self._found: list[list[Record]] = []
        self._cifs: list[tuple[int, str, str]] = []  # place, name and text of each block
        self._poscars: list[tuple[int, str]] = []
        self._potcars: dict[PurePosixPath, list[str]] = {}
        self._files: list[tuple[int, str, Path]] = []
        self._unread: dict[int, Unread] = {}

    def __enter__(self) -> Readings:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        self._scratch.cleanup()

    def add(self, members: Iterable[Member]) -> None:
        """Take files; those that only other processes can read wait until :meth:`finish`."""
        for member in members:
            kind = kind_of(member.name.name)
            if kind == "output" and member.content is not None:
                kind = output_kind(member.content)
            if kind == "potcar":
                text = as_text(member.content or b"")
                self._potcars[member.name.parent] = potcar_names(text)
                continue
            place = len(self._names)
            self._names.append(member.name)
            self._found.append([])
            if not kind or kind == "output":
                self._unread[place] = Unread("no output of a program that is known", foreign=True)
            elif member.content is None:
                self._found[place] = [Record("a damaged file, or one that is too large", file_id(member.name))]
            elif kind in CONFINED:
                self._files.append((place, kind, member.file or self._on_disk(place, member.content)))
            else:
                self._take_text(place, kind, as_text(member.content))

    def finish(self) -> None:
        """Read what has waited."""
        entries = parse_cifs([text for _, _, text in self._cifs])
        for (place, known, _), entry in zip(self._cifs, entries, strict=True):
            self._found[place].append(Record(entry, known))
        for place, text in self._poscars:
            name = self._names[place]
            self._found[place] = [
                Record(parse_poscar(text, self._potcars.get(name.parent, ())), poscar_id(text, file_id(name)))
            ]
        results = read_confined([(kind, path) for _, kind, path in self._files])
        for (place, _, _), result in zip(self._files, results, strict=True):
            if isinstance(result, Unread):
                self._unread[place] = result
            else:
                self._found[place] = result

    def records(self) -> list[Record]:
        """All records, those without a name called after their file; one for a file that could not be read."""
        found: list[Record] = []
        for place, (name, records) in enumerate(zip(self._names, self._found, strict=True)):
            unread = self._unread.get(place)
            if unread is not None and not unread.foreign:
                found.append(Record(unread.reason, file_id(name)))
            for k, record in enumerate(records):
                fallback = file_id(name) if len(records) == 1 else f"{file_id(name)}-{k + 1}"
                properties = {SOURCE_FILE: str(name), **record.properties} if self._inside else record.properties
                found.append(Record(record.entry, fallback if record.id is None else record.id, properties))
        return found

    def without_names(self) -> list[Record]:
        """All records as the files name them."""
        return [record for records in self._found for record in records]

    def unread(self) -> dict[str, Unread]:
        """Files of which nothing was read, by name."""
        return {str(self._names[place]): unread for place, unread in self._unread.items()}

    def _take_text(self, place: int, kind: str, text: str) -> None:
        name = self._names[place]
        match kind:
            case "cif":
                blocks = split_blocks(text)
                for block_name, block in blocks:
                    own = _cif_id(block)
                    if len(blocks) == 1:
                        own = self._unless_renamed(own, name)
                    self._cifs.append((place, own or (block_name if len(blocks) > 1 else file_id(name)), block))
            case "poscar":
                self._poscars.append((place, text))
            case "xdatcar":
                self._found[place] = _steps(parse_xdatcar(text))
            case "res":
                self._found[place] = parse_res(text)
            case _:
                self._found[place] = parse_extxyz(text)

    def _unless_renamed(self, own: str | None, name: PurePosixPath) -> str | None:
        """An id that we wrote into a file, None where the file has been given another name."""
        (stem,) = block_names([own or ""])
        return None if self._inside and own and stem != "00000" and stem not in file_id(name) else own

    def _on_disk(self, place: int, content: bytes) -> Path:
        path = Path(self._scratch.name) / f"{place}"
        path.write_bytes(content)
        return path


def file_id(name: PurePosixPath) -> str:
    """File name without its suffix; a plain POSCAR is named by its folder."""
    plain = name.with_suffix("") if name.suffix.lower() == ".gz" else name
    if plain.suffix:
        return plain.stem
    return plain.parent.name if plain.name in {"POSCAR", "CONTCAR"} and plain.parent.name else plain.name


def _steps(entries: Iterable[ParsedStructure | str]) -> list[Record]:
    return [Record(entry) for entry in entries]


def _cif_id(block: str) -> str | None:
    """The id that we wrote into a block; None in files of other programs."""
    ours = re.search(
        rf"^_audit_creation_method\s+'{METHOD}'\s*\n_audit_block_code\s+(?:'(.*)'|\"(.*)\")\s*$", block, re.MULTILINE
    )
    return None if ours is None else ours[1] or ours[2] or ""
