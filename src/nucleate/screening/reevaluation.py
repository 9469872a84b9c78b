"""Re-evaluation of a run: the same relaxations on another hull, and moments of relaxed crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nucleate.data.reference import Reference
from nucleate.errors import RELAXED
from nucleate.potentials.potential import FAULTS, evaluate_with_fallback
from nucleate.potentials.registry import load_potential
from nucleate.runs.candidates import Candidates
from nucleate.runs.columns import CANDIDATE_COLUMNS
from nucleate.runs.record import reference_hash
from nucleate.runs.run import Run, read_shard
from nucleate.screening.evaluator import CandidateEvaluator
from nucleate.thermo.magnetism import TESLA, potential_magnetization

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.crystal.crystals import Crystals
    from nucleate.potentials.potential import Potential


def reevaluated(run: Run, reference: str) -> pd.DataFrame:
    """The candidates of a finished run, evaluated with another reference; nothing is relaxed.

    The answer is kept in the run (``judged/``), under the content of the reference. Structure types stay those of
    the run's own reference.

    Arguments:
        run: A run whose chunks are all there.
        reference: bundled, or a folder.

    Raises:
        UserError: There is no such reference.
    """
    settings = run.record.screening
    if reference == settings.reference:
        return run.candidates()
    path = run.folder / "judged" / f"{reference_hash(reference)[:32]}.parquet"
    if not path.exists():
        plain = settings.model_copy(update={"reference": reference, "funnel": "none", "thresholds": ()})
        evaluator = CandidateEvaluator(plain, Reference.load(reference))
        chunks = (Candidates.from_parquet(run.candidates_path(k)) for k in range(len(run.chunks)))
        found = Candidates.concatenate([evaluator.reevaluate(chunk) for chunk in chunks])
        found.to_parquet(path, CANDIDATE_COLUMNS)
    fresh = read_shard(path).to_pandas()
    table = run.candidates()
    return table.assign(**{name: fresh[name] for name in fresh.columns})


TOGETHER = 32
"""Crystals in one call of the potential."""


def magnetizations(crystals: Crystals, potential: Potential) -> list[float]:
    """µ₀M in T of the ferromagnetic alignment of each crystal; NaN for one that the potential fails on."""

    def evaluate(some: Crystals) -> list[float]:
        found: list[float] = potential_magnetization(some, potential).tolist()
        return found

    parts = (crystals[start : start + TOGETHER] for start in range(0, len(crystals), TOGETHER))
    faults = (*FAULTS, RuntimeError)  # moments are an extra: no potential's failure ends a comparison for them
    return [value for some in parts for value in evaluate_with_fallback(some, evaluate, float("nan"), faults)]


def magnetization(run: Run) -> pd.DataFrame:
    """Columns ``saturation_magnetization`` (T) and ``magnetic_density`` (µB/Å³), a row for each candidate.

    They are those of the ferromagnetic alignment; NaN where there is no relaxed crystal or the potential knows no
    moments. The answer is kept in the run (``judged/magnetization.parquet``).
    """
    path = run.folder / "judged" / "magnetization.parquet"
    if not path.exists():
        candidates = Candidates.of_run(run)
        relaxed = candidates.has_status(RELAXED)
        values = np.full(len(candidates), np.nan)
        settings = run.record.screening
        if relaxed.any():
            potential = load_potential(settings.potential, settings.python)
            values[relaxed] = magnetizations(candidates[relaxed].final, potential)
        candidates.with_columns({"saturation_magnetization": values}).to_parquet(path, ["saturation_magnetization"])
    found = read_shard(path).to_pandas()
    return found.assign(magnetic_density=found["saturation_magnetization"] / TESLA)
