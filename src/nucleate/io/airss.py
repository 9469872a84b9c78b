"""Structures of AIRSS in the layout of SHELX (``.res``): one or more, all their atoms listed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from nucleate.crystal.elements import NUMBERS
from nucleate.crystal.parsed_structure import MAX_SITES, ParsedStructure
from nucleate.io.cif_checks import VOLUME_TOLERANCE
from nucleate.io.cif_reader import lattice_rows
from nucleate.io.cif_sites import WHOLE
from nucleate.io.validation import Record, Value

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d{1,4})?", re.ASCII)
_MAX_DIGITS = 60
_FIXED = 10.0  # SHELX adds this to a value that is not refined
_FARTHEST = 5.0  # fractions; beyond, a coordinate is fixed or tied to a free variable


class ResError(ValueError):
    """A text that is no crystal; the message is the reason."""


def parse_res(text: str) -> list[Record]:
    """Structures from one ``TITL`` to the next; pressure in GPa and energy in eV of the title are properties."""
    return [_record(lines) for lines in _structures(text)]


def _structures(text: str) -> Iterator[list[list[str]]]:
    """Words of the lines of each structure."""
    found: list[list[str]] = []
    for line in text.splitlines():
        words = line.split()
        if words and words[0].upper() == "TITL" and found:
            yield found
            found = []
        if words:
            found.append(words)
    if found:
        yield found


def _record(lines: Sequence[Sequence[str]]) -> Record:
    title = lines[0] if lines[0][0].upper() == "TITL" else []
    name = title[1] if len(title) > 1 else None
    properties: dict[str, Value] = {}
    numbers = [_number(word) for word in title[2:5]]
    if len(numbers) == 3 and None not in numbers:
        properties = {"pressure": numbers[0] or 0.0, "energy": numbers[2] or 0.0}
    try:
        entry, spins = _structure(lines)
        if len(numbers) == 3 and numbers[1]:
            _check(entry, numbers[1], title[7] if len(title) > 7 else "")
    except ResError as error:
        return Record(str(error), name, properties)
    return Record(entry, name, properties | ({"spin": spins} if spins else {}))


def _structure(lines: Sequence[Sequence[str]]) -> tuple[ParsedStructure, list[Value]]:
    """The crystal, and spins of its sites where all have one.

    Raises:
        ResError: A line is not understood, or there is symmetry that is not written out.
    """
    cell: list[float] = []
    kinds: list[str] = []
    sites: list[list[float]] = []
    species: list[int] = []
    for words in lines:
        match words[0].upper():
            case "TITL" | "REM" | "ZERR" | "UNIT" | "FVAR":
                continue
            case "END":
                break
            case "CELL":
                cell = _numbers(words[1:], 7, "the cell")[1:7]
            case "LATT":
                if words[1:2] != ["-1"]:
                    raise ResError(f"the lattice type {' '.join(words[1:2])}: only atoms that are all listed are read")
            case "SYMM":
                raise ResError("symmetry operations: only atoms that are all listed are read")
            case "SFAC":
                kinds = list(words[1:])
            case _:
                species.append(_element(words, kinds))
                sites.append(_numbers(words[2:8], 4, "a site"))
                if len(sites) > MAX_SITES:
                    raise ResError(f"more than {MAX_SITES:,} sites")
    if not cell or not kinds:
        raise ResError("no line CELL or no line SFAC")
    for k, (x, y, z, share, *_) in enumerate(sites):
        if max(abs(x), abs(y), abs(z)) > _FARTHEST:
            raise ResError(f"site {k + 1}: a coordinate of {max(abs(x), abs(y), abs(z)):g}, as of a refinement")
        if min(abs(share - 1.0), abs(share - 1.0 - _FIXED)) > WHOLE:
            raise ResError(f"site {k + 1}: partial occupancies ({share:g})")
    frac = np.array([site[:3] for site in sites]).reshape(-1, 3)
    entry = ParsedStructure(np.array(species, dtype=np.int64), frac, lattice_rows(np.array([cell]))[0])
    spins: list[Value] = [site[4] for site in sites if len(site) == 5]
    return entry, spins if len(spins) == len(sites) else []


def _check(entry: ParsedStructure, volume: float, count: str) -> None:
    """Compare the crystal with the volume in Å³ and the number of atoms of the title.

    Raises:
        ResError: They are others.
    """
    found = abs(float(np.linalg.det(entry.lattice)))
    if volume > 0 and not abs(found - volume) <= VOLUME_TOLERANCE * volume:
        raise ResError(f"the cell has {found:.6g} Å³, but the title says {volume:.6g}")
    if re.fullmatch(r"[0-9]{1,7}", count) and int(count) != len(entry.numbers):
        raise ResError(f"{len(entry.numbers)} sites, but the title says {count}")


def _element(words: Sequence[str], kinds: Sequence[str]) -> int:
    """Atomic number of a site by its place in the line SFAC.

    Raises:
        ResError: It is none, or its label is another element.
    """
    if len(words) < 6 or not re.fullmatch(r"[0-9]{1,3}", words[1]) or not 0 < int(words[1]) <= len(kinds):
        raise ResError(f"{' '.join(words)[:40]!r} where a site is expected")
    symbol = kinds[int(words[1]) - 1].capitalize()
    number = 1 if symbol == "D" else NUMBERS.get(symbol, 0)
    if not number:
        raise ResError(f"unknown element {symbol[:20]}")
    label = re.match("[A-Za-z]*", words[0])[0].capitalize()  # type: ignore[index]
    if not label.startswith(symbol) or NUMBERS.get(label, number) != number:
        raise ResError(f"a site is labelled {words[0][:20]}, but counted as {symbol}")
    return number


def _numbers(words: Sequence[str], least: int, what: str) -> list[float]:
    found = [_number(word) for word in words]
    values = [value for value in found if value is not None]
    if len(values) < least or len(values) < len(found):
        raise ResError(f"{' '.join(words)[:40]!r} where {what} is expected")
    return values


def _number(word: str) -> float | None:
    if len(word) > _MAX_DIGITS or not _NUMBER.fullmatch(word):
        return None
    return float(word.lower().replace("d", "e"))
