"""The invertible real-space crystallographic representation (IRCR): a crystal as one matrix, and back.

Its lowest rows hold properties of elements. Both papers name six: atomic number, electronegativity, period, group,
atomic fraction, and either the number of valence electrons (Mal, Mishra & Sen, DiffCrysGen, Table I) or of d electrons
(Mal, Seal & Sen, MagGen). Its other rows depend on the order of sites, which the crystal does not: both orders here
keep the sites of an element together, so that the columns stand one after the other in the occupancy rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.lattice import matrix_to_parameters, parameters_to_matrix
from nucleate.diffusion.noise import Noise
from nucleate.errors import UserError
from nucleate.symmetry.templates import TICKS

LARGEST_NUMBER = 94

_NOBLE = (2, 10, 18, 36, 54, 86)

PERIOD: tuple[int, ...] = (0, *(1 + sum(z > noble for noble in _NOBLE) for z in range(1, LARGEST_NUMBER + 1)))


def _group(z: int) -> int:
    """Column of the periodic table; lanthanides and actinides count as group 3."""
    period = PERIOD[z]
    place = z - (0, *_NOBLE)[period - 1]
    length = (2, 8, 8, 18, 18, 32, 32)[period - 1]
    if place == length:
        return 18
    if place <= 2:
        return place
    if length == 8:
        return place + 10
    if length == 18:
        return place
    return 3 if place <= 17 else place - 14


GROUP: tuple[int, ...] = (0, *(_group(z) for z in range(1, LARGEST_NUMBER + 1)))

VALENCE: tuple[int, ...] = tuple(0 if group == 18 else group if group <= 12 else group - 10 for group in GROUP)
"""Electrons outside the noble-gas core, filled d shells of the p block apart; 0 for noble gases."""

# Electrons in d orbitals outside the noble-gas core of a neutral atom in its ground state.
_FILLING = {
    4: (1, 2, 3, 5, 5, 6, 7, 8, 10, 10),
    5: (1, 2, 4, 5, 5, 7, 8, 10, 10, 10),
}
_EARLY = {57: 1, 58: 1, 64: 1, 71: 1, 72: 2, 73: 3, 74: 4, 75: 5, 76: 6, 77: 7, 78: 9, 79: 10, 80: 10,
          89: 1, 90: 2, 91: 1, 92: 1, 93: 1}  # fmt: skip


def _d_electrons(z: int) -> int:
    period, group = PERIOD[z], GROUP[z]
    if period in _FILLING:
        return 0 if group in (1, 2, 18) else 10 if group > 12 else _FILLING[period][group - 3]
    return 10 if 81 <= z <= 85 else _EARLY.get(z, 0)


D_ELECTRONS: tuple[int, ...] = (0, *(_d_electrons(z) for z in range(1, LARGEST_NUMBER + 1)))
"""0 for noble gases, whose d electrons are core."""

# Pauling's scale, 0 for He, Ne and Ar; Pm, Eu, Tb and Yb are interpolated, as in MagGen's public table.
ELECTRONEGATIVITY: tuple[float, ...] = (
    0.0,
    2.20, 0.00, 0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98, 0.00, 0.93, 1.31, 1.61, 1.90, 2.19, 2.58,
    3.16, 0.00, 0.82, 1.00, 1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65, 1.81, 2.01,
    2.18, 2.55, 2.96, 3.00, 0.82, 0.95, 1.22, 1.33, 1.60, 2.16, 1.90, 2.20, 2.28, 2.20, 1.93, 1.69,
    1.78, 1.96, 2.05, 2.10, 2.66, 2.60, 0.79, 0.89, 1.10, 1.12, 1.13, 1.14, 1.13, 1.17, 1.20, 1.20,
    1.10, 1.22, 1.23, 1.24, 1.25, 1.10, 1.27, 1.30, 1.50, 2.36, 1.90, 2.20, 2.20, 2.28, 2.54, 2.00,
    1.62, 2.33, 2.02, 2.00, 2.20, 2.20, 0.70, 0.90, 1.10, 1.30, 1.50, 1.38, 1.36, 1.28,
)  # fmt: skip


def canonical(crystals: Crystals) -> Crystals:
    """Sites by electronegativity, then atomic number, then x, y and z; the same for any order they came in."""
    ticks = (crystals.frac * TICKS).round().long() % TICKS
    keys = [ticks[..., axis] for axis in (2, 1, 0)]
    return reordered(crystals, _sorted_by([*keys, crystals.numbers, _rank(crystals.numbers)], crystals.mask))


def shuffled(crystals: Crystals, noise: Noise) -> Crystals:
    """Elements in random order, and at random the sites of each."""
    size, width = crystals.numbers.shape
    element = noise.uniform("order/element", (size, len(ELECTRONEGATIVITY))).gather(1, crystals.numbers)
    site = noise.uniform("order/site", (size, width))
    return reordered(crystals, _sorted_by([site, element], crystals.mask))


def reordered(crystals: Crystals, order: Tensor) -> Crystals:
    """The sites in an order (B, N), a permutation of each row that leaves padding behind."""

    def moved(value: Tensor) -> Tensor:
        index = order.reshape(*order.shape, *([1] * (value.dim() - 2))).expand_as(value)
        return value.gather(1, index)

    return replace(crystals, numbers=moved(crystals.numbers), frac=moved(crystals.frac))


def element_order(numbers: list[int]) -> list[int]:
    """Elements in the order in which :func:`canonical` has them."""
    return sorted(numbers, key=lambda z: (ELECTRONEGATIVITY[z], z))


def _rank(numbers: Tensor) -> Tensor:
    """Place of each element among all by electronegativity."""
    table = torch.tensor(ELECTRONEGATIVITY, dtype=torch.float64, device=numbers.device)
    return table[numbers]


def _sorted_by(keys: list[Tensor], mask: Tensor) -> Tensor:
    """Order by keys (B, N), the last first; padding comes last."""
    order = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    for key in [*keys, (~mask).to(torch.int8)]:
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return order


PRESENT = 0.5
"""Entries of E and O below this are read as zero."""

_TABLES: dict[str, tuple[float, ...]] = {
    "number": tuple(range(LARGEST_NUMBER + 1)),
    "electronegativity": ELECTRONEGATIVITY,
    "period": PERIOD,
    "group": GROUP,
    "valence": VALENCE,
    "d_electrons": D_ELECTRONS,
    "zero": (0,) * (LARGEST_NUMBER + 1),
}
PROPERTIES = (*_TABLES, "fraction")
"""Names that a property row can have; ``zero`` rows only fill a matrix up to a length that a network wants."""

DIFFCRYSGEN_ROWS = ("number", "electronegativity", "period", "group", "valence", "fraction")
"""DiffCrysGen, Table I."""
MAGGEN_ROWS = ("number", "electronegativity", "period", "group", "fraction", "d_electrons")
"""MagGen, section on the representation."""


@dataclass(frozen=True)
class IRCR:
    """The matrix for crystals of at most k elements and n sites.

    Attributes:
        k: Most elements; the matrix has max(k, 3) columns.
        n: Most sites.
        rows: Names of the property rows, of ``PROPERTIES``.

    Raises:
        UserError: k or n is below 1, or a property is unknown.
    """

    k: int = 3
    n: int = 20
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.k < 1 or self.n < 1:
            raise UserError("matrix of crystals", f"{self.k} elements and {self.n} sites", "at least one of each")
        unknown = sorted(set(self.rows) - set(PROPERTIES))
        if unknown:
            raise UserError("property rows", unknown[0], "some of " + ", ".join(PROPERTIES))

    @property
    def width(self) -> int:
        """Columns; coordinates take three whatever the number of elements."""
        return max(self.k, 3)

    @property
    def length(self) -> int:
        """Rows."""
        return LARGEST_NUMBER + 2 + 2 * self.n + len(self.rows)

    @property
    def blocks(self) -> dict[str, slice]:
        """Rows of each block by its letter: E, L, C, O, P."""
        sizes = {"E": LARGEST_NUMBER, "L": 2, "C": self.n, "O": self.n, "P": len(self.rows)}
        found, start = {}, 0
        for letter, size in sizes.items():
            found[letter] = slice(start, start + size)
            start += size
        return found

    def fits(self, crystals: Crystals) -> Tensor:
        """Which crystals the matrix can hold, bool, shape (B,)."""
        few = (_first_sites(crystals).sum(1) <= self.k) & (crystals.n_atoms <= self.n) & (crystals.n_atoms > 0)
        return few & (crystals.numbers <= LARGEST_NUMBER).all(1)

    def held(self, crystals: Crystals) -> Tensor:
        """Which training crystals the matrix can hold, bool, shape (B,).

        Raises:
            UserError: It can hold none of them.
        """
        fits = self.fits(crystals)
        if not fits.any():
            found = f"{len(crystals)} crystals, none of which the matrix holds"
            expected = f"crystals of at most {self.k} elements and {self.n} sites"
            raise UserError("training data", found, expected)
        return fits

    def refusals(self, crystals: Crystals) -> list[str]:
        """For each crystal why the matrix cannot hold it, such as "4 elements, at most 3"; empty where it can."""
        elements = _first_sites(crystals).sum(1).tolist()
        largest = F.pad(crystals.numbers, (0, 1)).amax(1).tolist()
        return [
            "no sites"
            if n == 0
            else f"{n} sites, at most {self.n}"
            if n > self.n
            else f"{found} elements, at most {self.k}"
            if found > self.k
            else f"atomic number {z}, at most {LARGEST_NUMBER}"
            if z > LARGEST_NUMBER
            else ""
            for n, found, z in zip(crystals.n_atoms.tolist(), elements, largest, strict=True)
        ]

    def encode(self, crystals: Crystals) -> Tensor:
        """Matrices (B, length, width) in the precision of the coordinates.

        Raises:
            UserError: A crystal does not fit; :meth:`fits` and :meth:`refusals` tell beforehand.
        """
        if not self.fits(crystals).all():
            i, reason = next((i, text) for i, text in enumerate(self.refusals(crystals)) if text)
            raise UserError(f"crystal {i + 1} of {len(crystals)}", reason, "crystals that the matrix holds")
        crystals = crystals[:].padded(self.n)  # trimmed to its largest crystal first
        matrix = crystals.frac.new_zeros(len(crystals), self.length, self.width)
        blocks = self.blocks
        column, elements = self._columns(crystals)
        occupied = F.one_hot(column + 1, self.k + 1)[..., 1:].to(matrix.dtype)
        matrix[:, blocks["O"], : self.k] = occupied
        matrix[:, blocks["C"], :3] = torch.where(crystals.mask[..., None], wrap(crystals.frac), 0.0)
        matrix[:, blocks["L"], :3] = torch.stack(matrix_to_parameters(crystals.lattice), 1)
        matrix[:, blocks["E"], : self.k] = F.one_hot(elements, LARGEST_NUMBER + 1)[..., 1:].mT.to(matrix.dtype)
        for row, name in zip(range(self.length)[blocks["P"]], self.rows, strict=True):
            if name == "fraction":
                matrix[:, row, : self.k] = occupied.sum(1) / crystals.n_atoms[:, None]
            else:
                matrix[:, row, : self.k] = torch.tensor(_TABLES[name], dtype=matrix.dtype).to(elements.device)[elements]
        return matrix

    def decode(self, matrix: Tensor, allowed: Tensor | None = None) -> Crystals:
        """Crystals of matrices (B, length, width) as a network answers them.

        A column is the element of its largest entry in E, empty where none reaches ``PRESENT``; a site belongs to
        the column of its largest entry in O, and is left out where none reaches it or the column is empty. Columns
        of the same element merge. Coordinates are wrapped; lengths and angles are taken as they are, so that
        a cell may be impossible (not finite, or flat) and a crystal may have no sites.

        Arguments:
            matrix: In Å, degrees and fractions; properties are not looked at.
            allowed: Elements that a column may be, bool, shape (B, 94) or (94,); any by default.
        """
        blocks = self.blocks
        numbers = self.numbers(matrix, allowed)
        order = (numbers == 0).to(torch.int8).argsort(dim=1, stable=True)
        n_atoms = (numbers > 0).sum(1)
        most = int(n_atoms.max()) if len(n_atoms) else 0
        numbers = numbers.gather(1, order)[:, :most]
        frac = matrix[:, blocks["C"], :3].gather(1, order[..., None].expand(-1, -1, 3))[:, :most]
        lengths, angles = matrix[:, blocks["L"], :3].unbind(1)
        frac = torch.where((numbers > 0)[..., None], wrap(frac), 0.0)
        return Crystals(numbers, frac, parameters_to_matrix(lengths, angles), n_atoms)

    def numbers(self, matrix: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Atomic number of each row of sites, 0 where it is empty, shape (B, n); see :meth:`decode`."""
        species = matrix[:, self.blocks["E"], : self.k]
        if allowed is not None:
            species = torch.where(allowed.expand(len(matrix), -1)[..., None], species, -torch.inf)
        score, element = species.max(1)
        element = torch.where(score >= PRESENT, element + 1, 0)
        score, column = matrix[:, self.blocks["O"], : self.k].max(2)
        return torch.where(score >= PRESENT, element.gather(1, column), 0)

    def _columns(self, crystals: Crystals) -> tuple[Tensor, Tensor]:
        """Column of each site (B, N), -1 at padding, and atomic number of each column (B, k), 0 where empty."""
        numbers, first = crystals.numbers, _first_sites(crystals)
        same = numbers[:, :, None] == numbers[:, None, :]
        column = (first.cumsum(1) - 1).gather(1, same.to(torch.int8).argmax(2))
        column = torch.where(crystals.mask, column, -1)
        elements = numbers.new_zeros(len(numbers), self.k + 1)
        elements.scatter_(1, torch.where(first, column, self.k), numbers)  # the last is a place for all the others
        return column, elements[:, : self.k]


