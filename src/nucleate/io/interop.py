"""Borders to pymatgen ``Structure`` and ASE ``Atoms``; both keep lattice vectors as rows, as Crystals do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from ase import Atoms
from pymatgen.core import Element, IStructure, Lattice, Structure

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.parsed_structure import ParsedStructure, unknown_species
from nucleate.errors import UserError
from nucleate.io.validation import StructureFile, gather


def to_pymatgen(crystals: Crystals) -> list[Structure]:
    """One ordered ``Structure`` per crystal, sites in order."""
    elements = {z: Element.from_Z(z) for z in crystals.numbers.unique().tolist() if z}
    structures = []
    for numbers, frac, lattice in _plain(crystals):
        species = [elements[z] for z in numbers.tolist()]
        structures.append(Structure(Lattice(lattice.numpy()), species, frac.numpy()))
    return structures


def from_pymatgen(structures: Iterable[Structure], dtype: torch.dtype = torch.float64) -> Crystals:
    """Batch ``Structure`` objects; oxidation states are dropped, coordinates wrapped into [0, 1).

    Raises:
        UserError: A site is partially occupied or holds something that is not an element.
    """
    numbers, frac, lattice = [], [], []
    for i, structure in enumerate(structures):
        where = f"structure {i} ({structure.formula})"
        if not structure.is_ordered:
            raise UserError(where, "partial occupancies", "one whole atom on every site")
        if unknown := unknown_species(structure):
            raise UserError(where, unknown, "elements from H to Lr")
        numbers.append([site.specie.Z for site in structure])
        frac.append(torch.from_numpy(structure.frac_coords.copy()))
        lattice.append(torch.from_numpy(structure.lattice.matrix.copy()))
    return Crystals.from_lists(numbers, frac, lattice, dtype)


def to_ase(crystals: Crystals) -> list[Atoms]:
    """One fully periodic ``Atoms`` per crystal, sites in order."""
    return [
        Atoms(numbers=numbers.numpy(), cell=lattice.numpy(), scaled_positions=frac.numpy(), pbc=True)
        for numbers, frac, lattice in _plain(crystals)
    ]


def from_ase(atoms: Sequence[Atoms], dtype: torch.dtype = torch.float64) -> Crystals:
    """Batch ``Atoms`` objects; coordinates are wrapped into [0, 1).

    Raises:
        UserError: An entry has no three-dimensional cell, is not periodic, is partially occupied or
            holds something that is not an element.
    """
    numbers, frac, lattice = [], [], []
    for i, entry in enumerate(atoms):
        where = f"structure {i} ({entry.get_chemical_formula()})"
        if entry.cell.rank < 3 or not entry.pbc.all():
            raise UserError(
                where, "no cell that is periodic in three directions", "a crystal with three lattice vectors"
            )
        occupancy = entry.info.get("occupancy") or {}
        if any(abs(share - 1.0) > 1e-6 for site in occupancy.values() for share in site.values()):
            raise UserError(where, "partial occupancies", "one whole atom on every site")
        numbers.append([_known(int(z), f"number {z}", where) for z in entry.numbers])
        frac.append(torch.from_numpy(entry.get_scaled_positions(wrap=False)))
        lattice.append(torch.from_numpy(entry.cell.array.copy()))
    return Crystals.from_lists(numbers, frac, lattice, dtype)


def from_objects(items: Iterable[object], ids: Sequence[str] | None = None) -> StructureFile:
    """Structures of Python in their order, pymatgen's and ASE's mixed; another object is a row with its reason.

    Arguments:
        items: ``Structure``, ``IStructure`` or ``Atoms``, also of their subclasses such as ``MSONAtoms``.
        ids: A name for each; positions by default.
    """
    entries = [_parsed(item) for item in items]
    return gather(entries, [str(row) for row in range(len(entries))] if ids is None else list(ids))


STRUCTURE_COLUMNS = ("structure", "structures", "atoms")
"""Names of the column of a table that holds structures; without one of them, the first that holds any."""


def from_table(table: pd.DataFrame) -> StructureFile:
    """Structures of a column of a table, named by its index; the other columns are their properties.

    Raises:
        UserError: No column holds structures.
    """
    holding = [name for name in table if table[name].map(_is_structure).any()]
    chosen = next((name for name in table if str(name).lower() in STRUCTURE_COLUMNS and name in holding), None)
    if chosen is None:
        chosen = next(iter(holding), None)
    if chosen is None:
        found = ", ".join(map(str, table.columns)) or "no columns"
        raise UserError("structures", f"a table of {found}", "a column of Structure or Atoms")
    entries = [_parsed(item) for item in table[chosen]]
    others = table.drop(columns=holding).reset_index(drop=True).rename(columns=str)
    return gather(entries, [str(name) for name in table.index], others if len(others.columns) else None)


def _is_structure(item: object) -> bool:
    return isinstance(item, IStructure | Atoms)


def _parsed(item: object) -> ParsedStructure | str:
    """The structure of an object, or why it has none."""
    if not _is_structure(item):
        return f"an object of type {type(item).__name__}; expected a Structure or Atoms"
    try:
        crystal = from_ase([item]) if isinstance(item, Atoms) else from_pymatgen([item])  # type: ignore[list-item]
    except UserError as error:
        return f"{error.found}; expected {error.expected}"
    numbers, frac, lattice = (np.asarray(value) for value in crystal.sites(0))
    return ParsedStructure(numbers, frac, lattice)


def _plain(crystals: Crystals) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Unpadded sites of each crystal in double precision on the CPU."""
    crystals = crystals.to("cpu", torch.float64)
    return [crystals.sites(i) for i in range(len(crystals))]


def _known(number: int, label: str, where: str) -> int:
    if not 1 <= number < len(SYMBOLS):
        raise UserError(where, f"{label} on a site", f"elements from H to {SYMBOLS[-1]}")
    return number
