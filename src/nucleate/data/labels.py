"""Labels of a data set by the name of a condition: from its table, or computed from its structures."""

from __future__ import annotations

from torch import Tensor

from nucleate.data.dataset import Dataset
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.errors import UserError

COLUMNS = {
    "energy_above_hull": ("energy_above_hull", "e_above_hull"),
    "formation_energy": ("formation_energy", "formation_energy_per_atom"),
    "magnetic_density": ("magnetic_density", "magnetization"),
}
"""Names that a table may have for a condition, its own first; others go by their own name alone."""


_FROM_STRUCTURE = ("space_group", "n_atoms")
_IN_TESLA = {"saturation_magnetization": "magnetic_density"}
"""Conditions that are another one times µ₀µB / Å³, unless the table has them as they are."""


def label(dataset: Dataset, name: str) -> Tensor:
    """Labels (B,) of a condition, float64, NaN (0 for a space group) where unknown.

    A column of the table counts before what could be computed.

    Raises:
        UserError: There is no such column, and nothing that computes it; or a value is no number.
    """
    for column in COLUMNS.get(name, (name,)):
        if column in dataset.table:
            return dataset.column(column)
    if name in _IN_TESLA:
        from nucleate.energies.magnetism import TESLA

        return TESLA * label(dataset, _IN_TESLA[name])
    if name in DESCRIPTORS:
        return DESCRIPTORS[name].function(dataset.crystals)
    if name == "space_group":
        from nucleate.symmetry.space_group import space_groups

        return space_groups(dataset.crystals).double()
    if name == "n_atoms":
        return dataset.crystals.n_atoms.double()
    known = sorted({*DESCRIPTORS, *_FROM_STRUCTURE})
    found = f"no column for the condition {name!r}"
    raise UserError(dataset.source, found, f"such a column, or one of {', '.join(known)}, which are computed")


def known_labels(dataset: Dataset, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Labels of the conditions that some crystal has, by name; see :func:`label`.

    Raises:
        UserError: A value in a column is no number.
    """
    found = {}
    for name in names:
        if _is_known(dataset, name):
            values = label(dataset, name)
            if values.isfinite().any():
                found[name] = values
    return found


def _is_known(dataset: Dataset, name: str) -> bool:
    columns = (*COLUMNS.get(name, (name,)), *COLUMNS.get(_IN_TESLA.get(name, ""), ()))
    return name in DESCRIPTORS or name in _FROM_STRUCTURE or any(column in dataset.table for column in columns)
