"""Protostructures: a space group and the elements on its Wyckoff positions, without coordinates or cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd
from string import ascii_uppercase

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS, atomic_number
from nucleate.crystal.formula import compositions, reduced_formula
from nucleate.errors import UserError
from nucleate.symmetry.space_group import SYMPREC, Symmetry, symmetries
from nucleate.symmetry.wyckoff import (
    LETTERS,
    by_letter,
    centring,
    checked_group,
    equivalent_settings,
    lattice_symbol,
)

_WHERE = "protostructure"
_EXAMPLE = "a label such as A2BC4_cF56_227_c_b_e:Al-Mg-O"
_FORMULA = re.compile(r"(?:[A-Z]\d*)+")
_PEARSON = re.compile(r"[a-z][A-Z](\d+)")
_ORBITS = re.compile(r"(?:\d*[a-zA])+")


@dataclass(frozen=True)
class Protostructure:
    """A space group with elements on its Wyckoff positions.

    Attributes:
        space_group: International number, 1 to 230.
        sites: Atomic number and Wyckoff letter of each orbit, in the order of symbols and letters; an orbit on a
            position with free coordinates may come several times.

    Raises:
        UserError: No such group, letter or element, no orbit at all, or a position without free coordinates
            occupied twice.
    """

    space_group: int
    sites: tuple[tuple[int, str], ...]

    def __post_init__(self) -> None:
        known = by_letter(checked_group(self.space_group, _WHERE))
        if not self.sites:
            raise UserError(_WHERE, "no occupied position", "at least one orbit of atoms")
        for number, letter in self.sites:
            if not 0 < number < len(SYMBOLS):
                raise UserError(_WHERE, f"atomic number {number}", f"one from 1 to {len(SYMBOLS) - 1}")
            if letter not in known:
                found = f"Wyckoff letter {letter!r} in space group {self.space_group}"
                raise UserError(_WHERE, found, f"one of {', '.join(known)}")
        for letter, times in Counter(letter for _, letter in self.sites).items():
            if times > 1 and known[letter].n_free == 0:
                found = f"position {letter} of space group {self.space_group} occupied {times} times"
                raise UserError(_WHERE, found, "a position without free coordinates to hold atoms once")
        object.__setattr__(self, "sites", _ordered(self.sites))

    @classmethod
    def parse(cls, label: str) -> Protostructure:
        """The protostructure of a label; letters are taken as they stand.

        The Pearson symbol may count the atoms of a rhombohedral cell, as AFLOW does, or of the hexagonal one, and name
        the centred face of an orthorhombic one.

        Raises:
            UserError: The text is no label, or its parts do not fit each other.
        """
        text = label.strip()
        prototype, colon, system = text.partition(":")
        parts = prototype.split("_")
        formed = len(parts) >= 4 and _FORMULA.fullmatch(parts[0]) and _PEARSON.fullmatch(parts[1])
        if not colon or not formed or not parts[2].isdigit() or not all(map(_ORBITS.fullmatch, parts[3:])):
            raise UserError(_WHERE, repr(label), _EXAMPLE)
        group = checked_group(int(parts[2]), f"{_WHERE} {text}")
        elements = [atomic_number(symbol, f"{_WHERE} {text}") for symbol in system.split("-")]
        if len(set(elements)) != len(elements) or len(elements) != len(parts) - 3:
            found = f"{len(parts) - 3} sets of positions for the elements {system}"
            raise UserError(f"{_WHERE} {text}", found, "one set for each of different elements")
        sites = tuple(
            (number, letter)
            for number, orbits in zip(elements, parts[3:], strict=True)
            for times, letter in re.findall(r"(\d*)([a-zA])", orbits)
            for _ in range(_times(times, text))
        )
        found_structure = cls(group, sites)
        found_structure._check_stated(text, parts[0], parts[1], elements)
        return found_structure

    def _check_stated(self, text: str, formula: str, pearson: str, elements: list[int]) -> None:
        """Compare what a label says beside its letters with what its letters say."""
        counts = self.counts
        unit = gcd(*counts.values())
        right = _anonymous([counts[z] // unit for z in elements])
        if formula != right:
            raise UserError(f"{_WHERE} {text}", f"formula {formula}", f"{right}, which its positions add up to")
        sizes = {self.n_atoms, self.n_primitive} if lattice_symbol(self.space_group) == "hR" else {self.n_atoms}
        # Some write the centred face of an orthorhombic cell, oA or oC, where others write oS for all of them.
        lattice = "oS" if pearson[:2] in ("oA", "oB", "oC") else pearson[:2]
        if lattice != lattice_symbol(self.space_group) or int(pearson[2:]) not in sizes:
            raise UserError(f"{_WHERE} {text}", f"Pearson symbol {pearson}", self.pearson_symbol)

    @cached_property
    def counts(self) -> dict[int, int]:
        """Atoms {Z: count} in the conventional cell, in the order of the symbols."""
        known, counts = by_letter(self.space_group), dict.fromkeys((z for z, _ in self.sites), 0)
        for number, letter in self.sites:
            counts[number] += known[letter].multiplicity
        return counts

    @property
    def n_atoms(self) -> int:
        """Atoms in the conventional cell."""
        return sum(self.counts.values())

    @property
    def n_primitive(self) -> int:
        """Atoms in the primitive cell."""
        return self.n_atoms // centring(self.space_group)

    @property
    def n_free(self) -> int:
        """Free coordinates of all orbits together."""
        known = by_letter(self.space_group)
        return sum(known[letter].n_free for _, letter in self.sites)

    @property
    def pearson_symbol(self) -> str:
        """Such as ``cF56``, with the atoms of the conventional cell."""
        return f"{lattice_symbol(self.space_group)}{self.n_atoms}"

    @property
    def formula(self) -> str:
        """Reduced formula, such as ``MgAl2O4``."""
        return reduced_formula(self.counts)

    @property
    def chemical_system(self) -> str:
        """Symbols in alphabetical order, such as ``Al-Mg-O``."""
        return "-".join(SYMBOLS[z] for z in self.counts)

    @cached_property
    def label(self) -> str:
        """The canonical label, the same for every setting of a crystal."""
        orbits = _orbits(self.sites)
        unit = gcd(*self.counts.values())
        formula = _anonymous([n // unit for n in self.counts.values()])
        letters = canonical_letters(tuple(letters for _, letters in orbits), self.space_group)
        return f"{formula}_{self.pearson_symbol}_{self.space_group}_{letters}:{self.chemical_system}"

    @property
    def prototype(self) -> str:
        """The canonical label without its elements."""
        return self.label.partition(":")[0]

    @cached_property
    def canonical(self) -> Protostructure:
        """The same crystal in the setting of its label."""
        return min(self.settings(), key=lambda setting: _rank(tuple(row for _, row in _orbits(setting.sites))))

    def settings(self) -> tuple[Protostructure, ...]:
        """The different protostructures that describe the same crystal, this one first."""
        renamings = equivalent_settings(self.space_group)
        sites = [_ordered((z, renaming[letter]) for z, letter in self.sites) for renaming in renamings]
        return tuple(Protostructure(self.space_group, choice) for choice in dict.fromkeys(sites))

    def __str__(self) -> str:
        return self.label


@lru_cache(maxsize=65536)
def canonical_letters(orbits: tuple[tuple[str, ...], ...], space_group: int) -> str:
    """Letters of each element, in the order of the elements, in the setting with the lowest sum of letters."""
    choices = ([sorted(renaming[x] for x in row) for row in orbits] for renaming in equivalent_settings(space_group))
    return min(_rank(tuple(map(tuple, rows))) for rows in choices)[1]


def _rank(rows: tuple[tuple[str, ...], ...]) -> tuple[int, str]:
    """Sum of the different letters of each element, and the letters as text."""
    counted = [sorted(Counter(row).items()) for row in rows]
    score = sum(0 if letter == "A" else ord(letter) - 96 for row in counted for letter, _ in row)
    return score, "_".join("".join(f"{n if n > 1 else ''}{letter}" for letter, n in row) for row in counted)


def _ordered(sites: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(sites, key=lambda site: (SYMBOLS[site[0]], LETTERS.index(site[1]))))


def _orbits(sites: tuple[tuple[int, str], ...]) -> list[tuple[int, tuple[str, ...]]]:
    """Letters of each element, elements in the order of their symbols."""
    rows: dict[int, list[str]] = {}
    for number, letter in sites:
        rows.setdefault(number, []).append(letter)
    return [(number, tuple(row)) for number, row in rows.items()]


def _anonymous(counts: list[int]) -> str:
    return "".join(f"{letter}{n if n > 1 else ''}" for letter, n in zip(ascii_uppercase, counts, strict=False))


def _times(text: str, label: str) -> int:
    times = int(text or 1)
    if not 1 <= times <= 1000:
        raise UserError(f"{_WHERE} {label}", f"{times} orbits of one kind", "1 to 1000")
    return times


def protostructure_labels(crystals: Crystals, symprec: float = SYMPREC) -> list[str]:
    """Label of each crystal at a tolerance in Å; empty where none fits both symmetry and composition."""
    return ["" if found is None else found.label for found in protostructures(crystals, symprec)]


def protostructures(crystals: Crystals, symprec: float = SYMPREC) -> list[Protostructure | None]:
    """Protostructure of each crystal in the setting that the symmetry search chose.

    None where no symmetry is found or the orbits do not add up to the composition.

    Arguments:
        crystals: B crystals.
        symprec: Distance in Å within which sites count as equivalent.
    """
    counts = compositions(crystals)
    return [
        None if symmetry is None else _found(crystals.numbers[i].tolist(), counts[i], symmetry)
        for i, symmetry in enumerate(symmetries(crystals, symprec))
    ]


def _found(numbers: list[int], counts: dict[int, int], symmetry: Symmetry) -> Protostructure | None:
    sites = tuple((numbers[site], symmetry.letters[site]) for site in sorted(set(symmetry.orbits)))
    try:
        found = Protostructure(symmetry.number, sites)
    except UserError:  # two orbits on a position that holds one: the tolerance merged what does not belong together
        return None
    occupied, unit, shared = found.counts, gcd(*counts.values()), gcd(*found.counts.values())
    fits = {z: n // shared for z, n in occupied.items()} == {z: n // unit for z, n in counts.items()}
    return found if fits else None
