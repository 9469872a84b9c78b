"""Atom sites of a CIF: elements, coordinates and occupancies, each refused by name where it is no whole atom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np

from nucleate.crystal.elements import NUMBERS
from nucleate.io.validation import FARTHEST

SITE_COLUMNS = (
    *("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "disorder_group", "calc_flag"),
    *("attached_hydrogens", "symmetry_multiplicity", "site_symmetry_multiplicity"),
)
"""Columns that are used, without ``_atom_site_``."""

WHOLE = 1e-3
"""Difference from 1 within which an occupancy is one whole atom."""

_GROUPS = "OH HO OD OH2 H2O HOH D2O H3O OW WAT WATER NH NH2 NH3 NH4 CH CH2 CH3 CH4 BH BH4".split()
_VACANCIES = "VA VAC VACANCY VC VACANT".split()
_DUMMIES = "DU DUM DUMMY X XX Q LP BQ CNT CEN".split()
_MOLECULES = "CO NO CN HO".split()  # capitals that are an element only where the formula has it
_HYDROGEN_ISOTOPES = {"D", "T"}
_NULL = frozenset("?.")
_MAX_NAME = 60  # characters of a type symbol or a label that stands in for one
_DIATOMIC = "H N O F Cl Br I".split()

# A symbol, and how an oxidation state or a spin may follow it: Fe3+, Fe+3, O2-, Fe(III), Fe3+,spin=5, Cval.
_TYPE = re.compile(
    r"(?:\d{1,3})?([A-Za-z]+?)(?:val)?(?:\(?(?:[\d.]*[-+]{1,4}|[-+][\d.]+|[IVX]{1,4}|0)\)?)?(?:,?spin=[-+\d.]+)?"
)
_MIXED = re.compile(r"[A-Z][a-z]?[\d.+-]*\s*[/+,;&]\s*[\d.]*[A-Z]")
_WATER = re.compile(r"[HD][23]O")
_ISOTOPE = re.compile(r"[DT](?![a-z])|[23]H(?![a-z])")
_FRACTION = re.compile(r"([-+]?\d{1,4})/([1-9]\d{0,3})")


class SiteError(ValueError):
    """A site that is no whole atom of an element at a place; the message is the reason and names it."""


@dataclass(frozen=True)
class Sites:
    """The n sites that a CIF lists.

    Attributes:
        labels: Their names.
        numbers: Atomic numbers (n,).
        frac: Fractional coordinates (n, 3).
        multiplicities: Stated number of images (n,), 0 where not stated; None where there are none.
        hydrogens: Why hydrogens without positions are to be expected; empty where they are not.
        notes: What was read otherwise than it stands.
    """

    labels: Sequence[str]
    numbers: np.ndarray
    frac: np.ndarray
    multiplicities: np.ndarray | None
    hydrogens: str
    notes: tuple[str, ...]


def read_sites(columns: Mapping[str, Sequence[str]], elements: frozenset[int]) -> Sites:
    """Sites of the columns of an atom loop, by their names after ``_atom_site_``, texts without quotes.

    Arguments:
        columns: Texts (n) of each column.
        elements: Atomic numbers of the stated formula, for labels that could be read in two ways; may be empty.

    Raises:
        SiteError: A site is no whole atom of an element, or has no coordinates.
    """
    if not {"fract_x", "fract_y", "fract_z"} <= columns.keys():
        raise SiteError("no fractional coordinates of atom sites in the CIF")
    n = len(columns["fract_x"])
    labels = columns.get("label") or columns.get("type_symbol") or []
    types = columns.get("type_symbol") or ["?"] * n
    if len(labels) != n or any(len(column) != n for column in columns.values()):
        raise SiteError("sites whose columns are in different loops, or that have neither label nor type symbol")
    numbers = [
        NUMBERS.get(kind)
        or (element_of_type(kind, label, elements) if kind not in _NULL else element_of_label(label, elements))
        for kind, label in zip(types, labels, strict=True)
    ]
    frac = np.array([_coordinates(columns[f"fract_{axis}"], labels) for axis in "xyz"]).T
    if n and np.abs(frac).max() > FARTHEST:
        far = int(np.abs(frac).max(axis=1).argmax())
        raise SiteError(f"site {labels[far]}: a fractional coordinate of {np.abs(frac[far]).max():.3g}")
    for third in (1 / 3, 2 / 3):
        close = np.abs(frac / third - 1.0) <= 1e-4  # printed digits, not physics
        if close.any():
            frac[close] = third
    _check_occupancies(columns, labels)
    _check_disorder(columns, labels)
    heavy = 1 in numbers and any(_ISOTOPE.match(one) for one in (types if "type_symbol" in columns else labels))
    return Sites(
        labels=labels,
        numbers=np.array(numbers, dtype=np.int64),
        frac=frac,
        multiplicities=_multiplicities(columns),
        hydrogens=_hydrogens(columns, labels, numbers),
        notes=("deuterium or tritium was read as hydrogen",) if heavy else (),
    )


def read_number(text: str) -> float:
    """A number without its standard uncertainty, dimensionless or in its item's unit; NaN where there is none."""
    return gemmi.cif.as_number(text) if len(text) <= 60 else np.nan


