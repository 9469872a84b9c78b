"""CIF text to sites: gemmi parses, and a reading counts only where the statements of the file agree with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar, cast

import gemmi
import numpy as np

from nucleate.crystal.parsed_structure import MAX_SITES, ParsedStructure
from nucleate.io.cif_checks import Agreement, Statements, check, check_volume, formula_text, parse_formula
from nucleate.io.cif_sites import SITE_COLUMNS, SiteError, Sites, read_number, read_sites
from nucleate.io.cif_symmetry import (
    MAX_OPERATIONS,
    Operations,
    Orbits,
    Stated,
    SymmetryError,
    operations_of_texts,
    orbits,
    stated_groups,
)

MAX_BLOCK_CHARS = 16_000_000
"""Length of one structure's text; more is refused unread."""

_CELL = (
    *(f"_cell_length_{name}" for name in ("a", "b", "c")),
    *(f"_cell_angle_{name}" for name in ("alpha", "beta", "gamma")),
)
_OPERATION_LOOPS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_magn_operation_xyz",
)
_CENTRING_LOOP = "_space_group_symop_magn_centering_xyz"
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_SYMBOL = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full")
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
_SITE = "_atom_site_"
_FORMULA, _UNITS, _DENSITY = "_chemical_formula_sum", "_cell_formula_units_z", "_exptl_crystal_density_diffrn"
_WANTED = frozenset((*_CELL, "_cell_volume", *_HALL, *_SYMBOL, *_NUMBER, _FORMULA, _UNITS, _DENSITY))
_LOOPED = frozenset((*_OPERATION_LOOPS, _CENTRING_LOOP, *(_SITE + name for name in SITE_COLUMNS)))
_TIME_REVERSAL = re.compile(r",\s*[-+]1\s*$")
_NULL = frozenset(("", "?", "."))
_QUOTES = frozenset("'\";")
_DATA = re.compile(r"^\s*data_", re.MULTILINE | re.IGNORECASE)
_MOVED = 5e-3  # Å; a site moved farther onto its special position is noted
_IDENTITY = ("x,y,z",)


_Value = TypeVar("_Value", str, list[str])


class BlockError(ValueError):
    """A data block that is no crystal; the message is the reason."""


@dataclass
class _Block:
    """Items of a data block that are used, tags in small letters with ``_`` for ``.``, texts without quotes.

    Attributes:
        values: Those with one value.
        columns: Those of loops.
        sites: Columns of the atom sites, by their names after ``_atom_site_``.
        cell: a, b, c in Å and α, β, γ in degrees.
        moments: Whether there are magnetic moments.
        notes: What was assumed.
    """

    values: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    sites: dict[str, list[str]] = field(default_factory=dict)
    cell: list[float] = field(default_factory=list)
    moments: bool = False
    notes: list[str] = field(default_factory=list)

    def first(self, tags: Sequence[str]) -> str:
        """The first of the tags that has a value; empty where none has."""
        for tag in tags:
            if (text := self.values.get(tag, "")) not in _NULL:
                return text
        return ""


@dataclass(frozen=True)
class _Reading:
    """One way to read a block."""

    operations: Operations
    orbits: Orbits
    agreement: Agreement

    @property
    def fits(self) -> bool:
        return not self.agreement.faults


def parse_cifs(texts: Sequence[str]) -> list[ParsedStructure | str]:
    """Sites of each CIF text that holds one structure, or the reason why there are none.

    Symmetry operations are applied. Coordinates within 1e-4 (relative) of 1/3 or 2/3 become exactly that, as
    in pymatgen. What was read otherwise than it stands is in the ``notes`` of a structure.
    """
    found: list[ParsedStructure | str] = []
    blocks: list[_Block] = []
    for text in texts:
        block = _parse(text)
        found.append(block if isinstance(block, str) else "")
        if isinstance(block, _Block):
            blocks.append(block)
    lattices = lattice_rows(np.array([block.cell for block in blocks]).reshape(-1, 6))
    with np.errstate(over="ignore", invalid="ignore"):
        volumes = np.abs(np.linalg.det(lattices))
    results = iter(map(_read_or_reason, blocks, lattices, volumes.tolist()))
    return [reason or next(results) for reason in found]


