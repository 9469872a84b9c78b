"""Magnetisation of relaxed crystals, from the moments that a potential puts on their sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nucleate.campaign.rejudging import run_settings
from nucleate.campaign.run_store import Run, read_shard, write_shard
from nucleate.errors import RELAXED

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.crystal.crystals import Crystals
    from nucleate.energies.potential import Potential

TOGETHER = 32
"""Crystals in one call of the potential."""


def magnetizations(crystals: Crystals, potential: Potential) -> list[float]:
    """µ₀M in T of the ferromagnetic alignment of each crystal; NaN for one that the potential fails on."""
    from nucleate.energies.apart import FAULTS, asked_together
    from nucleate.energies.magnetism import potential_magnetization

    def ask(some: Crystals) -> list[float]:
        found: list[float] = potential_magnetization(some, potential).tolist()
        return found

    parts = (crystals[start : start + TOGETHER] for start in range(0, len(crystals), TOGETHER))
    faults = (*FAULTS, RuntimeError)  # moments are an extra: no potential's failure ends a comparison for them
    return [value for some in parts for value in asked_together(some, ask, float("nan"), faults)]


def magnetization(run: Run) -> pd.DataFrame:
    """Columns ``saturation_magnetization`` (T) and ``magnetic_density`` (µB/Å³), a row for each candidate.

    They are those of the ferromagnetic alignment; NaN where there is no relaxed crystal or the potential knows no
    moments. The answer is kept in the run (``judged/magnetization.parquet``).
    """
    import numpy as np
    import pyarrow as pa

    from nucleate.energies.magnetism import TESLA
    from nucleate.energies.potential import load_potential
    from nucleate.evaluation.table_crystals import table_crystals

    path = run.folder / "judged" / "magnetization.parquet"
    if not path.exists():
        table = run.candidates()
        there = np.flatnonzero(table["status"].isin(RELAXED))
        values = np.full(len(table), np.nan)
        settings = run_settings(run)
        if len(there):
            potential = load_potential(settings.potential, settings.python)
            values[there] = magnetizations(table_crystals(table.iloc[there], relaxed=True), potential)
        schema = pa.schema([("saturation_magnetization", pa.float64())])
        write_shard(path, [{"saturation_magnetization": value} for value in values.tolist()], schema)
    found = read_shard(path).to_pandas()
    return found.assign(magnetic_density=found["saturation_magnetization"] / TESLA)
