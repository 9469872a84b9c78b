"""A run beside the structures of its reference: sizes, densities, elements, classes, symmetry, coverage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nucleate.campaign.reference_profile import kept
from nucleate.campaign.run_store import Run
from nucleate.crystal.writing import write_whole
from nucleate.errors import RELAXED

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.data.reference import Reference
    from nucleate.evaluation.comparison import Sample

FILE = "comparison.json"


def write_comparison(run: Run, reference: Reference, name: str) -> None:
    """Write ``comparison.json``: rates over the number of samples, and the run beside its reference's structures.

    Arguments:
        run: A run whose chunks are all there.
        reference: Its reference; without structures there is nothing to stand beside.
        name: By which the reference was loaded; what is costly of its profile is kept under its content.
    """
    from nucleate.evaluation.sample_curves import sample_curves

    table = run.candidates()
    curves = [{"name": rate.name, "count": rate.count, "total": rate.total} for rate in sample_curves(table)]
    beside = _beside(table, reference, name) if len(reference.structures) else None
    content = json.dumps({"curves": curves, "beside": beside}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(run.folder / FILE, content.encode())


def read_comparison(run: Run) -> Mapping[str, Any] | None:
    """The run beside its reference, as :func:`write_comparison` wrote it; None where there is nothing."""
    path = run.folder / FILE
    return json.loads(path.read_text(encoding="utf-8"))["beside"] if path.exists() else None


def _beside(table: pd.DataFrame, reference: Reference, name: str) -> dict[str, Any]:
    from nucleate.evaluation.comparison import Profile, Sample, compare
    from nucleate.evaluation.table_crystals import table_crystals

    readable = table[table["numbers"].map(len) > 0]
    relaxed = table[table["status"].isin(RELAXED)]
    sample = Sample.from_dict(kept(name, "sample", partial(_sample, reference)))
    found = compare(
        table_crystals(readable),
        table_crystals(relaxed, relaxed=True),
        Profile.of(reference.structures, sample),
        reference.name,
        len(table) - len(readable),
    )
    return found.to_dict()


def _sample(reference: Reference) -> dict[str, Any]:
    from nucleate.evaluation.comparison import Sample

    found: Sample = Sample.of(reference.structures)
    return found.to_dict()