def _first_sites(crystals: Crystals) -> Tensor:
    """True on the first site of each element, shape (B, N)."""
    same = crystals.numbers[:, :, None] == crystals.numbers[:, None, :]
    earlier = torch.ones(same.shape[1:], dtype=torch.bool, device=same.device).tril(-1)
    return crystals.mask & ~(same & earlier).any(2)


class MatrixScaling(nn.Module):
    """A linear map of each row, or each entry, of matrices (B, rows, columns) to a span, stored with a model's weights.

    Arguments:
        shape: Rows and columns of a matrix.
        span: Where the smallest and the largest value of the training data go.
        over: "row" has one scale for all columns of a row, as both papers do, so that a, b and c share theirs;
            "entry" has one for each entry.

    Attributes:
        low, high: Smallest and largest value of the training data, float64, row by row in one vector, since a model's
            folder keeps the precision of vectors alone.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self, shape: tuple[int, int], span: tuple[float, float] = (-1.0, 1.0), over: Literal["row", "entry"] = "row"
    ) -> None:
        super().__init__()
        self.span, self.over = span, over
        self._size = (shape[0], 1 if over == "row" else shape[1])
        count = self._size[0] * self._size[1]
        self.register_buffer("low", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("high", torch.ones(count, dtype=torch.float64))

    def fit(self, matrix: Tensor) -> None:
        """Take the scale from training matrices (B, rows, columns)."""
        axes = (0, 2) if self.over == "row" else (0,)
        self.low.copy_(matrix.amin(axes).flatten())
        self.high.copy_(matrix.amax(axes).flatten())

    def fix(self, rows: slice, low: float, high: float) -> None:
        """Give rows a known range in their unit (Å, ...), so that values no training crystal has can be encoded."""
        self.low.view(self._size)[rows] = low
        self.high.view(self._size)[rows] = high

    def forward(self, matrix: Tensor) -> Tensor:
        """Scaled matrices (B, rows, columns); a row without variation goes to the lower end."""
        low, high = self._ends(matrix)
        width = torch.where(high > low, high - low, 1.0)
        return self.span[0] + (matrix - low) / width * (self.span[1] - self.span[0])

    def inverse(self, scaled: Tensor) -> Tensor:
        """Matrices (B, rows, columns) of scaled ones; a row without variation takes its one value."""
        low, high = self._ends(scaled)
        return low + (scaled - self.span[0]) / (self.span[1] - self.span[0]) * (high - low)

    def _ends(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.low.to(like.dtype).reshape(self._size), self.high.to(like.dtype).reshape(self._size)
