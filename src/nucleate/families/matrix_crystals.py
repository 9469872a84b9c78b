"""Crystals as the families over the matrix of a crystal take them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from nucleate.crystal.crystals import Crystals
from nucleate.families.matrix_templates import in_template_order, templates_by_column
from nucleate.representations.ircr import IRCR
from nucleate.symmetry.templates import OrbitTemplates

Cells = Literal["reduced", "standard"]
"""As they come, or primitive standard cells, refined to the space group."""
Order = Literal["given", "canonical", "shuffled"]
"""Of the sites: as they come, or canonical from the origins of their templates; what is shuffled in training is
canonical elsewhere."""


def usable(
    crystals: Crystals, ircr: IRCR, cells: Cells, order: Order, templates: OrbitTemplates | None = None
) -> Crystals:
    """The crystals that the matrix can hold, in cells and order of sites as a model wants them.

    Arguments:
        crystals: Of any kind.
        ircr: The matrix.
        cells: See there.
        order: See there.
        templates: Take those of the crystals, as :func:`in_template_order` does; not where the order is given.
    """
    crystals = crystals[ircr.fits(crystals)]
    if cells == "standard" and len(crystals):
        # Symmetry needs more than tensors; a model without does without the libraries.
        from nucleate.symmetry.standard_cells import primitive_cells

        crystals = replace(primitive_cells(crystals), crystal_fields=crystals.crystal_fields)
    return ordered(crystals, order, templates)


def ordered(crystals: Crystals, order: Order, templates: OrbitTemplates | None = None) -> Crystals:
    """Crystals with their sites in an order; see :func:`usable`."""
    if order == "given":
        return crystals
    return in_template_order(crystals, templates_by_column() if templates is None else templates)
