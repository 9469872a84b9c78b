"""Crystals as the families over the matrix of a crystal take them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from nucleate.crystal.crystals import Crystals
from nucleate.representations.ircr import IRCR
from nucleate.representations.site_order import canonical

Cells = Literal["reduced", "standard"]
"""As they come, or primitive standard cells, refined to the space group."""
Order = Literal["given", "canonical", "shuffled"]
"""Of the sites: as they come, or canonical; what is shuffled in training is canonical elsewhere."""


def usable(crystals: Crystals, ircr: IRCR, cells: Cells, order: Order) -> Crystals:
    """The crystals that the matrix can hold, in cells and order of sites as a model wants them."""
    crystals = crystals[ircr.fits(crystals)]
    if cells == "standard" and len(crystals):
        # Symmetry needs more than tensors; a model without does without the libraries.
        from nucleate.symmetry.standard_cells import primitive_cells

        crystals = replace(primitive_cells(crystals), crystal_fields=crystals.crystal_fields)
    return ordered(crystals, order)


def ordered(crystals: Crystals, order: Order) -> Crystals:
    """Crystals with their sites in an order."""
    return crystals if order == "given" else canonical(crystals)
