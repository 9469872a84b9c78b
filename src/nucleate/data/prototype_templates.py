"""Crystal prototypes as space group, Wyckoff sites and free parameters; initial cells, and expansion into crystals."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib import resources
from itertools import product

import moyopy
import numpy as np
from numpy.typing import NDArray

from nucleate.errors import UserError

_TERM = re.compile(r"([+-]?)(?:(\d+(?:\.\d+)?(?:/\d+)?)?([a-z]\d?)|(\d*\.?\d+(?:/\d+)?))")


@dataclass(frozen=True)
class Site:
    """One Wyckoff orbit: a label that stands for an element, the position's name and its first coordinates.

    Attributes:
        label: Placeholder of the element, such as "A".
        wyckoff: Multiplicity and letter, such as "8c", in the standard setting.
        coordinates: Three expressions such as "1/4", "x", "2x", "x+1/2".
    """

    label: str
    wyckoff: str
    coordinates: tuple[str, str, str]

    @property
    def multiplicity(self) -> int:
        return int(self.wyckoff[:-1])

    def position(self, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Fractional coordinates, shape (3,)."""
        return np.array([evaluate_coordinate(text, parameters) for text in self.coordinates])


@dataclass(frozen=True)
class Template:
    """A crystal prototype in the standard setting of International Tables A.

    The standard setting means unique axis b with cell choice 1, hexagonal axes for rhombohedral groups and
    origin choice 2 where there are two.

    Attributes:
        name: Name of the prototype.
        strukturbericht: Its Strukturbericht symbol, or an empty string.
        space_group: Number 1 to 230.
        sites: The Wyckoff orbits.
        defaults: Typical free parameters; axis ratios are called "b/a" and "c/a".
    """

    name: str
    strukturbericht: str
    space_group: int
    sites: tuple[Site, ...]
    defaults: Mapping[str, float] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Element placeholders in order of first appearance."""
        return tuple(dict.fromkeys(site.label for site in self.sites))

    @property
    def counts(self) -> dict[str, int]:
        """Atoms of each label in the conventional cell."""
        counts = dict.fromkeys(self.labels, 0)
        for site in self.sites:
            counts[site.label] += site.multiplicity
        return counts

    def expand(
        self, numbers: Sequence[int], cell: Sequence[float], parameters: Mapping[str, float] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """The conventional cell with every symmetry-equivalent site.

        Args:
            numbers: Atomic number of each label, in the order of ``labels``.
            cell: Independent lattice parameters in Å and degrees (see ``full_cell``).
            parameters: Free coordinates; those left out are taken from ``defaults``.

        Returns:
            Atomic numbers (n,), fractional coordinates (n, 3) and lattice vectors as rows in Å (3, 3).

        Raises:
            UserError: The elements or parameters do not fit, or an orbit is not as large as its Wyckoff position says.
        """
        labels = self.labels
        if len(numbers) != len(labels):
            raise UserError(f"prototype {self.name}", f"{len(numbers)} elements", f"{len(labels)}")
        element = dict(zip(labels, numbers, strict=True))
        values = {**self.defaults, **(parameters or {})}
        lattice = lattice_vectors(full_cell(self.space_group, cell))
        z: list[int] = []
        orbits: list[NDArray[np.float64]] = []
        for site in self.sites:
            points = orbit(self.space_group, site.position(values), lattice)
            if len(points) != site.multiplicity:
                raise UserError(
                    f"prototype {self.name}, site {site.label} {site.wyckoff}",
                    f"{len(points)} equivalent positions",
                    f"{site.multiplicity}",
                )
            orbits.append(points)
            z.extend([element[site.label]] * len(points))
        return np.array(z, dtype=np.int64), np.concatenate(orbits), lattice


def evaluate_coordinate(text: str, parameters: Mapping[str, float]) -> float:
    """Value of a fractional coordinate such as "1/4", "-x", "2x" or "x+1/2".

    Raises:
        UserError: The text is no such expression or names an unknown parameter.
    """
    total, end = 0.0, 0
    for match in _TERM.finditer(text):
        sign, factor, name, constant = match.groups()
        if match.start() != end or (name is not None and name not in parameters):
            break
        size = float(Fraction(constant)) if name is None else float(Fraction(factor or 1)) * parameters[name]
        total += -size if sign == "-" else size
        end = match.end()
    if not text or end != len(text):
        raise UserError("coordinate", repr(text), f"an expression such as x+1/2 of {sorted(parameters) or 'numbers'}")
    return total


def full_cell(space_group: int, cell: Sequence[float]) -> tuple[float, float, float, float, float, float]:
    """All six lattice parameters (Å, degrees) from the independent ones of the crystal system.

    Cubic: a. Tetragonal, trigonal and hexagonal: a c. Orthorhombic: a b c. Monoclinic: a b c beta.
    Triclinic: a b c alpha beta gamma.
    """
    if space_group >= 195:
        expected = 1
    elif space_group >= 75:
        expected = 2
    elif space_group >= 16:
        expected = 3
    else:
        expected = 4 if space_group >= 3 else 6
    if len(cell) != expected:
        raise UserError("cell", f"{len(cell)} lattice parameters", f"{expected} for space group {space_group}")
    if expected == 6:
        a, b, c, alpha, beta, gamma = cell
        return a, b, c, alpha, beta, gamma
    if expected == 4:
        return cell[0], cell[1], cell[2], 90.0, cell[3], 90.0
    if expected == 3:
        return cell[0], cell[1], cell[2], 90.0, 90.0, 90.0
    c = cell[-1]
    return cell[0], cell[0], c, 90.0, 90.0, 120.0 if 143 <= space_group <= 194 else 90.0


def lattice_vectors(cell: Sequence[float]) -> NDArray[np.float64]:
    """Lattice vectors as rows in Å, shape (3, 3), from a b c (Å) and alpha beta gamma (degrees).

    a lies along x, b in the xy plane.
    """
    a, b, c = cell[:3]
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(cell[3:]))
    sin_gamma = np.sin(np.radians(cell[5]))
    y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    vectors = np.array(
        [
            [a, 0.0, 0.0],
            [b * cos_gamma, b * sin_gamma, 0.0],
            [c * cos_beta, c * y, c * np.sqrt(1.0 - cos_beta**2 - y**2)],
        ]
    )
    vectors[np.abs(vectors) < 1e-12] = 0.0
    return vectors


@cache
def operations(space_group: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations (m, 3, 3) and translations (m, 3) of a space group in the standard setting, centring included."""
    found = moyopy.operations_from_number(space_group, setting=moyopy.Setting.standard())
    return np.array(found.rotations, dtype=float), np.array(found.translations, dtype=float)