def split_blocks(text: str) -> list[tuple[str, str]]:
    """Name and text of each data block that has atom sites; the whole text where there is none.

    A line ``data_`` inside a text field between semicolons starts no block.
    """
    starts: list[int] = []
    with_sites: list[bool] = []
    position, in_field = 0, False
    for line in text.splitlines(keepends=True):
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field:
            if line.lstrip()[:5].lower() == "data_":
                starts.append(position)
                with_sites.append(False)
            if with_sites and ("_atom_site" in line or "_ATOM_SITE" in line):
                with_sites[-1] = True
        position += len(line)
    if not starts:
        return [("", text)]
    ends = [*starts[1:], len(text)]
    blocks = [text[start:end].lstrip() for start, end in zip(starts, ends, strict=True)]
    named = [(block[5:].split(None, 1)[0] if block[5:6].strip() else "", block) for block in blocks]
    return [item for item, sites in zip(named, with_sites, strict=True) if sites] or named[:1]


def lattice_rows(parameters: np.ndarray) -> np.ndarray:
    """Lattice vectors as rows (B, 3, 3) in Å from a, b, c in Å and α, β, γ in degrees (B, 6).

    c lies along z and a in the xz plane, pymatgen's choice.
    """
    a, b, c = parameters[:, :3].T
    alpha, beta, gamma = np.radians(parameters[:, 3:]).T
    with np.errstate(divide="ignore", invalid="ignore"):  # an impossible cell becomes NaN, refused later
        cosine = (np.cos(alpha) * np.cos(beta) - np.cos(gamma)) / (np.sin(alpha) * np.sin(beta))
    reciprocal = np.arccos(np.clip(cosine, -1.0, 1.0))
    zero = np.zeros_like(a)
    rows = (
        (a * np.sin(beta), zero, a * np.cos(beta)),
        (-b * np.sin(alpha) * np.cos(reciprocal), b * np.sin(alpha) * np.sin(reciprocal), b * np.cos(alpha)),
        (zero, zero, c),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def _parse(text: str) -> _Block | str:
    if len(text) > MAX_BLOCK_CHARS:
        return f"{len(text):,} characters of CIF; at most {MAX_BLOCK_CHARS:,} are read"
    if not text.strip():
        return "no text"
    if "_atom_site" not in text and "_atom_site" not in text.lower():
        return "no atom sites in the CIF"
    try:
        return _block(text)
    except BlockError as error:
        return str(error)


def _block(text: str) -> _Block:
    """Items of the first data block that has atom sites.

    Raises:
        BlockError: The text is no CIF, or a length of the cell is missing.
    """
    text = text.lstrip("\ufeff").rstrip("\x1a\0 \n")
    if not _DATA.search(text):
        raise BlockError("no line data_ begins a block of the CIF")
    try:
        document = gemmi.cif.read_string(text, check_level=0)
    except (ValueError, RuntimeError) as error:
        reason = re.sub(r"^string:", "line ", " ".join(str(error).split()))
        raise BlockError(f"the CIF cannot be read ({reason[:160]})") from None
    for block in document:
        found = _items(block)
        if found.sites:
            _take_cell(found)
            return found
    raise BlockError("no atom sites in the CIF")


def _items(block: gemmi.cif.Block) -> _Block:
    found = _Block()
    for item in block:
        pair = cast("tuple[str, str] | None", item.pair)
        if pair is not None:
            tag = _name(pair[0])
            if tag in _WANTED:
                _add(found.values, tag, _plain(pair[1]))
            if tag in _LOOPED:
                _add(found.columns, tag, [_plain(pair[1])])
        elif (loop := item.loop) is not None:
            tags = loop.tags
            found.moments |= tags[0].lower().startswith("_atom_site_moment")
            wanted = [(k, tag) for k, tag in enumerate(map(_name, tags)) if tag]
            if not wanted or loop.length() == 0:
                continue
            limit = MAX_OPERATIONS if wanted[0][1] in _OPERATION_LOOPS else MAX_SITES
            if loop.length() > limit:
                raise BlockError(f"{loop.length():,} rows of {wanted[0][1]}; at most {limit:,} are read")
            values = loop.values
            for k, tag in wanted:
                column = [_plain(value) if value[0] in _QUOTES else value for value in values[k :: len(tags)]]
                if tag in _LOOPED:
                    _add(found.columns, tag, column)
                elif len(column) == 1:
                    _add(found.values, tag, column[0])
    found.sites = {tag[len(_SITE) :]: column for tag, column in found.columns.items() if tag.startswith(_SITE)}
    return found


@lru_cache(maxsize=4096)
def _name(tag: str) -> str:
    """A tag as it is kept; empty where it is not used."""
    plain = tag.lower().replace(".", "_")
    return plain if plain in _WANTED or plain in _LOOPED else ""


def _add(known: dict[str, _Value], tag: str, value: _Value) -> None:
    """Keep the value of a tag.

    Raises:
        BlockError: It has another already.
    """
    if known.setdefault(tag, value) != value:
        raise BlockError(f"{tag} stands twice in the block, with different values")


def _plain(value: str) -> str:
    return gemmi.cif.as_string(value) if value[:1] in _QUOTES else value


def _take_cell(block: _Block) -> None:
    """Lengths in Å and angles in degrees of a block, into ``cell``.

    Raises:
        BlockError: A length is missing, or a value is no number.
    """
    missing = []
    for tag in _CELL:
        text = block.values.get(tag, "")
        value = read_number(text)
        if value != value:
            if text not in _NULL:
                raise BlockError(f"{tag} is {text[:40]!r}, not a finite number")
            if "length" in tag:
                raise BlockError(f"no {tag}")
            missing.append(tag)
            value = 90.0
        block.cell.append(value)
    if missing:
        block.notes.append(f"{', '.join(missing)} not stated: 90° by the dictionary")


def _read_or_reason(block: _Block, lattice: np.ndarray, volume: float) -> ParsedStructure | str:
    try:
        return _read(block, lattice, volume)
    except (BlockError, SiteError, SymmetryError) as error:
        return str(error)


def _read(block: _Block, lattice: np.ndarray, volume: float) -> ParsedStructure:
    """The crystal of a block, in lattice rows (3, 3) in Å of a volume in Å³.

    Raises:
        BlockError, SiteError, SymmetryError: It is none, or its statements contradict one another.
    """
    if fault := check_volume(volume, block.first(("_cell_volume",))):
        raise BlockError(fault)
    statements = _statements(block, volume)
    sites = read_sites(block.sites, statements.elements)
    best, said = _choose(block, sites, lattice, statements)
    notes = [*block.notes, *sites.notes, *said, *best.agreement.notes]
    if best.orbits.moved > _MOVED:
        notes.append(f"sites were moved by up to {best.orbits.moved:.3f} Å onto special positions")
    if len(best.orbits.sizes) and not best.orbits.sizes.all():
        repeated = [sites.labels[k] for k in np.flatnonzero(best.orbits.sizes == 0)]
        notes.append(f"{', '.join(repeated[:4])}: images of sites listed before")
    if block.moments:
        notes.append("magnetic moments were not read")
    return ParsedStructure(sites.numbers[best.orbits.site], best.orbits.frac, lattice, tuple(notes))


def _choose(block: _Block, sites: Sites, lattice: np.ndarray, statements: Statements) -> tuple[_Reading, list[str]]:
    """The one reading that agrees with all statements, and what is to be said of it.

    Raises:
        BlockError: There is none, or more than one.
        SymmetryError: Operations or symbols cannot be used.
    """
    texts, centring = _operation_texts(block)
    names = (block.first(_HALL), block.first(_SYMBOL), block.first(_NUMBER))

    def reading(operations: Operations) -> _Reading:
        found = orbits(sites.frac, sites.numbers, lattice, operations)
        agreement = check(sites, found, statements)
        if len(operations) > 1 and not operations.fit(lattice):
            agreement = replace(agreement, faults=(f"the symmetry {operations.name} does not fit the cell",))
        return _Reading(operations, found, agreement)

    if texts:
        listed = operations_of_texts(texts, centring)
        as_listed = reading(listed)
        try:
            stated = stated_groups(*names)
        except SymmetryError:  # a symbol of a setting that no table has
            stated = Stated((), frozenset(), "")
        if not stated.numbers or not listed.number or listed.number in stated.numbers:
            _demand(as_listed)
            return as_listed, []
        return _settle(as_listed, [reading(one) for one in _fitting(stated, lattice)], stated, sites.numbers)
    stated = stated_groups(*names)
    if not stated.candidates:
        alone = reading(operations_of_texts(_IDENTITY))
        _demand(alone)
        return alone, ["no symmetry is stated: the sites listed were taken for the whole cell"]
    if len(stated.numbers) > 1:
        raise BlockError(f"the space groups stated are different: {stated.text}")
    readings = [reading(one) for one in _fitting(stated, lattice) or stated.candidates]
    agreeing = [one for one in readings if one.fits]
    if not agreeing:
        _demand(readings[0])
    certain = [one for one in agreeing if one.agreement.certain] or agreeing
    if any(not _same(certain[0], one, sites.numbers) for one in certain[1:]):
        which = " and ".join(f"{one.operations.name} gives {_content(one, sites.numbers)}" for one in certain)
        raise BlockError(f"{stated.text} does not say which origin or axes are meant: {which}")
    return certain[0], []


def _settle(
    as_listed: _Reading, others: Sequence[_Reading], stated: Stated, numbers: np.ndarray
) -> tuple[_Reading, list[str]]:
    """The right one of the operations listed and of those that the symbol means, where they are different groups.

    Raises:
        BlockError: Nothing tells which.
    """
    listed = as_listed.operations
    differ = f"the operations listed are {listed.name} (No. {listed.number}), but the space group is {stated.text}"
    fitting = [one for one in others if one.fits]
    if as_listed.fits and all(_same(as_listed, one, numbers) for one in fitting):
        if fitting or as_listed.agreement.certain:
            return as_listed, [differ]
    elif as_listed.fits and as_listed.agreement.certain and not any(one.agreement.certain for one in fitting):
        return as_listed, [f"{differ}; the former agree with the formula"]
    elif not as_listed.fits:
        certain = [one for one in fitting if one.agreement.certain]
        if certain and all(_same(certain[0], one, numbers) for one in certain[1:]):
            return certain[0], [f"{differ}; the latter agrees with the formula or the multiplicities and was used"]
        raise BlockError(f"{differ}; {as_listed.agreement.faults[0]}")
    which = ", ".join(f"{one.operations.name} gives {_content(one, numbers)}" for one in (as_listed, *others[:2]))
    raise BlockError(f"{differ}; {which}")


def _fitting(stated: Stated, lattice: np.ndarray) -> list[Operations]:
    """Candidates that fit the cell: all origins and axes of the first symbol that does."""
    fitting = [one for one in stated.candidates if one.fit(lattice)]
    return [one for one in fitting if one.name.split(":")[0] == fitting[0].name.split(":")[0]]


def _demand(reading: _Reading) -> None:
    if reading.agreement.faults:
        raise BlockError("; ".join(reading.agreement.faults[:2]))


def _same(first: _Reading, second: _Reading, numbers: np.ndarray) -> bool:
    """Whether two readings, in one cell, have the same atoms at the same places."""
    if len(first.orbits.frac) != len(second.orbits.frac) or len(first.orbits.frac) > 1000:
        return False
    same_element = numbers[first.orbits.site][:, None] == numbers[second.orbits.site]
    delta = first.orbits.frac[:, None] - second.orbits.frac
    near = (np.abs(delta - np.round(delta)) < 1e-3).all(axis=-1) & same_element
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


def _content(reading: _Reading, numbers: np.ndarray) -> str:
    kinds, counts = np.unique(numbers[reading.orbits.site], return_counts=True)
    return formula_text(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))


def _statements(block: _Block, volume: float) -> Statements:
    units = read_number(block.first((_UNITS,)) or "?")
    density = read_number(block.first((_DENSITY,)) or "?")
    formula = parse_formula(block.first((_FORMULA,)))
    # pymatgen writes Z = 0 for one atom of an element that it takes for a molecule.
    return Statements(formula, units if units > 0 or units < 0 else None, density if density > 0 else None, volume)


def _operation_texts(block: _Block) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Operations and centring translations listed, without the time reversal of magnetic ones."""
    found = next((block.columns[tag] for tag in _OPERATION_LOOPS if tag in block.columns), [])
    centring = block.columns.get(_CENTRING_LOOP, [])
    if _OPERATION_LOOPS[-1] in block.columns:
        found, centring = ([_TIME_REVERSAL.sub("", text) for text in texts] for texts in (found, centring))
    return tuple(text for text in found if text not in _NULL), tuple(centring)
