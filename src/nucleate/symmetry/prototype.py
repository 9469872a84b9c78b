"""Protostructure labels: the coordinate-free name of a crystal's structure type.

``AB2_cF12_225_a_c:Ca-F`` joins the anonymous formula in the order of the alphabetical elements, the Pearson
symbol, the space group, the Wyckoff letters of each element and the chemical system. Letters depend on the
choice of origin; of all choices that describe the same crystal, the one with the lowest sum of letters is
taken. The form is that of AFLOW as made canonical by Goodall et al., Sci. Adv. 8, eabn4117 (2022).
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter
from functools import lru_cache
from math import gcd
from pathlib import Path
from string import ascii_uppercase

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import compositions
from nucleate.crystal.symmetry_search import SYMPREC
from nucleate.symmetry.space_group import Symmetry, symmetries


def protostructure_labels(crystals: Crystals, symprec: float = SYMPREC) -> list[str]:
    """Label of each crystal; empty where no symmetry is found or the orbits do not add up to the composition."""
    found = symmetries(crystals, symprec)
    counts = compositions(crystals)
    return [
        "" if symmetry is None else _label(crystals.numbers[i].tolist(), counts[i], symmetry)
        for i, symmetry in enumerate(found)
    ]


def _label(numbers: list[int], counts: dict[int, int], symmetry: Symmetry) -> str:
    elements = sorted(counts, key=SYMBOLS.__getitem__)
    orbits: dict[int, Counter[str]] = {z: Counter() for z in elements}
    for site in sorted(set(symmetry.orbits)):
        orbits[numbers[site]][symmetry.letters[site]] += 1
    sizes = _tables()[0][str(symmetry.number)]
    occupied = [sum(sizes[letter] * n for letter, n in orbits[z].items()) for z in elements]
    unit = gcd(*counts.values())
    shares = [counts[z] // unit for z in elements]
    if [n // gcd(*occupied) for n in occupied] != shares:
        return ""
    formula = "".join(f"{letter}{n if n > 1 else ''}" for letter, n in zip(ascii_uppercase, shares, strict=False))
    letters = _canonical(tuple(tuple(sorted(orbits[z].items())) for z in elements), symmetry.number)
    system = "-".join(SYMBOLS[z] for z in elements)
    return f"{formula}_{symmetry.pearson_symbol}_{symmetry.number}_{letters}:{system}"


@lru_cache(maxsize=65536)
def _canonical(orbits: tuple[tuple[tuple[str, int], ...], ...], number: int) -> str:
    """Letters of each element in the choice of origin that has the lowest sum, then the first text."""
    choices = []
    for renamed in _tables()[1][str(number)]:
        rows = [sorted((renamed[str(ord(letter))], n) for letter, n in row) for row in orbits]
        score = sum(0 if letter == "A" else ord(letter) - 96 for row in rows for letter, _ in row)
        text = "_".join("".join(f"{n if n > 1 else ''}{letter}" for letter, n in row) for row in rows)
        choices.append((score, text))
    return min(choices)[1]


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, dict[str, int]], dict[str, list[dict[str, str]]]]:
    """Multiplicities and relabellings of the Wyckoff positions by space group.

    Read from pymatgen's data files: importing the package that holds them takes seconds.
    """
    package = importlib.util.find_spec("pymatgen.analysis.prototypes")
    if package is None or package.origin is None:
        raise ImportError("pymatgen.analysis.prototypes, which holds the tables of Wyckoff positions, is missing")
    folder = Path(package.origin).parent
    names = ("wyckoff-position-multiplicities.json.gz", "wyckoff-position-relabelings.json.gz")
    sizes, renamings = (json.loads(gzip.decompress((folder / name).read_bytes())) for name in names)
    return sizes, renamings
