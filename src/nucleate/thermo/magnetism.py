"""Saturation magnetisation from site moments, and the distinct collinear magnetic orderings of a crystal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import minimum_image
from nucleate.errors import UserError
from nucleate.io.files import write_structures
from nucleate.io.writing import write_whole
from nucleate.potentials.potential import Potential
from nucleate.symmetry.space_group import search

VACUUM_PERMEABILITY = 1.25663706212e-6
"""N/A², CODATA 2018."""
BOHR_MAGNETON = 9.2740100783e-24
"""J/T, CODATA 2018."""
TESLA = VACUUM_PERMEABILITY * BOHR_MAGNETON * 1e30
"""µ₀M in T of 1 µB/Å³: 11.654."""
SMALLEST = 0.1
"""µB; a site with less counts as not magnetic where a choice has to be made."""


def saturation_magnetization(crystals: Crystals, moments: Tensor, smallest: float = 0.0) -> Tensor:
    """µ₀M in T of the ferromagnetic alignment, shape (B,), float64.

    Arguments:
        crystals: B crystals of at most N sites.
        moments: Moments of their sites in µB, shape (B, N); only their sizes count.
        smallest: Moments below this are left out.

    Returns:
        NaN where the moment of a site is unknown, or the cell has no volume.
    """
    sizes = moments.double().abs()
    sizes = torch.where(crystals.mask & ~(sizes < smallest), sizes, 0.0)
    volume = crystals.volume.double()
    return torch.where(volume > 0, TESLA * sizes.sum(1) / volume, math.nan)


def potential_magnetization(crystals: Crystals, potential: Potential) -> Tensor:
    """µ₀M in T from a potential's moments, shape (B,), float64; NaN where it knows none.

    Raises:
        UserError: An element is unknown to the potential.
    """
    return saturation_magnetization(crystals, potential.evaluate(crystals).magmoms)


SYMPREC = 0.01
"""Å; orderings of a crystal that is nearly symmetric are those of the crystal as it is."""
MOST_MAGNETIC = 12
"""Magnetic sites of a supercell; its patterns number two to their power."""


@dataclass(frozen=True)
class Ordering:
    """One ordering.

    Attributes:
        crystal: The cell that it repeats in, a batch of one, sites sorted by element.
        moments: Of its sites in µB, with signs, shape (n,).
        cells: Primitive cells in it.
        kind: "ferromagnetic", "antiferromagnetic" (an operation maps it onto its reverse) or "ferrimagnetic".
        degeneracy: Patterns of this supercell that are equivalent to it.
    """

    crystal: Crystals
    moments: Tensor
    cells: int
    kind: str
    degeneracy: int

    @property
    def magnetization(self) -> float:
        """µ₀M in T."""
        return TESLA * abs(float(self.moments.sum())) / float(self.crystal.volume)


@dataclass(frozen=True)
class Orderings:
    """Orderings found for one crystal.

    Attributes:
        found: Smallest cells first; in each, the ferromagnetic one comes first.
        skipped: Supercells that were left out since they hold more than ``MOST_MAGNETIC`` magnetic sites.
    """

    found: tuple[Ordering, ...]
    skipped: int


def magnetic_orderings(
    crystal: Crystals, moments: Tensor, cells: int = 2, smallest: float = SMALLEST, symprec: float = SYMPREC
) -> Orderings:
    """The orderings of one crystal in cells of up to ``cells`` primitive ones.

    Arguments:
        crystal: A batch of one.
        moments: Sizes of the moments of its sites in µB, shape (n,) or (1, N); symmetry makes them equal on
            equivalent sites.
        cells: Primitive cells in the largest supercell.
        smallest: Sites with less are not magnetic.
        symprec: Tolerance of the symmetry in Å.

    Raises:
        UserError: There is not one crystal, its symmetry cannot be found, or no site is magnetic.
    """
    if len(crystal) != 1:
        raise UserError("magnetic orderings", f"{len(crystal)} crystals", "one")
    if cells < 1:
        raise UserError("magnetic orderings", f"{cells} cells", "at least one")
    parent, sizes, operations = _primitive(crystal.to(dtype=torch.float64), moments.double().abs().flatten(), symprec)
    magnetic = sizes >= smallest
    if not magnetic.any():
        raise UserError("magnetic orderings", f"no moment of at least {smallest:g} µB", "a magnetic crystal")
    found: list[Ordering] = []
    skipped = 0
    for count in range(1, cells + 1):
        for form in _superlattices(count, operations[0]):
            if count * int(magnetic.sum()) > MOST_MAGNETIC:
                skipped += 1
            else:
                found += _in_supercell(parent, sizes, magnetic, operations, form)
    return Orderings(tuple(found), skipped)


def write_orderings(orderings: Sequence[Ordering], folder: Path, name: str = "ordering") -> Path:
    """Write each ordering as a POSCAR with the MAGMOM line of its INCAR, and a table of all.

    Arguments:
        orderings: What to write.
        folder: Made if need be; gets ``orderings.csv``, ``INCAR.NAME-i`` and a folder of POSCARs.
        name: What the names begin with.

    Raises:
        UserError: The folder cannot be written.
    """
    names = [f"{name}-{i}" for i in range(len(orderings))]
    write_structures(Crystals.concatenate([o.crystal for o in orderings]), folder / "POSCAR", ids=names)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("id", "kind", "cells", "sites", "degeneracy", "magnetization_T", "moments_uB"))
    for label, o in zip(names, orderings, strict=True):
        text = " ".join(f"{m:.3f}" for m in o.moments.tolist())
        write_whole(folder / f"INCAR.{label}", f"ISPIN = 2\nMAGMOM = {text}\n".encode())
        row = (label, o.kind, o.cells, len(o.moments), o.degeneracy, f"{o.magnetization:.4f}", text)
        writer.writerow(row)
    write_whole(folder / "orderings.csv", table.getvalue().encode())
    return folder


def _primitive(crystal: Crystals, sizes: Tensor, symprec: float) -> tuple[Crystals, Tensor, tuple[Tensor, Tensor]]:
    """The primitive cell, the moments of its sites, and its operations: rotations (G, 3, 3), translations (G, 3)."""
    found = next(iter(search(crystal, symprec)))
    expected = "a crystal whose symmetry can be found"
    if found is None:
        raise UserError("magnetic orderings", "overlapping sites or a broken cell", expected)
    cell, place = found.prim_std_cell, torch.tensor(found.mapping_std_prim)
    parent = Crystals.from_lists([cell.numbers], [cell.positions], [cell.basis])
    count = torch.bincount(place, minlength=len(cell.numbers))
    mean = sizes.new_zeros(len(count)).index_add_(0, place, sizes[: len(place)]) / count
    again = next(iter(search(parent, symprec)))
    if again is None:
        raise UserError("magnetic orderings", "a primitive cell without symmetry", expected)
    orbit = torch.tensor(again.orbits)
    total = mean.new_zeros(len(mean)).index_add_(0, orbit, mean)
    mean = (total / torch.bincount(orbit, minlength=len(mean)).clamp_min(1))[orbit]
    rotations = torch.tensor(again.operations.rotations, dtype=torch.float64)
    return parent, mean, (rotations, torch.tensor(again.operations.translations, dtype=torch.float64))


def _superlattices(count: int, rotations: Tensor) -> list[Tensor]:
    """Bases (3, 3), as rows in the primitive ones, of the superlattices of ``count`` cells, one of each kind."""
    chosen: list[Tensor] = []
    for a, b in product(range(1, count + 1), repeat=2):
        if count % (a * b):
            continue
        c = count // (a * b)
        for p, q, r in product(range(b), range(c), range(c)):
            form = torch.tensor([[a, p, q], [0, b, r], [0, 0, c]], dtype=torch.float64)
            moved = form @ rotations.mT
            if not any(_whole(moved @ torch.linalg.inv(other)).any() for other in chosen):
                chosen.append(form)
    return chosen


def _whole(matrices: Tensor) -> Tensor:
    """Which of the matrices (G, 3, 3) hold whole numbers only."""
    return ((matrices - matrices.round()).abs() < 1e-6).flatten(1).all(1)


def _in_supercell(
    parent: Crystals, sizes: Tensor, magnetic: Tensor, operations: tuple[Tensor, Tensor], form: Tensor
) -> list[Ordering]:
    inverse, (a, b, c) = torch.linalg.inv(form), form.diagonal().int().tolist()
    shifts = torch.cartesian_prod(*(torch.arange(k, dtype=torch.float64) for k in (a, b, c))).reshape(-1, 3)
    sites = (parent.frac[0][:, None] + shifts).reshape(-1, 3)
    kept = magnetic.repeat_interleave(len(shifts))
    permutations, pure = _permutations(sites[kept], shifts, operations, form)
    m = int(kept.sum())
    powers = 2 ** torch.arange(m - 1, -1, -1)
    # The first site points up, since all can be turned over: its bit is 0 in the smallest code of every class.
    codes = torch.arange(2 ** (m - 1))
    down = (codes[:, None] // powers) % 2
    reverse = 2**m - 1
    smallest, period, degeneracy = codes.clone(), torch.zeros_like(codes, dtype=torch.bool), {}
    back = torch.zeros_like(period)
    for permutation, is_pure in zip(permutations, pure.tolist(), strict=True):
        image = (down[:, permutation] * powers).sum(1)
        smallest = torch.minimum(smallest, torch.minimum(image, reverse - image))
        back |= image == reverse - codes
        if is_pure:
            period |= image == codes
    values, counts = smallest[~period].unique(return_counts=True)
    degeneracy = dict(zip(values.tolist(), (2 * counts).tolist(), strict=True))
    cell = Crystals.from_lists(
        [parent.numbers[0].repeat_interleave(len(shifts))], [sites @ inverse], [form @ parent.lattice[0]]
    )
    moments = sizes.repeat_interleave(len(shifts))
    found = []
    for code, count in degeneracy.items():
        signs = torch.zeros(len(moments), dtype=torch.float64)
        signs[kept] = 1.0 - 2.0 * down[code].double()
        kind = "ferromagnetic" if code == 0 else "antiferromagnetic" if back[code] else "ferrimagnetic"
        order = torch.argsort(cell.numbers[0], stable=True)
        sorted_cell = Crystals(cell.numbers[:, order], cell.frac[:, order], cell.lattice, cell.n_atoms)
        found.append(Ordering(sorted_cell, (signs * moments)[order], len(shifts), kind, count))
    return found


def _permutations(
    sites: Tensor, shifts: Tensor, operations: tuple[Tensor, Tensor], form: Tensor
) -> tuple[Tensor, Tensor]:
    """Distinct permutations (P, m) of sites by operations that keep the superlattice.

    The second result, (P,), tells which are made by a translation of the primitive lattice other than none: only
    such a one gives a pattern a shorter period.
    """
    rotations, translations = operations
    inverse = torch.linalg.inv(form)
    keeps = _whole(form @ rotations.mT @ inverse)
    rotations, translations = rotations[keeps], translations[keeps]
    moved = sites @ rotations.mT + translations[:, None]
    every = (moved[:, None] + shifts[:, None]).flatten(0, 1)  # (G d, m, 3)
    apart = minimum_image((every[:, :, None] - sites) @ inverse) @ form
    permutation = apart.norm(dim=-1).argmin(2)
    identity = (rotations == torch.eye(3, dtype=rotations.dtype)).flatten(1).all(1)
    still = identity & (minimum_image(translations).abs() < 1e-6).all(1)
    pure = (still[:, None] & (shifts != 0).any(1)).flatten()
    rows, place = torch.unique(permutation, dim=0, return_inverse=True)
    return rows, torch.zeros(len(rows), dtype=torch.bool).index_fill_(0, place[pure], True)
