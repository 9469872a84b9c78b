"""Crystals to CIF text in the standard setting of the symmetry found; P1 only where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd

import moyopy
import numpy as np
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import compositions, reduced_formula
from nucleate.crystal.lattice import matrix_to_parameters
from nucleate.symmetry.space_group import search

SYMPREC = 0.01
"""Å; tight, so that a written file holds the crystal itself and not a neat relative of it."""

METHOD = "Nucleate"
"""Value of ``_audit_creation_method`` in every file, by which a reader knows that ``_audit_block_code`` is the id."""


def cif_texts(crystals: Crystals, ids: Sequence[str], symprec: float | None = SYMPREC) -> list[str]:
    """One data block per crystal, its symmetry found within ``symprec`` Å; with None all in P1, in their own cells.

    A crystal with symmetry is written as the conventional cell of its space group (standard setting, refined
    coordinates), with the operations and one site per orbit with its Wyckoff letter. Without symmetry, its
    own cell and site order are kept.
    """
    crystals = crystals.to("cpu", torch.float64)
    names = block_names(ids)
    counts = compositions(crystals)
    texts = []
    found = [None] * len(crystals) if symprec is None else search(crystals, symprec)
    tolerance = symprec or 0.0
    for i, dataset in enumerate(found):
        head = [f"data_{names[i]}", f"_audit_creation_method   '{METHOD}'", f"_audit_block_code   {_quoted(ids[i])}"]
        body = _symmetric(dataset, counts[i], tolerance) if dataset is not None and dataset.number > 1 else None
        texts.append("\n".join([*head, *(body or _plain(crystals, i, counts[i]))]) + "\n")
    return texts


def block_names(ids: Iterable[str]) -> list[str]:
    """A different name for each id that may stand in a CIF or a file name."""
    stems = (re.sub(r"[^A-Za-z0-9._+()-]+", "_", one)[:60].lstrip(".") for one in ids)
    return made_different(stem or f"{number:05d}" for number, stem in enumerate(stems))


def made_different(stems: Iterable[str]) -> list[str]:
    """The same names, later ones that repeat one numbered."""
    names: list[str] = []
    taken: set[str] = set()
    for stem in stems:
        name, repeat = stem, 2
        while name.lower() in taken:  # some file systems do not tell A from a
            name = f"{stem}-{repeat}"
            repeat += 1
        taken.add(name.lower())
        names.append(name)
    return names


def _symmetric(dataset: moyopy.MoyoDataset, counts: dict[int, int], symprec: float) -> list[str] | None:
    """Lines of a block in the standard setting; None where the cell and the operations do not fit together."""
    cell = dataset.std_cell
    rotations, translations, operations = _operations(dataset.hall_number)
    numbers = np.array(cell.numbers)
    frac = np.array(cell.positions) % 1.0
    # Sites of the standard cell come in runs, one run per site of the primitive cell.
    run = len(numbers) // len(dataset.prim_std_cell.numbers)
    site_of = {primitive: i for i, primitive in reversed(list(enumerate(dataset.mapping_std_prim)))}
    inputs = np.array([site_of[k // run] for k in range(len(numbers))])
    _, first, sizes = np.unique(np.array(dataset.orbits)[inputs], return_index=True, return_counts=True)
    first, sizes = first[np.argsort(first)], sizes[np.argsort(first)]
    moved = frac[first] @ rotations.transpose(0, 2, 1) + translations[:, None] - frac[first]
    fixed = (np.abs(moved - np.round(moved)) < 1e-5).all(axis=-1).sum(axis=0)
    if (fixed * sizes != len(operations)).any():
        return None
    entry = moyopy.HallSymbolEntry(dataset.hall_number)
    factor = len(numbers) / sum(counts.values())
    whole = {z: round(n * factor) for z, n in counts.items()}
    lines = [
        f"# symmetry found within {symprec:g} angstrom",
        f"_space_group_name_H-M_alt   '{entry.hm_short}'",
        f"_space_group_name_Hall   '{entry.hall_symbol}'",
        f"_space_group_IT_number   {entry.number}",
        *_cell_lines(torch.tensor(cell.basis, dtype=torch.float64)),
        *_formula_lines(whole),
        "loop_",
        " _space_group_symop_id",
        " _space_group_symop_operation_xyz",
        *(f"  {k}  '{text}'" for k, text in enumerate(operations, start=1)),
        "loop_",
        " _atom_site_type_symbol",
        " _atom_site_label",
        " _atom_site_symmetry_multiplicity",
        " _atom_site_Wyckoff_symbol",
        " _atom_site_fract_x",
        " _atom_site_fract_y",
        " _atom_site_fract_z",
        " _atom_site_occupancy",
    ]
    for k, (site, size) in enumerate(zip(first, sizes, strict=True)):
        symbol, letter = SYMBOLS[numbers[site]], dataset.wyckoffs[inputs[site]]
        lines.append(f"  {symbol}  {symbol}{k}  {size}  {letter}  {_coordinates(frac[site])}  1.0")
    return lines


def _plain(crystals: Crystals, i: int, counts: dict[int, int]) -> list[str]:
    """Lines of a block without symmetry, in the layout that the reader takes fastest."""
    numbers, frac, lattice = crystals.sites(i)
    cell = _cell_lines(lattice)
    formula = _formula_lines(counts)
    return [
        "_symmetry_space_group_name_H-M   'P 1'",
        *cell[:6],
        "_symmetry_Int_Tables_number   1",
        *formula[:2],
        cell[6],
        formula[2],
        "loop_",
        " _symmetry_equiv_pos_site_id",
        " _symmetry_equiv_pos_as_xyz",
        "  1  'x, y, z'",
        "loop_",
        " _atom_site_type_symbol",
        " _atom_site_label",
        " _atom_site_symmetry_multiplicity",
        " _atom_site_fract_x",
        " _atom_site_fract_y",
        " _atom_site_fract_z",
        " _atom_site_occupancy",
        *(
            f"  {SYMBOLS[z]}  {SYMBOLS[z]}{k}  1  {_coordinates(row)}  1.0"
            for k, (z, row) in enumerate(zip(numbers.tolist(), frac.numpy(), strict=True))
        ),
    ]


@lru_cache(maxsize=530)
def _operations(hall_number: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rotations (G, 3, 3), translations (G, 3) and their x, y, z texts, centring included."""
    number = moyopy.HallSymbolEntry(hall_number).number
    group = moyopy.operations_from_number(number, setting=moyopy.Setting.hall_number(hall_number))
    rotations, translations = np.array(group.rotations), np.array(group.translations) % 1.0
    return rotations, translations, [_xyz(w, t) for w, t in zip(rotations, translations, strict=True)]


