"""Crystals and templates for families over the matrix of a crystal: whole matrices moved onto templates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.lattice import matrix_to_parameters, parameters_to_matrix
from nucleate.representations.ircr import ELECTRONEGATIVITY, IRCR, canonical
from nucleate.symmetry.orbits import SiteOrbits
from nucleate.symmetry.space_group import primitive_cells
from nucleate.symmetry.templates import OrbitTemplates
from nucleate.training.batch import TrainingBatch

Cells = Literal["reduced", "standard"]
"""As they come, or primitive standard cells, refined to the space group."""
Order = Literal["given", "canonical", "shuffled"]
"""Order of the sites: as they come, or canonical from the origins of their templates; what is shuffled in training is
canonical elsewhere."""


@dataclass(frozen=True)
class MatrixBatch(TrainingBatch):
    """Training crystals that a matrix can hold.

    Attributes:
        template: Row of each crystal's template, -1 for none, shape (B,).
    """

    template: Tensor

    @override
    def __getitem__(self, rows: Tensor) -> Self:
        return replace(super().__getitem__(rows), template=self.template[rows])

    @override
    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        return replace(super().to(device, dtype), template=self.template.to(device))


def usable(
    batch: TrainingBatch, ircr: IRCR, cells: Cells, order: Order, templates: OrbitTemplates | None = None
) -> MatrixBatch:
    """The crystals that the matrix can hold, in cells and order of sites as a model wants them.

    Arguments:
        batch: Crystals of any kind.
        ircr: The matrix.
        cells: See there.
        order: See there.
        templates: Take those of the crystals, as :func:`in_template_order` does; not where the order is given.
    """
    batch = batch[ircr.fits(batch.crystals)]
    crystals = batch.crystals
    if cells == "standard" and len(crystals):
        crystals = primitive_cells(crystals)
    crystals, template = ordered(crystals, order, templates)
    return MatrixBatch(crystals, batch.labels, template)


def ordered(crystals: Crystals, order: Order, templates: OrbitTemplates | None = None) -> tuple[Crystals, Tensor]:
    """Crystals with their sites in an order, and the row of each one's template, -1 for none; see :func:`usable`."""
    if order == "given":
        return crystals, torch.full((len(crystals),), -1)
    return in_template_order(crystals, templates_by_column() if templates is None else templates)


_DECIMALS = 9
"""Coordinates are rounded to, so that a zero with an error does not become a one."""
_LENGTHS, _ANGLES = (1.0, 200.0), (10.0, 170.0)
"""Between which a cell is held while its symmetry is averaged; early answers of a network may be no cell at all."""


def templates_by_column() -> OrbitTemplates:
    """Templates, still none, whose sites stand in canonical order, their classes in that of the matrix's columns."""
    return OrbitTemplates(ELECTRONEGATIVITY)


def in_template_order(crystals: Crystals, templates: OrbitTemplates) -> tuple[Crystals, Tensor]:
    """Crystals in the canonical order of sites from the origins of the templates that are taken from them.

    Coordinates are made exact. A crystal without a template keeps its own.

    Returns:
        The crystals, and the row of each one's template, -1 for none, shape (B,).
    """
    plain = canonical(crystals.to("cpu", torch.float64))
    found = templates.fit(plain)
    there = found.template >= 0
    numbers = torch.where(there[:, None], found.crystals.numbers, plain.numbers)
    frac = torch.where(there[:, None, None], found.ideal, plain.frac)
    return replace(found.crystals, numbers=numbers, frac=_rounded(frac)), found.template


@dataclass(frozen=True)
class MatrixTemplates:
    """Sites that templates tie together in the matrices of B crystals.

    Attributes:
        ircr: The representation, of at most n sites and k elements.
        orbits: Of the sites, in double precision, shape (B, n).
        classes: Column of each site, -1 where there is none, shape (B, n).
    """

    ircr: IRCR
    orbits: SiteOrbits
    classes: Tensor

    @classmethod
    def of(cls, ircr: IRCR, templates: OrbitTemplates, which: Tensor) -> MatrixTemplates:
        """Those of the templates ``which`` (B,)."""
        orbits, classes = templates.rows(which, torch.float64)
        return cls(ircr, orbits.padded(ircr.n), F.pad(classes, (0, ircr.n - classes.shape[1]), value=-1))

    def projected(self, matrix: Tensor) -> Tensor:
        """Matrices (B, rows, columns) in Å, degrees and fractions with the cell and coordinates that keep to the
        templates and lie nearest; all else is as it was.
        """
        found, blocks = matrix.clone(), self.ircr.blocks
        sites = _rounded(self.orbits.nearest(matrix[:, blocks["C"], :3]))
        found[:, blocks["C"], :3] = torch.where((self.classes >= 0)[..., None], sites, 0.0)
        lengths, angles = matrix[:, blocks["L"], :3].unbind(1)
        cell = parameters_to_matrix(lengths.clamp(*_LENGTHS), angles.clamp(*_ANGLES))
        vectors, fault = torch.linalg.cholesky_ex(self.orbits.metrics(cell))
        sound = (fault == 0) & vectors.isfinite().flatten(1).all(1)
        vectors = torch.where(sound[:, None, None], vectors, torch.eye(3).to(vectors))
        averaged = torch.stack(matrix_to_parameters(vectors), 1)
        found[:, blocks["L"], :3] = torch.where(sound[:, None, None], averaged, matrix[:, blocks["L"], :3])
        return found

    def occupancy(self) -> Tensor:
        """The rows O that the templates ask for, shape (B, n, k)."""
        return F.one_hot(self.classes + 1, self.ircr.k + 1)[..., 1:].double()

    def kept(self, numbers: Tensor) -> Tensor:
        """Which crystals have sites where their template has them, and one element on each orbit; bool, (B,).

        Arguments:
            numbers: Atomic number of each row, 0 where empty, shape (B, n).
        """
        representative = numbers.gather(1, self.orbits.first)
        return (((numbers > 0) == (self.classes >= 0)) & (numbers == representative)).all(1)


def _rounded(frac: Tensor) -> Tensor:
    return wrap(frac.round(decimals=_DECIMALS))
