"""Extended XYZ: frames read within bounds; values of the comment line and further columns of the sites are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from ase.io.extxyz import key_val_str_to_dict

from nucleate.crystal.elements import NUMBERS
from nucleate.crystal.parsed_structure import MAX_SITES, ParsedStructure
from nucleate.io.validation import Record, plain

MAX_COMMENT = 200_000
"""Characters on the comment line of a frame."""

_MAX_COLUMNS = 1000
_STRUCTURAL = frozenset(("species", "Z", "pos", "spacegroup_kinds"))  # the last is what ASE reads of a CIF
_TYPES = {"R", "I", "S", "L"}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d{1,4})?|[-+]?(?:nan|inf)", re.ASCII | re.IGNORECASE)
_MAX_DIGITS = 60
_ISOTOPES = {"D": 1, "T": 1}


_Item: TypeAlias = "str | bool | int | float | np.generic | np.ndarray | list[_Item] | dict[str, _Item]"


class FrameError(ValueError):
    """A frame that is no crystal; the message is the reason."""


def parse_extxyz(text: str) -> list[Record]:
    """Frames of an extended XYZ file, whose comment lines and columns become properties.

    A frame that is no crystal is a reason of its own; a count of atoms that does not fit ends the reading, since
    nothing after it has a certain place.
    """
    return [Record(frame) if isinstance(frame, str) else _record(*frame) for frame in _frames(text)]


def _frames(text: str) -> Iterator[tuple[str, list[str]] | str]:
    """Comment line and lines of the sites of each frame, or the reason why there are none."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    start = 0
    while start < len(lines):
        count = lines[start].strip()
        if not count:
            start += 1
            continue
        if not re.fullmatch(r"[0-9]{1,9}", count):
            yield f"{count[:40]!r} where a count of atoms is expected; nothing after it was read"
            return
        stop = start + 2 + int(count)
        if stop > len(lines):
            yield f"{max(len(lines) - start - 2, 0)} lines for {int(count):,} atoms"
            return
        if int(count) > MAX_SITES:
            yield f"{int(count):,} sites; at most {MAX_SITES:,} are read"
        else:
            yield lines[start + 1], lines[start + 2 : stop]
        start = stop


def _record(comment: str, lines: Sequence[str]) -> Record:
    """A frame with the values of its comment line, also where it is no crystal."""
    try:
        info = _comment_values(comment)
    except FrameError as error:
        return Record(str(error))
    identifier = _written_id(comment)
    lattice, layout, periodic = (info.pop(name, None) for name in ("Lattice", "Properties", "pbc"))
    properties = {name: value for name, item in info.items() if (value := plain(item)) is not None}
    try:
        columns, notes = _columns(layout, lines)
        entry = _structure(columns, lattice, periodic, info.get("occupancy"), notes)
    except FrameError as error:
        return Record(str(error), identifier, properties)
    for name, values in columns.items():
        if name not in _STRUCTURAL:
            properties[name] = values.tolist()
    return Record(entry, identifier, properties)


def _comment_values(comment: str) -> dict[str, _Item]:
    """Values of a comment line by key, as ASE reads them.

    Raises:
        FrameError: It is too long, or a value cannot be read.
    """
    if len(comment) > MAX_COMMENT:
        raise FrameError(f"a comment line of {len(comment):,} characters; at most {MAX_COMMENT:,} are read")
    known = re.sub(r"(?i)(?<!\S)(lattice|properties)=", lambda found: f"{found[1].capitalize()}=", comment)
    known = re.sub(r"(?i)(?<!\S)pbc=", "pbc=", known)
    try:
        return dict(key_val_str_to_dict(known))
    except Exception as error:  # noqa: BLE001 - whatever a malformed comment made the library trip over
        raise FrameError(f"the comment line cannot be read ({' '.join(str(error).split())[:120]})") from None


