"""POSCAR and CONTCAR files of VASP, read line by line within bounds; written through pymatgen."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from pymatgen.io.vasp import Poscar

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import NUMBERS
from nucleate.crystal.parsed_structure import MAX_SITES, ParsedStructure
from nucleate.io.cif_checks import parse_formula
from nucleate.io.interop import to_pymatgen

_COMMENT = "Nucleate "
_MAX_DIGITS = 60
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_WHOLE = re.compile(r"\d{1,7}(?:\.0*)?")
_STEP = re.compile(r"\s*(?:direct|cartesian)\b", re.IGNORECASE)
_POTCAR_NAME = re.compile(r"([A-Z][a-z]?)(?:[_/].*)?")


class _PoscarError(ValueError):
    """A text that is no POSCAR; the message is the reason."""


def parse_poscar(text: str, potcar: Sequence[str] = ()) -> ParsedStructure | str:
    """Sites of one POSCAR, or the reason why there are none.

    Symbols may be names of POTCARs (``Na_pv``). Files of VASP 4, which have none, are read where the POTCAR beside
    them, each site, or the comment names the elements.

    Arguments:
        text: Content of the file.
        potcar: Names of the POTCAR beside it, in its order; see :func:`potcar_names`.
    """
    try:
        return _parse(text, potcar)
    except _PoscarError as error:
        return str(error)


def parse_xdatcar(text: str) -> list[ParsedStructure | str]:
    """Steps of an XDATCAR, whose header may come once or again before each step."""
    lines = text.splitlines()
    header: list[str] = []
    found: list[ParsedStructure | str] = []
    start, unused = 0, False
    while start < len(lines):
        if header and not lines[start].strip():
            start += 1
            continue
        if not _STEP.match(lines[start]):
            header, start, unused = lines[start : start + 7], start + 7, bool(found)
            continue
        counts = header[-1].split() if len(header) == 7 else []
        if not counts or not all(_WHOLE.fullmatch(word) for word in counts):
            return [*found, "no line of counts before the first step of an XDATCAR"]
        stop = start + 1 + sum(_count(word) for word in counts)
        found.append(parse_poscar("\n".join((*header, *lines[start:stop]))))
        start, unused = stop, False
    if unused:
        found.append(f"{header[0][:40]!r} where a step is expected")
    return found or ["no steps in an XDATCAR"]


def potcar_names(text: str) -> list[str]:
    """Names of the potentials of a POTCAR, such as ``Na_pv``, in their order."""
    return re.findall(r"^\s*TITEL\s*=\s*\S+\s+([A-Z]\S*)", text, re.MULTILINE)


def poscar_id(text: str, fallback: str) -> str:
    """The id that we wrote on the comment line; that of other programs' files is the fallback."""
    comment = text.split("\n", 1)[0].strip()
    return comment.removeprefix(_COMMENT) if comment.startswith(_COMMENT) else fallback


def poscar_texts(crystals: Crystals, ids: Sequence[str]) -> list[str]:
    """One POSCAR per crystal, its id as the comment; sites keep their order."""
    return [
        Poscar(structure, comment=_COMMENT + " ".join(identifier.split())).get_str(significant_figures=12)
        for structure, identifier in zip(to_pymatgen(crystals), ids, strict=True)
    ]


def _parse(text: str, potcar: Sequence[str]) -> ParsedStructure:
    comment, *rest = text.splitlines() or [""]
    lines = [line.split("!")[0].strip() for line in rest]
    if len(lines) < 7:
        raise _PoscarError(f"{len(lines) + 1} lines; a POSCAR has at least 8")
    scale = _numbers(lines[0], "the scale", least=1)
    lattice = np.array([_numbers(line, "a lattice vector") for line in lines[1:4]])
    factor = _factor(scale, lattice)
    symbols = [] if all(_WHOLE.fullmatch(word) for word in lines[4].split()) else lines[4].split()
    start = 5 if symbols else 4
    counts = [_count(word) for word in lines[start].split()]
    if symbols and len(symbols) != len(counts):
        raise _PoscarError(f"{len(symbols)} symbols, but {len(counts)} counts of atoms")
    n = sum(counts)
    if n > MAX_SITES:
        raise _PoscarError(f"{n:,} sites; at most {MAX_SITES:,} are read")
    start += 1
    if lines[start][:1] in {"s", "S"}:
        start += 1
    mode = lines[start] if start < len(lines) else ""
    if _NUMBER.match(mode):
        raise _PoscarError(f"{mode[:40]!r} where 'Direct' or 'Cartesian' is expected")
    rows = [line for line in lines[start + 1 : start + 1 + n] if line]
    if len(rows) < n:
        raise _PoscarError(f"{len(rows)} lines of coordinates for {n} atoms")
    sites = np.array([_numbers(row, "a coordinate") for row in rows]).reshape(-1, 3)
    lattice = lattice * factor
    if mode[:1] in {"c", "C", "k", "K"}:
        if abs(np.linalg.det(lattice)) < 1e-8:
            raise _PoscarError("a cell without volume")
        sites = (sites * factor) @ np.linalg.inv(lattice)
    numbers, note = _elements(symbols, counts, rows, comment, potcar)
    notes = [note] if note else []
    if any(re.search("[1-9]", word.lower().split("e")[0]) for word in _velocities(lines[start + 1 + n :])):
        notes.append("velocities were not read")
    return ParsedStructure(numbers, sites, lattice, tuple(notes))


