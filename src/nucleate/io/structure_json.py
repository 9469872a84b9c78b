"""Structures in JSON: pymatgen's ``Structure``, entries and documents around it, and OPTIMADE's structures.

Nothing is built by the names of modules or classes that a file could hold: the values are read as they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from nucleate.crystal.elements import NUMBERS

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Properties: TypeAlias = "dict[str, str | int | float]"

_WHOLE = 1e-3
_ISOTOPES = {"D": 1, "T": 1}
_STRUCTURAL = frozenset(("structure", "lattice", "sites", "id", "material_id", "entry_id"))


class SitesError(ValueError):
    """A structure that is no crystal of whole atoms; the message is the reason."""


@dataclass(frozen=True)
class Sites:
    """Atomic numbers (n), fractional coordinates (n, 3) and lattice rows (3, 3) in Å, as lists."""

    numbers: list[int]
    frac: list[list[float]]
    lattice: list[list[float]]


Found: TypeAlias = "tuple[str | None, Callable[[], Sites], Properties]"


def structures_of(document: Json) -> Iterator[Found]:
    """Name, sites and properties of each structure of a document, as they stand in it, in its units (Å, eV)."""
    if isinstance(document, list):
        for item in document:
            if isinstance(item, dict):
                yield from _of_object(item, None)
    elif isinstance(document, dict):
        data = document.get("data")
        inside: Json = [data] if isinstance(data, dict) else data
        if isinstance(inside, list) and any(_is_optimade(item) or _holds(item) for item in inside):
            yield from structures_of(inside)
        elif _is_optimade(document) or _holds(document):
            yield from _of_object(document, None)
        else:
            for name, item in document.items():
                if isinstance(item, dict):
                    yield from _of_object(item, name)


def _holds(item: Json) -> bool:
    return isinstance(item, dict) and (_is_pymatgen(item) or _is_pymatgen(item.get("structure")))


def _is_pymatgen(item: Json) -> bool:
    return isinstance(item, dict) and isinstance(item.get("sites"), list) and ("lattice" in item or "@class" in item)


def _is_optimade(item: Json) -> bool:
    return isinstance(item, dict) and item.get("type") == "structures" and isinstance(item.get("attributes"), dict)


def _of_object(item: dict[str, Json], name: str | None) -> Iterator[Found]:
    if _is_optimade(item):
        attributes = item["attributes"]
        assert isinstance(attributes, dict)  # noqa: S101 - as _is_optimade says
        identifier = item.get("id")
        known = {key: value for key, value in attributes.items() if key not in _OPTIMADE}
        yield _name(identifier) or name, lambda: _optimade(attributes), _scalars(known)
    elif _is_pymatgen(item):
        yield name, lambda: _pymatgen(item), _scalars({"charge": item.get("charge") or None})
    elif _is_pymatgen(inner := item.get("structure")):
        assert isinstance(inner, dict)  # noqa: S101 - as _is_pymatgen says
        structure = inner
        identifier = next((item[key] for key in ("material_id", "id", "entry_id") if item.get(key) is not None), None)
        data = item.get("data")
        known = {**(data if isinstance(data, dict) else {}), **item}
        known = {key: value for key, value in known.items() if key not in _STRUCTURAL}
        yield _name(identifier) or name, lambda: _pymatgen(structure), _scalars(known)


def _name(value: Json) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _scalars(values: Mapping[str, Json]) -> Properties:
    return {
        str(key): value
        for key, value in values.items()
        if isinstance(value, str | int | float) and not str(key).startswith("@")
    }


def _pymatgen(structure: Mapping[str, Json]) -> Sites:
    """Sites of pymatgen's dictionary of a structure.

    Raises:
        SitesError: It is a molecule, or a site is no whole atom.
    """
    lattice = structure.get("lattice")
    if not isinstance(lattice, dict):
        raise SitesError("no lattice: a molecule, no crystal")
    periodic = lattice.get("pbc", [True])
    if not (isinstance(periodic, list) and all(periodic)):
        raise SitesError("no cell that is periodic in three directions")
    matrix = [_vector(row, "the lattice") for row in _list(lattice.get("matrix"), "the matrix of the lattice")]
    if len(matrix) != 3:
        raise SitesError("a lattice that has not three vectors")
    numbers: list[int] = []
    frac: list[list[float]] = []
    for k, site in enumerate(_list(structure.get("sites"), "sites")):
        if not isinstance(site, dict):
            raise SitesError(f"site {k + 1} is no object")
        frac.append(_vector(site.get("abc"), f"site {k + 1}"))
        numbers.append(_species(site.get("species"), k))
    return Sites(numbers, frac, matrix)


def _species(species: Json, k: int) -> int:
    """Atomic number of the one species of site k.

    Raises:
        SitesError: There are several, or it is no whole atom of an element.
    """
    kinds = _list(species, f"species of site {k + 1}")
    if len(kinds) != 1 or not isinstance(kinds[0], dict):
        raise SitesError(f"site {k + 1}: partial occupancies ({len(kinds)} species)")
    share = kinds[0].get("occu", 1)
    if not isinstance(share, int | float) or abs(share - 1) > _WHOLE:
        raise SitesError(f"site {k + 1}: partial occupancies ({str(share)[:20]})")
    return _element(kinds[0].get("element"), k)


def _element(symbol: Json, k: int) -> int:
    number = NUMBERS.get(symbol, _ISOTOPES.get(symbol, 0)) if isinstance(symbol, str) else 0
    if not number:
        raise SitesError(f"site {k + 1}: unknown element {str(symbol)[:20]}")
    return number


_OPTIMADE = frozenset(
    "lattice_vectors cartesian_site_positions species_at_sites species dimension_types nsites nperiodic_dimensions "
    "structure_features elements elements_ratios assemblies id type".split()
)


def _optimade(attributes: Mapping[str, Json]) -> Sites:
    """Sites of OPTIMADE's attributes of a structure.

    Raises:
        SitesError: It is not periodic in three directions, incomplete, or a site is no whole atom.
    """
    if attributes.get("nperiodic_dimensions", 3) != 3 or attributes.get("dimension_types", [1, 1, 1]) != [1, 1, 1]:
        raise SitesError("no cell that is periodic in three directions")
    features = attributes.get("structure_features") or []
    if isinstance(features, list) and features:
        raise SitesError(f"{', '.join(map(str, features))[:60]}: not a complete list of whole atoms")
    matrix = [_vector(row, "the lattice") for row in _list(attributes.get("lattice_vectors"), "lattice_vectors")]
    positions = _list(attributes.get("cartesian_site_positions"), "cartesian_site_positions")
    names = _list(attributes.get("species_at_sites"), "species_at_sites")
    if len(matrix) != 3 or len(names) != len(positions) or attributes.get("nsites", len(names)) != len(names):
        raise SitesError("counts of lattice vectors, positions and species that do not fit together")
    kinds: dict[str, int] = {}
    for one in _list(attributes.get("species"), "species"):
        if isinstance(one, dict):
            kinds[str(one.get("name"))] = _optimade_species(one)
    numbers = []
    for k, name in enumerate(names):
        number = kinds.get(str(name), 0)
        if number < 1:
            raise SitesError(f"site {k + 1}: {str(name)[:20]} is no whole atom of one element")
        numbers.append(number)
    cart = [_vector(row, f"site {k + 1}") for k, row in enumerate(positions)]
    return Sites(numbers, _fractional(cart, matrix), matrix)


def _optimade_species(species: Mapping[str, Json]) -> int:
    """Atomic number; 0 where it is a mixture, a vacancy, no element or has atoms attached."""
    symbols, shares = species.get("chemical_symbols"), species.get("concentration", [1])
    if species.get("attached") or not (isinstance(symbols, list) and isinstance(shares, list)):
        return 0
    whole = len(symbols) == len(shares) == 1 and isinstance(shares[0], int | float) and abs(shares[0] - 1) <= _WHOLE
    return NUMBERS.get(str(symbols[0]), 0) if whole else 0


def _fractional(cart: list[list[float]], matrix: list[list[float]]) -> list[list[float]]:
    """Coordinates (n, 3) in units of lattice rows from those in Å.

    Raises:
        SitesError: The cell has no volume.
    """
    a, b, c = matrix
    normals = [_cross(b, c), _cross(c, a), _cross(a, b)]
    volume = sum(x * y for x, y in zip(a, normals[0], strict=True))
    if not abs(volume) > 1e-12:
        raise SitesError("a cell without volume")
    return [[sum(x * y for x, y in zip(row, normal, strict=True)) / volume for normal in normals] for row in cart]


def _cross(u: list[float], v: list[float]) -> list[float]:
    return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]


def _list(value: Json, what: str) -> list[Json]:
    if not isinstance(value, list):
        raise SitesError(f"no {what}")
    return value


def _vector(value: Json, what: str) -> list[float]:
    """Three finite numbers.

    Raises:
        SitesError: They are none.
    """
    if isinstance(value, list) and len(value) == 3:
        numbers = [float(x) for x in value if isinstance(x, int | float) and not isinstance(x, bool) and abs(x) < 1e300]
        if len(numbers) == 3 and all(map(isfinite, numbers)):
            return numbers
    raise SitesError(f"{str(value)[:40]!r} where three numbers of {what} are expected")