def _columns(layout: object, lines: Sequence[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Columns of the sites by name, (n,) or (n, width), and notes.

    Raises:
        FrameError: The layout or a line of it cannot be read.
    """
    fields = "species:S:1:pos:R:3" if layout is None else str(layout)
    parts = fields.split(":")
    if len(parts) % 3 or len(parts) > 3 * _MAX_COLUMNS:
        raise FrameError(f"{fields[:60]!r} where Properties is name:type:width, again and again")
    names, kinds, widths = parts[::3], parts[1::3], parts[2::3]
    if any(not re.fullmatch(r"[0-9]{1,4}", width) or int(width) < 1 for width in widths):
        raise FrameError(f"Properties with a width that is none of 1 to {_MAX_COLUMNS:,}")
    if set(kinds) - _TYPES or len(set(names)) < len(names):
        raise FrameError("Properties with an unknown type or a repeated name")
    total = sum(map(int, widths))
    if total > _MAX_COLUMNS or total * len(lines) > 50 * MAX_SITES:
        raise FrameError(f"more than {_MAX_COLUMNS:,} columns, or more than {50 * MAX_SITES:,} values")
    words = [line.split() for line in lines]
    for k, row in enumerate(words):
        if len(row) < total or (layout is not None and len(row) > total):
            raise FrameError(f"site {k + 1} has {len(row)} values where {total} are expected")
    notes = ["further columns were not read"] if any(len(row) > total for row in words) else []
    found, start = {}, 0
    for name, kind, width in zip(names, kinds, map(int, widths), strict=True):
        values = [[_value(word, kind, name) for word in row[start : start + width]] for row in words]
        flat = [row[0] for row in values] if width == 1 else values
        found[name] = np.array(flat, dtype=object if kind == "S" else {"R": float, "I": np.int64, "L": bool}[kind])
        start += width
    return found, notes


def _value(word: str, kind: str, name: str) -> str | int | float | bool:
    """A word of a column as its type.

    Raises:
        FrameError: It is none of that type.
    """
    if kind == "S":
        return word
    if kind == "L" and word in {"T", "F", "True", "False"}:
        return word.startswith("T")
    if kind == "I" and re.fullmatch(r"[-+]?[0-9]{1,18}", word):
        return int(word)
    if kind == "R" and len(word) <= _MAX_DIGITS and _NUMBER.fullmatch(word):
        return float(word.lower().replace("d", "e"))
    raise FrameError(f"{word[:40]!r} in the column {name[:40]}")


def _structure(
    columns: Mapping[str, np.ndarray], lattice: object, periodic: object, occupancy: object, notes: list[str]
) -> ParsedStructure:
    """The crystal of a frame.

    Raises:
        FrameError: It has no cell with three periods, no positions, or no whole atoms of elements.
    """
    flags = [True] * 3 if periodic is None else np.atleast_1d(np.array(periodic, dtype=object)).tolist()
    if lattice is None or not all(flag in {True} for flag in flags):
        raise FrameError("no cell that is periodic in three directions")
    if isinstance(occupancy, dict):
        shares = [share for site in occupancy.values() if isinstance(site, dict) for share in site.values()]
        if any(share != 1 for share in shares):
            raise FrameError("partial occupancies")
    positions = columns.get("pos")
    if positions is None or (positions.shape[1:] != (3,) and len(positions)):
        raise FrameError("no positions of the sites")
    rows = np.asarray(lattice, dtype=np.float64).T  # ASE keeps the nine numbers in columns
    if not np.isfinite(rows).all() or not abs(np.linalg.det(rows)) > 1e-12:
        raise FrameError("a cell without volume")
    with np.errstate(over="ignore", invalid="ignore"):
        frac = positions.reshape(-1, 3) @ np.linalg.inv(rows)
    return ParsedStructure(_elements(columns, notes), frac, rows, tuple(notes))


def _elements(columns: Mapping[str, np.ndarray], notes: list[str]) -> np.ndarray:
    """Atomic numbers (n,).

    Raises:
        FrameError: A species is no element, or contradicts its atomic number.
    """
    numbers = columns.get("Z")
    if numbers is not None and (numbers.ndim != 1 or numbers.dtype.kind not in "if"):
        raise FrameError("a column Z that holds no atomic numbers")
    if numbers is not None and (numbers != np.round(numbers)).any():
        raise FrameError(f"an atomic number of {numbers[numbers != np.round(numbers)][0]:g}")
    species = columns.get("species")
    if species is None:
        if numbers is None:
            raise FrameError("no species of the sites")
        return numbers.astype(np.int64)
    found = []
    for word in map(str, species.tolist()):
        symbol = word.capitalize()
        number = int(word) if re.fullmatch(r"[0-9]{1,3}", word) else NUMBERS.get(symbol, _ISOTOPES.get(symbol, 0))
        if not number:
            raise FrameError(f"unknown element {word[:20]}")
        found.append(number)
    if any(str(word).capitalize() in _ISOTOPES for word in species.tolist()):
        notes.append("deuterium or tritium was read as hydrogen")
    if numbers is not None and numbers.tolist() != found:
        raise FrameError("species and atomic numbers that contradict each other")
    return np.array(found, dtype=np.int64)


def _written_id(comment: str) -> str | None:
    """The value of ``id`` as it stands on the comment line: the library would make a number of 007."""
    found = re.search(r"""(?:^|\s)(?:id|material_id)=(?:"((?:[^"\\]|\\.)*)"|(\S+))""", comment[:MAX_COMMENT])
    if found is None:
        return None
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])