@lru_cache(maxsize=4096)
def element_of_type(kind: str, label: str, elements: frozenset[int]) -> int:
    """Atomic number of a type symbol, which may carry a charge or a spin.

    Raises:
        SiteError: It stands for something else than one element.
    """
    text = kind.strip()
    if len(text) > _MAX_NAME:
        raise SiteError(f"site {label[:_MAX_NAME]}: a type symbol of {len(text):,} characters")
    found = _TYPE.fullmatch(text)
    number = _symbol(found[1], elements) if found else 0
    if number:
        return number
    if not _no_atom(text):
        if label.startswith(text):  # a program that writes labels as types
            return element_of_label(text, elements)
        bare = re.fullmatch(r"([A-Z][a-z]?)\d{1,2}", text)  # a charge without its sign, where it is no molecule
        if bare and bare[1] not in _DIATOMIC and _symbol(bare[1], elements):
            return _symbol(bare[1], elements)
    raise SiteError(f"site {label}: {_no_atom(text) or f'unknown element {text}'}")


@lru_cache(maxsize=4096)
def element_of_label(label: str, elements: frozenset[int]) -> int:
    """Atomic number of the symbol that a label such as ``Fe1A`` begins with.

    Raises:
        SiteError: None does, or it could be another.
    """
    if len(label) > _MAX_NAME:
        raise SiteError(f"a site label of {len(label):,} characters")
    letters = re.sub(r"[^A-Za-z].*", "", label, flags=re.DOTALL)
    reason = _no_atom(_WATER.match(label)[0]) if _WATER.match(label) else ""  # type: ignore[index]
    reason = reason or ("" if letters in NUMBERS else _no_atom(letters))
    number = 0 if letters == "T" else _symbol(letters, elements)  # T1 is a tetrahedral site more often than tritium
    if not number and not reason and letters[:1].isupper():
        pair, single = NUMBERS.get(letters[:2], 0), NUMBERS.get(letters[:1], 0)
        if elements:
            number = next((one for one in (pair, single) if one in elements), 0)
        else:
            number = pair or (single if letters[1:].isupper() else 0)
    if reason or not number:
        raise SiteError(f"site {label}: {reason or f'unknown element {letters or label}'}")
    return number


def _symbol(letters: str, elements: frozenset[int]) -> int:
    """Atomic number of a symbol in any case; 0 where it is none, or may as well be a molecule."""
    if letters in NUMBERS:
        return NUMBERS[letters]
    if letters in _HYDROGEN_ISOTOPES:
        return 1
    number = NUMBERS.get(letters.capitalize(), 0) if letters.islower() or letters.isupper() else 0
    certain = number in elements or not (elements or letters.upper() in _MOLECULES)
    return number if certain else 0


