"""A run as another reference judges it: the same relaxations on another hull, beside other known structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nucleate.campaign.columns import candidate_schema
from nucleate.campaign.judging import Judge
from nucleate.campaign.provenance import reference_hash
from nucleate.campaign.rows import Row, read_rows
from nucleate.campaign.run_store import Run, read_shard, write_shard
from nucleate.config import ScreenSettings

if TYPE_CHECKING:
    import pandas as pd


def run_settings(run: Run) -> ScreenSettings:
    """How a run was screened."""
    stated = run.record["settings"]
    return ScreenSettings.checked(stated.get("screen", stated))


def judged_by(run: Run, reference: str) -> pd.DataFrame:
    """The candidates of a finished run, judged with another reference; nothing is relaxed.

    The answer is kept in the run (``judged/``), under the content of the reference. Structure types stay those of
    the run's own reference.

    Arguments:
        run: A run whose chunks are all there.
        reference: bundled, or a folder.

    Raises:
        UserError: There is no such reference.
    """
    from nucleate.data.reference import Reference

    settings = run_settings(run)
    if reference == settings.reference:
        return run.candidates()
    path = run.folder / "judged" / f"{reference_hash(reference)[:32]}.parquet"
    if not path.exists():
        plain = settings.model_copy(update={"reference": reference, "funnel": "none", "thresholds": ()})
        judge = Judge(plain, Reference.load(reference))
        rows: list[Row] = []
        for chunk in range(len(run.chunks)):
            rows += judge.rejudged(read_rows(run.candidates_path(chunk)))
        write_shard(path, rows, candidate_schema())
    fresh = read_shard(path).to_pandas()
    table = run.candidates()
    return table.assign(**{name: fresh[name] for name in fresh.columns})
