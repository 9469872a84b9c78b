"""Fixed entries of the matrix before sampling (elements, sizes, counts), and rejection after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import validity
from nucleate.diffusion.edm import TensorDenoiser
from nucleate.errors import UserError
from nucleate.families.matrix_templates import MatrixTemplates
from nucleate.representations.ircr import IRCR, element_order
from nucleate.sampling.rejection import best_of


class KnownEntries(NamedTuple):
    """Entries of the matrices of B crystals that a request fixes.

    Attributes:
        values: The matrices, in Å, degrees and fractions, shape (B, rows, columns).
        fixed: Which entries count, bool, of the same shape.
    """

    values: Tensor
    fixed: Tensor

    def inpainted(self, denoiser: TensorDenoiser, scaling: Callable[[Tensor], Tensor]) -> TensorDenoiser:
        """A denoiser that knows these entries.

        Where its prediction is the clean value, the slope (x - D) / σ of the sampler's equation leads straight to it,
        so a fixed entry carries its noise level on the way and is met exactly at the end.
        """
        clean = scaling(self.values)
        return lambda x, sigma: torch.where(self.fixed, clean.to(x), denoiser(x, sigma))


def known_entries(
    ircr: IRCR, where: Conditions, n_atoms: Tensor, templates: MatrixTemplates | None = None
) -> KnownEntries:
    """Entries that a request fixes.

    A chemical system fixes the columns' elements, a size the empty sites, a composition besides which column each
    site belongs to, and so do templates. With subsystems allowed nothing is fixed by the system.

    Arguments:
        ircr: The representation.
        where: The request.
        n_atoms: Size drawn for each crystal, shape (B,); counts where the request asks for sizes or a composition.
        templates: Of each crystal; None for free sampling.

    Raises:
        UserError: More elements than the matrix has columns for.
    """
    size = len(n_atoms)
    values = torch.zeros(size, ircr.length, ircr.width, dtype=torch.float64)
    fixed = torch.zeros_like(values, dtype=torch.bool)
    blocks = ircr.blocks
    elements = element_order(list(where.composition or (() if where.allow_subsystems else where.chemical_system or ())))
    if len(elements) > ircr.k:
        raise UserError("--where", f"{len(elements)} elements", f"at most {ircr.k}, which the matrix holds")
    if elements:
        for column, number in enumerate(elements):
            values[:, blocks["E"]][:, number - 1, column] = 1.0
        fixed[:, blocks["E"], : ircr.k] = True
    site = torch.arange(ircr.n)
    if templates is not None:
        values[:, blocks["O"], : ircr.k] = templates.occupancy()
        fixed[:, blocks["O"], : ircr.k] = True
        fixed[:, blocks["C"], :3] |= (templates.classes < 0)[..., None]
        return KnownEntries(values, fixed)
    if where.n_atoms is not None or where.composition is not None:
        empty = (site >= n_atoms[:, None])[..., None]
        fixed[:, blocks["O"], : ircr.k] |= empty
        fixed[:, blocks["C"], :3] |= empty
    if where.composition is not None:
        counts = torch.tensor([where.composition[number] for number in elements])
        units = n_atoms // counts.sum()
        ends = units[:, None] * counts.cumsum(0)
        starts = ends - units[:, None] * counts
        belongs = (site[:, None] >= starts[:, None]) & (site[:, None] < ends[:, None])
        values[:, blocks["O"], : len(elements)] = belongs.to(values.dtype)
        fixed[:, blocks["O"], : ircr.k] = True
    return KnownEntries(values, fixed)


def meets(where: Conditions, numbers: Tensor, n_atoms: Tensor) -> Tensor:
    """Which crystals have the elements, counts and sizes of a request, bool, shape (B,).

    Arguments:
        where: The request.
        numbers: Atomic numbers, 0 at padding, shape (B, N).
        n_atoms: Sites, shape (B,).
    """
    found = n_atoms > 0
    if where.n_atoms is not None:
        found &= (n_atoms >= where.n_atoms[0]) & (n_atoms <= where.n_atoms[1])
    counts = torch.stack([(numbers == z).sum(1) for z in range(1, 119)], 1)
    wanted = where.composition or where.chemical_system
    if wanted:
        there = torch.zeros(counts.shape[1], dtype=torch.bool)
        there[torch.tensor(list(wanted)) - 1] = True
        found &= ~(counts[:, ~there] > 0).any(1)
        if not where.allow_subsystems:
            found &= (counts[:, there] > 0).all(1)
    if where.composition is not None:
        for z, count in where.composition.items():
            found &= counts[:, z - 1] * sum(where.composition.values()) == count * n_atoms
    return found


GOOD = 3


def drawn(draw: Callable[[Tensor, int], Crystals], n: int, draws: int, meets: Callable[[Crystals], Tensor]) -> Crystals:
    """Draw n crystals, and again those that are not good (:func:`score`), keeping the best of each.

    Arguments:
        draw: Gives the crystals of rows (K,) in the draw of a number.
        n: How many crystals.
        draws: Most draws for a crystal.
        meets: Which crystals are what was asked for, bool.

    Returns:
        The crystals; the crystal field ``draws`` says how many draws each took.
    """
    crystals, taken = best_of(draw, n, draws, lambda c: score(c, meets), GOOD)
    return replace(crystals, crystal_fields={"draws": taken})


def score(crystals: Crystals, meets: Callable[[Crystals], Tensor]) -> Tensor:
    """0 for no crystal at all, 1 for one of a finite cell, 2 if it is also what was asked for, 3 if valid besides."""
    found = validity(crystals)
    finite = crystals.lattice.isfinite().flatten(1).all(1) & (crystals.n_atoms > 0)
    asked = finite & meets(crystals)
    return finite.long() + asked.long() + (asked & found.is_valid).long()
