"""Standard descriptions of a crystal: primitive and Niggli-reduced cells."""

from __future__ import annotations

from dataclasses import replace

import moyopy
import numpy as np
import torch

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.parsed_structure import ParsedStructure, batched
from nucleate.symmetry.detection import SYMPREC, search


def primitive_cells(crystals: Crystals, symprec: float = SYMPREC) -> Crystals:
    """Primitive standard cell of each crystal, refined to its space group; unchanged where none is found.

    Settings: unique axis b and cell choice 1, hexagonal axes for rhombohedral groups, the second choice of
    origin (at a centre of inversion) where there are two.
    """
    exact = crystals.to("cpu", torch.float64)
    raws = []
    for i, found in enumerate(search(exact, symprec)):
        if found is None:
            numbers, frac, lattice = (value.numpy() for value in exact.sites(i))
            raws.append(ParsedStructure(numbers, frac, lattice))
        else:
            cell = found.prim_std_cell
            raws.append(ParsedStructure(np.array(cell.numbers), np.array(cell.positions), np.array(cell.basis)))
    return batched(raws).to(crystals.numbers.device, crystals.frac.dtype)


def niggli_reduced(crystals: Crystals) -> Crystals:
    """The same crystals described by their Niggli-reduced vectors: sites, order and orientation stay.

    The reduced basis is right-handed. Cells that cannot be reduced (not finite, flat) stay as they are.
    Reference: B. Gruber, Acta Cryst. A29, 433 (1973); I. Křivý and B. Gruber, Acta Cryst. A32, 297 (1976).
    """
    lattice = crystals.lattice.to("cpu", torch.float64)
    reduced, inverse = lattice.clone(), torch.eye(3, dtype=torch.float64).repeat(len(crystals), 1, 1)
    for i, basis in enumerate(lattice.tolist()):
        try:
            _, change = moyopy.niggli_reduce(basis)
        except ValueError:
            continue
        rows = torch.tensor(change, dtype=torch.float64).T
        reduced[i] = rows @ lattice[i]
        inverse[i] = torch.linalg.inv(rows).round()  # unimodular, so whole numbers
    frac = wrap(crystals.frac @ inverse.to(crystals.frac))
    frac = torch.where(crystals.mask[..., None], frac, torch.zeros_like(frac))
    return replace(crystals, frac=frac, lattice=reduced.to(crystals.lattice))
