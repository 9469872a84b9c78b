"""Magnetisation of a run's relaxed crystals, from the moments that its potential puts on their sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nucleate.campaign.rejudging import run_settings
from nucleate.campaign.run_store import Run, read_shard, write_shard
from nucleate.errors import Status

if TYPE_CHECKING:
    import pandas as pd

TOGETHER = 64
"""Crystals in one call of the potential."""


def magnetization(run: Run) -> pd.DataFrame:
    """Columns ``saturation_magnetization`` (T) and ``magnetic_density`` (µB/Å³), a row for each candidate.

    They are those of the ferromagnetic alignment; NaN where there is no relaxed crystal or the potential knows no
    moments. The answer is kept in the run (``judged/magnetization.parquet``).
    """
    import numpy as np
    import pyarrow as pa

    from nucleate.energies.magnetism import TESLA, potential_magnetization
    from nucleate.energies.potential import load_potential
    from nucleate.evaluation.judgement import crystals_of

    path = run.folder / "judged" / "magnetization.parquet"
    if not path.exists():
        table = run.candidates()
        there = np.flatnonzero(table["status"].isin([str(Status.OK), str(Status.NO_REFERENCE)]))
        values = np.full(len(table), np.nan)
        settings = run_settings(run)
        potential = load_potential(settings.potential, settings.python)
        for rows in np.split(there, range(TOGETHER, len(there), TOGETHER)):
            if len(rows):
                values[rows] = potential_magnetization(crystals_of(table.iloc[rows], relaxed=True), potential).numpy()
        schema = pa.schema([("saturation_magnetization", pa.float64())])
        write_shard(path, [{"saturation_magnetization": value} for value in values.tolist()], schema)
    found = read_shard(path).to_pandas()
    return found.assign(magnetic_density=found["saturation_magnetization"] / TESLA)