def _factor(scale: Sequence[float], lattice: np.ndarray) -> np.ndarray:
    """Factor of each Cartesian axis (3,): one, three, or that which gives the volume of a negative scale."""
    if len(scale) == 2:
        raise _PoscarError("two scales; one or three are expected")
    if len(scale) == 3:
        if min(scale) <= 0:
            raise _PoscarError("three scales that are not all above 0")
        return np.array(scale)
    volume = abs(float(np.linalg.det(lattice)))
    if scale[0] == 0 or (scale[0] < 0 and volume == 0):
        raise _PoscarError("a scale of 0, or a cell without volume")
    return np.full(3, scale[0] if scale[0] > 0 else (-scale[0] / volume) ** (1 / 3))


def _numbers(line: str, what: str, least: int = 3) -> list[float]:
    """The first three numbers of a line, or fewer but not less than ``least``, also where they run together.

    Raises:
        _PoscarError: There are fewer, or one is not finite.
    """
    words = line.split()[:3]
    if len(words) < least and re.fullmatch(r"[-+\d.eEdD\s]+", line):
        words = _NUMBER.findall(line)
    found: list[float] = []
    for word in words[:3]:
        if len(word) > _MAX_DIGITS or not _NUMBER.fullmatch(word):
            break
        found.append(float(word.lower().replace("d", "e")))
    if len(found) < least or not np.isfinite(found).all():
        raise _PoscarError(f"{line[:40]!r} where {what} is expected")
    return found


def _count(word: str) -> int:
    if not _WHOLE.fullmatch(word):
        raise _PoscarError(f"{word[:40]!r} where a count of atoms is expected")
    return int(float(word))


def _elements(
    symbols: Sequence[str], counts: Sequence[int], rows: Sequence[str], comment: str, potcar: Sequence[str]
) -> tuple[np.ndarray, str]:
    """Atomic numbers (n,), and a note where they stand elsewhere than they should.

    Raises:
        _PoscarError: A symbol is no element, sites are labelled otherwise, or nothing names the elements.
    """
    labels = [NUMBERS.get(_label(row), 0) for row in rows]
    named = symbols or (potcar if len(potcar) == len(counts) else [])
    if named:
        numbers = np.repeat([_element(symbol) for symbol in named], counts).astype(np.int64)
        for k, label in enumerate(labels):
            if label and label != numbers[k]:
                raise _PoscarError(f"site {k + 1} is labelled {_label(rows[k])}, but counted as another element")
        return numbers, "" if symbols else "elements taken from the POTCAR (VASP 4)"
    if labels and all(labels):
        return np.array(labels, dtype=np.int64), "elements taken from the labels of the sites (VASP 4)"
    words = comment.split()
    if len(words) == len(counts) and all(_POTCAR_NAME.fullmatch(word) for word in words):
        found = [_element(word) for word in words]
    else:
        formula = parse_formula(comment) if len(words) == 1 else {}
        shares = [count / sum(counts) for count in counts] if sum(counts) else []
        total = sum(formula.values())
        matches = len(formula) == len(counts) and np.allclose([n / total for n in formula.values()], shares)
        found = list(formula) if matches else []
    if not found:
        raise _PoscarError("no element symbols (the layout of VASP 4), and no POTCAR, comment or labels that name them")
    return np.repeat(found, counts).astype(np.int64), "elements taken from the comment line (VASP 4)"


def _element(symbol: str) -> int:
    """Atomic number of a symbol or the name of a POTCAR.

    Raises:
        _PoscarError: It is none.
    """
    found = _POTCAR_NAME.fullmatch(symbol)
    number = NUMBERS.get(found[1], 0) if found else 0
    if not number:
        raise _PoscarError(f"unknown element {symbol[:40]}")
    return number


def _label(row: str) -> str:
    """The word after coordinates, and after flags of selective dynamics."""
    words = row.split()[3:]
    if len(words) >= 3 and all(word.strip(".").upper()[:1] in {"T", "F"} for word in words[:3]):
        words = words[3:]
    return words[0] if words else ""


def _velocities(lines: Sequence[str]) -> list[str]:
    """Numbers of the block after the coordinates: velocities, or the lattice's."""
    words = [word for line in lines[:100] for word in line.split() if not line[:1].isalpha()]
    return [word for word in words if "." in word and len(word) <= _MAX_DIGITS and _NUMBER.fullmatch(word)]