def orbit(
    space_group: int, position: NDArray[np.float64], lattice: NDArray[np.float64], tolerance: float = 0.05
) -> NDArray[np.float64]:
    """Distinct images of a fractional position, shape (m, 3), wrapped into [0, 1).

    Images closer than ``tolerance`` (Å) are one site; the first of them is kept.
    """
    rotations, translations = operations(space_group)
    images = (rotations @ position + translations) % 1.0
    images[np.abs(images - 1.0) < 1e-9] = 0.0
    difference = images[:, None] - images[None]
    difference -= np.round(difference)
    same = np.linalg.norm(difference @ lattice, axis=-1) < tolerance
    return images[same.argmax(axis=1) == np.arange(len(images))]


def parse_assignments(text: str) -> dict[str, float]:
    """Values by name (fractional coordinates, axial ratios) from text such as "x=0.305 c/a=0.65"."""
    return {name: float(value) for name, value in (item.split("=") for item in text.split())}


def read_table(name: str) -> Iterator[dict[str, str]]:
    """Rows of one of the bundled literature tables."""
    with (resources.files("nucleate.data") / "literature" / name).open(encoding="utf-8") as file:
        yield from csv.DictReader(file)


@cache
def load_templates() -> dict[str, Template]:
    """All bundled prototypes by name."""
    templates = {}
    for row in read_table("prototypes.csv"):
        sites = []
        for text in row["sites"].split(";"):
            label, wyckoff, x, y, z = text.split()
            sites.append(Site(label, wyckoff, (x, y, z)))
        templates[row["name"]] = Template(
            row["name"],
            row["strukturbericht"],
            int(row["space_group"]),
            tuple(sites),
            parse_assignments(row["defaults"]),
        )
    return templates


def unit_cell(template: Template) -> list[float]:
    """Independent lattice parameters with a = 1 and the prototype's typical axis ratios (1 where it has none)."""
    ratios = [template.defaults.get(name, 1.0) for name in ("b/a", "c/a")]
    if template.space_group >= 195:
        return [1.0]
    if template.space_group >= 75:
        return [1.0, ratios[1]]
    if template.space_group >= 16:
        return [1.0, *ratios]
    raise UserError(f"prototype {template.name}", "a monoclinic or triclinic cell", "an orthogonal or hexagonal one")


def touching_scale(
    numbers: NDArray[np.int64],
    frac: NDArray[np.float64],
    lattice: NDArray[np.float64],
    radii: Mapping[int, float],
    overlap: float = 0.8,
) -> float:
    """Factor on the lattice at which the tightest cation and anion touch.

    Anions may overlap a little; cations do not repel here.

    Args:
        numbers: Atomic numbers (n,).
        frac: Fractional coordinates (n, 3).
        lattice: Lattice vectors as rows (3, 3), in any unit of length.
        radii: Ionic radius of each element in Å, negative for anions.
        overlap: Smallest distance of two anions over the sum of their radii.
    """
    shifts = np.array(list(product((-1, 0, 1), repeat=3)), dtype=float)
    distance = np.linalg.norm((frac[:, None, None] - frac[None, :, None] + shifts) @ lattice, axis=-1)
    distance[distance < 1e-9] = np.inf
    nearest = distance.min(axis=-1)
    size = np.array([radii[int(z)] for z in numbers])
    touching = np.abs(size)[:, None] + np.abs(size)[None]
    both_anions = (size[:, None] < 0) & (size[None] < 0)
    needed = np.where(both_anions, overlap, 1.0) * touching / nearest
    needed[(size[:, None] > 0) & (size[None] > 0)] = 0.0
    return float(needed.max())