def _xyz(rotation: np.ndarray, translation: np.ndarray) -> str:
    rows = []
    for weights, shift in zip(rotation.tolist(), translation.tolist(), strict=True):
        text = "".join(f"{'+' if w > 0 else '-'}{axis}" for w, axis in zip(weights, "xyz", strict=True) if w)
        fraction = Fraction(shift).limit_denominator(24) % 1
        rows.append(text.removeprefix("+") + (f"+{fraction}" if fraction else ""))
    return ", ".join(rows)


def _cell_lines(lattice: torch.Tensor) -> list[str]:
    lengths, angles = (values.tolist() for values in matrix_to_parameters(lattice))
    return [
        *(f"_cell_length_{name}   {value:.8f}" for name, value in zip("abc", lengths, strict=True)),
        *(f"_cell_angle_{name}   {value:.8f}" for name, value in zip(("alpha", "beta", "gamma"), angles, strict=True)),
        f"_cell_volume   {float(torch.linalg.det(lattice).abs()):.8f}",
    ]


def _formula_lines(counts: dict[int, int]) -> list[str]:
    return [
        f"_chemical_formula_structural   {reduced_formula(counts)}",
        f"_chemical_formula_sum   '{' '.join(f'{SYMBOLS[z]}{n}' for z, n in counts.items())}'",
        f"_cell_formula_units_Z   {gcd(*counts.values())}",
    ]


def _coordinates(frac: np.ndarray) -> str:
    # A value that would print as 1.00000000 is the same site as 0.
    return "  ".join(f"{0.0 if value > 1 - 5e-9 else value + 0.0:.8f}" for value in frac.tolist())


def _quoted(identifier: str) -> str:
    text = " ".join(identifier.split())
    return f"'{text}'" if "'" not in text else '"' + text.replace('"', "'") + '"'
