"""Strict fast readers for two fixed CIF layouts: P1 as pymatgen writes it, and symmetric cells as we write them.

Text that departs from its layout in any way does not match, and is left to the general parser. What matches
gives the sites that pymatgen's parser gives, about a hundred times faster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from nucleate.crystal.elements import NUMBERS
from nucleate.crystal.parsed_structure import RawCrystal

SITE_TOLERANCE = 1e-4
"""Fractional distance within which images of a site are one site, as in pymatgen."""

_NUMBER = r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?"
_END = r"[ \t]*\n"
_HEAD = (
    rf"\s*+(?:\#[^\n]*\n)*+data_\S*{_END}"
    rf"(?:_audit_creation_method[ \t]+'[^'\n]*'{_END}_audit_block_code[ \t]+(?:'[^\n]*'|\"[^\n]*\"){_END})?"
)
_CELL = "".join(
    rf"_cell_{kind}[ \t]+({_NUMBER}){_END}"
    for kind in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)
_FORMULA = (
    rf"_chemical_formula_structural[ \t]+\S+{_END}"
    rf"_chemical_formula_sum[ \t]+(?:'[^'\n]*'|[A-Za-z0-9]+){_END}"
)
_VOLUME = rf"_cell_volume[ \t]+{_NUMBER}{_END}"
_UNITS = rf"_cell_formula_units_Z[ \t]+[0-9]+{_END}"
_SITE_START = r"[ \t]+[A-Z][a-z]?[ \t]+[A-Za-z0-9]+[ \t]+"
_SITE_END = rf"(?:[ \t]+{_NUMBER}){{3}}[ \t]+1(?:\.0*)?[ \t]*(?:\n|\Z)"


def _loop(*names: str) -> str:
    return f"loop_{_END}" + "".join(f"[ ]{name}{_END}" for name in names)


_SITE_COLUMNS = ("_atom_site_type_symbol", "_atom_site_label", "_atom_site_symmetry_multiplicity")
_COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy")
_P1 = re.compile(
    _HEAD
    + rf"_symmetry_space_group_name_H-M[ \t]+'P[ ]1'{_END}"
    + _CELL
    + rf"_symmetry_Int_Tables_number[ \t]+1{_END}"
    + _FORMULA
    + _VOLUME
    + _UNITS
    + _loop("_symmetry_equiv_pos_site_id", "_symmetry_equiv_pos_as_xyz")
    + rf"[ \t]+1[ \t]+'x,[ ]y,[ ]z'{_END}"
    + _loop(*_SITE_COLUMNS, *_COORDINATES)
    + rf"((?:{_SITE_START}1{_SITE_END})++)\s*"
)
_SYMMETRIC = re.compile(
    _HEAD
    + r"(?:\#[^\n]*\n)?"
    + rf"_space_group_name_H-M_alt[ \t]+'[^'\n]*'{_END}"
    + rf"_space_group_name_Hall[ \t]+'[^\n]*'{_END}"
    + rf"_space_group_IT_number[ \t]+[0-9]+{_END}"
    + _CELL
    + _VOLUME
    + _FORMULA
    + _UNITS
    + _loop("_space_group_symop_id", "_space_group_symop_operation_xyz")
    + rf"((?:[ \t]+[0-9]+[ \t]+'[-+xyz0-9/, ]+'{_END})++)"
    + _loop(*_SITE_COLUMNS, "_atom_site_Wyckoff_symbol", *_COORDINATES)
    + rf"((?:{_SITE_START}[0-9]+[ \t]+[A-Za-z]{_SITE_END})++)\s*"
)


def read_fixed_layouts(texts: Sequence[str]) -> list[RawCrystal | None]:
    """Sites of each text that follows one of the layouts; None for the others."""
    found: list[RawCrystal | None] = [None] * len(texts)
    plain: dict[int, re.Match[str]] = {}
    for row, text in enumerate(texts):
        if match := _P1.fullmatch(text):
            plain[row] = match
        elif match := _SYMMETRIC.fullmatch(text):
            found[row] = _expand(match)
    for row, raw in zip(plain, _read_p1(list(plain.values())), strict=True):
        found[row] = raw
    return found


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


def _read_p1(matches: Sequence[re.Match[str]]) -> list[RawCrystal | None]:
    """Sites of all texts that matched, their coordinates converted at once."""
    if not matches:
        return []
    cells = lattice_rows(np.array([match.groups()[:6] for match in matches], dtype=np.float64))
    tokens = [match[7].split() for match in matches]
    coordinates: list[str] = []
    for row in tokens:
        for axis in (3, 4, 5):
            coordinates += row[axis::7]
    values = _exact_thirds(np.fromiter(map(float, coordinates), dtype=np.float64, count=len(coordinates)))
    raws: list[RawCrystal | None] = []
    start = 0
    for row, cell in zip(tokens, cells, strict=True):
        numbers = _numbers(row[0::7])
        n = len(numbers)
        frac = values[start : start + 3 * n].reshape(3, n).T
        start += 3 * n
        raws.append(RawCrystal(numbers, frac, cell) if numbers.all() else None)  # deuterium, or no element
    return raws


def _expand(match: re.Match[str]) -> RawCrystal | None:
    """All sites of a symmetric cell; None where the images of a site are not as many as the text says."""
    operations = _operations(match[7])
    tokens = match[8].split()
    numbers = _numbers(tokens[0::8])
    if operations is None or not numbers.all():
        return None
    rotations, translations = operations
    sites = _exact_thirds(np.array([tokens[axis::8] for axis in (4, 5, 6)], dtype=np.float64).T)
    images = (np.einsum("gij,nj->ngi", rotations, sites) + translations) % 1.0
    frac: list[np.ndarray] = []
    for image, multiplicity in zip(images, tokens[2::8], strict=True):
        delta = image[:, None] - image[None]
        same = (np.abs(delta - np.round(delta)) < SITE_TOLERANCE).all(axis=-1)
        kept = image[~np.tril(same, -1).any(axis=1)]  # images without an earlier twin
        if len(kept) != int(multiplicity):
            return None
        frac.append(kept)
    cell = lattice_rows(np.array([match.groups()[:6]], dtype=np.float64))[0]
    return RawCrystal(np.repeat(numbers, [len(kept) for kept in frac]), np.concatenate(frac), cell)


@lru_cache(maxsize=512)
def _operations(lines: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Rotations (G, 3, 3) and translations (G, 3) of the lines of a loop; None where one is not understood."""
    rotations, translations = [], []
    for text in re.findall(r"'([^']*)'", lines):
        rows = text.replace(" ", "").split(",")
        terms = [re.findall(r"([-+]?)(?:([xyz])|(\d+(?:/\d+)?))", row) for row in rows]
        written = ["".join("".join(term) for term in found) for found in terms]
        if len(rows) != 3 or written != rows or re.search(r"/0", text):
            return None
        rotation, translation = np.zeros((3, 3)), np.zeros(3)
        for i, found in enumerate(terms):
            for sign, axis, shift in found:
                value = -1.0 if sign == "-" else 1.0
                if axis:
                    rotation[i, "xyz".index(axis)] += value
                else:
                    translation[i] += value * float(Fraction(shift))
        rotations.append(rotation)
        translations.append(translation)
    return np.array(rotations), np.array(translations)


def _numbers(symbols: Sequence[str]) -> np.ndarray:
    """Atomic numbers; 0 for what is no element's symbol."""
    return np.array([NUMBERS.get(symbol, 0) for symbol in symbols], dtype=np.int64)


def _exact_thirds(values: np.ndarray) -> np.ndarray:
    """Values with those within 1e-4 (relative) of 1/3 or 2/3 replaced by them: printed digits, not physics."""
    for third in (1 / 3, 2 / 3):
        values = np.where(np.abs(values / third - 1.0) <= 1e-4, third, values)
    return values
