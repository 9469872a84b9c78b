"""Data blocks of a CIF text, parsed by gemmi within bounds: the items that say what a crystal is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar, cast

import gemmi

from nucleate.crystal.parsed_structure import MAX_SITES
from nucleate.io.cif_sites import SITE_COLUMNS, read_number
from nucleate.io.cif_symmetry import MAX_OPERATIONS

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
HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
SYMBOL = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full")
NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
_SITE = "_atom_site_"
FORMULA, UNITS, DENSITY = "_chemical_formula_sum", "_cell_formula_units_z", "_exptl_crystal_density_diffrn"
_WANTED = frozenset((*_CELL, "_cell_volume", *HALL, *SYMBOL, *NUMBER, FORMULA, UNITS, DENSITY))
_LOOPED = frozenset((*_OPERATION_LOOPS, _CENTRING_LOOP, *(_SITE + name for name in SITE_COLUMNS)))
_TIME_REVERSAL = re.compile(r",\s*[-+]1\s*$")
_NULL = frozenset(("", "?", "."))
_QUOTES = frozenset("'\";")
_DATA = re.compile(r"^[ \t]*data_", re.MULTILINE | re.IGNORECASE)

_Value = TypeVar("_Value", str, list[str])


class BlockError(ValueError):
    """A data block that is no crystal; the message is the reason."""


@dataclass
class Block:
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

    def operation_texts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Operations and centring translations listed, without the time reversal of magnetic ones."""
        found = next((self.columns[tag] for tag in _OPERATION_LOOPS if tag in self.columns), [])
        centring = self.columns.get(_CENTRING_LOOP, [])
        if _OPERATION_LOOPS[-1] in self.columns:
            found, centring = ([_TIME_REVERSAL.sub("", text) for text in texts] for texts in (found, centring))
        return tuple(text for text in found if text not in _NULL), tuple(centring)


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


def read_block(text: str) -> Block | str:
    """The block of a text that holds one structure, or the reason why there is none."""
    if len(text) > MAX_BLOCK_CHARS:
        return f"{len(text):,} characters of CIF; at most {MAX_BLOCK_CHARS:,} are read"
    if not text.strip():
        return "no text"
    if "_atom_site" not in text and "_atom_site" not in text.lower():
        return "no atom sites in the CIF"
    try:
        return _first_block(text)
    except BlockError as error:
        return str(error)


def _first_block(text: str) -> Block:
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


def _items(block: gemmi.cif.Block) -> Block:
    found = Block()
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


def _take_cell(block: Block) -> None:
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
