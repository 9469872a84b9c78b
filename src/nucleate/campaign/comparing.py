"""A run beside the structures of its reference: sizes, densities, elements, classes, symmetry, coverage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nucleate.campaign.reference_profile import kept
from nucleate.campaign.run_store import Run, write_whole
from nucleate.errors import Status

if TYPE_CHECKING:
    from nucleate.data.reference import Reference
    from nucleate.evaluation.comparison import Sample

FILE = "comparison.json"


def write_comparison(run: Run, reference: Reference, name: str) -> None:
    """Write ``comparison.json``, where the reference holds structures.

    Arguments:
        run: A run whose chunks are all there.
        reference: Its reference.
        name: By which the reference was loaded; what is costly of its profile is kept under its content.
    """
    from nucleate.evaluation.comparison import Profile, Sample, compare
    from nucleate.evaluation.judgement import crystals_of

    if not len(reference.structures):
        return
    table = run.candidates()
    readable = table[table["numbers"].map(len) > 0]
    relaxed = table[table["status"].isin([str(Status.OK), str(Status.NO_REFERENCE)])]
    sample = Sample.from_dict(kept(name, "sample", partial(_sample, reference)))
    found = compare(
        crystals_of(readable),
        crystals_of(relaxed, relaxed=True),
        Profile.of(reference.structures, sample),
        reference.name,
        len(table) - len(readable),
    )
    content = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(run.folder / FILE, content.encode())


def read_comparison(run: Run) -> Mapping[str, Any] | None:
    """What :func:`write_comparison` wrote; None where there is nothing."""
    path = run.folder / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _sample(reference: Reference) -> dict[str, Any]:
    from nucleate.evaluation.comparison import Sample

    found: Sample = Sample.of(reference.structures)
    return found.to_dict()