def _no_atom(text: str) -> str:
    """The reason why a type is no single atom; empty where nobody knows."""
    plain = re.sub(r"\d*[-+]+\d*$", "", text.strip().upper())
    if _MIXED.search(text):
        return f"{text!r} is more than one element: partial occupancies"
    for one in (plain, plain.rstrip("0123456789")):
        if one in _GROUPS:
            return f"{text!r} is a group with hydrogens that have no positions of their own"
        if one in _VACANCIES:
            return f"{text!r} is a vacancy, no atom"
        if one in _DUMMIES:
            return f"{text!r} is a dummy, no atom"
    return "no element is named" if set(plain) <= set("*?.") else ""


def _coordinates(texts: Sequence[str], labels: Sequence[str]) -> list[float]:
    values = list(map(gemmi.cif.as_number, texts))
    if any(value != value for value in values):
        values = [value if value == value else _by_hand(texts[i], labels[i]) for i, value in enumerate(values)]
    return values


def _by_hand(text: str, label: str) -> float:
    """A coordinate written as a fraction.

    Raises:
        SiteError: It is none.
    """
    if found := _FRACTION.fullmatch(text):
        return int(found[1]) / int(found[2])
    reason = "no coordinates" if text in {"?", "."} else f"{text[:40]!r} is not a finite coordinate"
    raise SiteError(f"site {label}: {reason}")


def _check_occupancies(columns: Mapping[str, Sequence[str]], labels: Sequence[str]) -> None:
    texts = columns.get("occupancy") or ()
    if set(texts) <= {"1", "1.0", "1.00", "1.0000", "?", "."}:
        return
    for text, label in zip(texts, labels, strict=True):
        if text in _NULL:
            continue
        value = read_number(text)
        if value != value:
            raise SiteError(f"site {label}: {text[:40]!r} is no occupancy")
        if value > 1 + WHOLE:
            raise SiteError(f"site {label}: more than one whole atom (occupancy {text})")
        if value < 1 - WHOLE:
            raise SiteError(f"site {label}: partial occupancies ({text})")


def _check_disorder(columns: Mapping[str, Sequence[str]], labels: Sequence[str]) -> None:
    """Refuse alternatives, of which only one can be there, and dummies."""
    groups = columns.get("disorder_group") or ()
    different = {text for text in groups if text not in {"?", "."}}
    if len(different) > 1 or any(text.startswith("-") for text in different):
        k = next(i for i, text in enumerate(groups) if text not in {"?", "."})
        raise SiteError(f"site {labels[k]}: disorder (group {groups[k]}), partial occupancies")
    for text, label in zip(columns.get("calc_flag") or (), labels, strict=False):
        if text.lower() == "dum":
            raise SiteError(f"site {label}: a dummy, no atom")


def _multiplicities(columns: Mapping[str, Sequence[str]]) -> np.ndarray | None:
    texts = columns.get("symmetry_multiplicity") or columns.get("site_symmetry_multiplicity")
    if texts is None or set(texts) <= _NULL:
        return None
    values = [0.0 if text in _NULL else gemmi.cif.as_number(text) for text in texts]
    for value, text in zip(values, texts, strict=True):
        if not (0 <= value < 10_000 and value == int(value)):
            raise SiteError(f"{text[:40]!r} is no multiplicity of a site")
    return np.array(values, dtype=np.int64)


def _hydrogens(columns: Mapping[str, Sequence[str]], labels: Sequence[str], numbers: Sequence[int]) -> str:
    """Why there must be hydrogens that are not listed; empty where nothing says so."""
    counts = zip(columns.get("attached_hydrogens") or (), labels, strict=False)
    if attached := [label for text, label in counts if text not in {"0", "?", "."}]:
        return f"hydrogens attached to {', '.join(attached[:4])} have no positions"
    if 1 in numbers:
        return ""
    groups = [
        label
        for label, z in zip(labels, numbers, strict=True)
        if z in {6, 7, 8} and not label[1:].isdigit() and re.sub(r"[^A-Za-z].*", "", label).upper() in _GROUPS
    ]
    return f"hydrogens of {', '.join(groups[:4])} have no positions" if groups else ""
