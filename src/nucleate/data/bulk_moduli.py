"""Bulk moduli of structures: those that are shipped, and those that CHGNet's equation of state gives for others.

The shipped table holds the equations of state of 9,705 structures of the Materials Project (A. Jain et al., APL
Materials 1, 011002 (2013), CC BY 4.0) under CHGNet 0.3.0, made by ``scripts/bulk_moduli.py``. Beside 30 measured moduli
the median error is 13 % and the rank correlation 0.98.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pandas as pd
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import Dataset
from nucleate.potentials.chgnet import CHGNetPotential
from nucleate.potentials.potential import Potential, evaluate_with_fallback
from nucleate.thermo.equation_of_state import EquationOfState, equations_of_state

BULK_MODULUS = "bulk_modulus"
LARGEST_RESIDUAL = 0.005
"""eV an atom; energies that a smooth curve does not describe give no modulus."""
SAME_VOLUME = 0.01
"""Relative difference in volume up to which a structure is the one of its name."""
PART = 64


def shipped_bulk_moduli() -> pd.DataFrame:
    """``material_id``, ``volume_per_atom`` of the structure (Å³) and ``bulk_modulus`` (GPa) of 9,705 structures."""
    with (files("nucleate.data") / "elastic" / "bulk_moduli.csv.gz").open("rb") as file:
        return pd.read_csv(file, compression="gzip")


def bulk_moduli(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Bulk moduli in GPa, shape (B,): shipped ones where name and volume agree, else CHGNet's; NaN where there is none.

    A crystal that CHGNet cannot evaluate, such as one of an element that it does not know, has none.

    Arguments:
        dataset: B structures.
        progress: Called with the number of moduli that were computed, and of all that have to be.
    """
    shipped = shipped_bulk_moduli().set_index("material_id")
    known = shipped.reindex(dataset.ids)
    volume = (dataset.crystals.volume / dataset.crystals.n_atoms).numpy()
    same = np.abs(known["volume_per_atom"].to_numpy() / volume - 1) <= SAME_VOLUME
    values = np.where(same, known[BULK_MODULUS].to_numpy(), np.nan)
    missing = np.flatnonzero(~same)
    if not len(missing):
        return values
    potential = CHGNetPotential()

    def moduli(crystals: Crystals) -> list[float]:
        found: list[float] = table_of(crystals, potential)[BULK_MODULUS].tolist()
        return found

    for start in range(0, len(missing), PART):
        rows = missing[start : start + PART]
        values[rows] = evaluate_with_fallback(dataset.crystals[torch.from_numpy(rows)], moduli, float("nan"))
        if progress is not None:
            progress(start + len(rows), len(missing))
    return values


def table_of(crystals: Crystals, potential: Potential) -> pd.DataFrame:
    """Equations of state as rows with a status: ``ok``, ``no_minimum`` or ``not_smooth``; volumes are of an atom."""
    found: EquationOfState = equations_of_state(crystals, potential)
    atoms = crystals.n_atoms.double()
    table = pd.DataFrame(
        {
            BULK_MODULUS: found.bulk_modulus.numpy(),
            "bulk_modulus_derivative": found.derivative.numpy(),
            "volume_per_atom": (found.volume / atoms).numpy(),
            "volume_ratio": (found.volume / crystals.volume.double()).numpy(),
            "residual": (found.residual / atoms).numpy(),
        }
    )
    status = np.where(table[BULK_MODULUS].isna(), "no_minimum", "ok")
    table["status"] = np.where(table["residual"] > LARGEST_RESIDUAL, "not_smooth", status)
    table.loc[table["status"] != "ok", BULK_MODULUS] = np.nan
    return table
