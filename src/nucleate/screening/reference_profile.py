"""Profile of a reference: its structure types and how its descriptors spread, computed once and kept.

A run stores the small picture beside its candidates, so that a report can show both without the reference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import JsonValue

from nucleate.data.cache import cache_folder
from nucleate.descriptors.registry import descriptor_table
from nucleate.io.writing import write_whole
from nucleate.matching.prototypes import aflow_prototypes, commonest_prototypes
from nucleate.runs.record import reference_hash
from nucleate.runs.run import Run
from nucleate.screening.funnel import Funnel
from nucleate.screening.funnels import asks_for_types
from nucleate.symmetry.protostructure import protostructure_labels

if TYPE_CHECKING:
    from nucleate.data.reference import Reference
    from nucleate.matching.prototypes import Prototypes

VERSION = 1
"""Raised whenever the content changes; what was kept before is then ignored."""

MAX_TYPES = 1000
"""The commonest structure types of a reference that candidates are compared with."""

SAMPLE = 1000
"""Structures of the reference whose descriptors are computed, evenly spread over it."""

PROFILED: dict[str, tuple[float, float, int]] = {
    "compactness": (0.0, 1.5, 60),
    "local_environment_diversity": (4.0, 12.0, 64),
}
"""Descriptors whose spread is kept: lower and upper limit of the histogram and its bins."""


def known_types(reference: Reference, name: str) -> Prototypes:
    """The structure types of a reference, the commonest first, then those of AFLOW that it lacks.

    Arguments:
        reference: Known structures.
        name: By which the reference was loaded; its content is the key under which the types are kept.
    """
    labels = known_labels(reference, name)
    return commonest_prototypes(reference.structures, MAX_TYPES, labels) + aflow_prototypes()


def known_labels(reference: Reference, name: str) -> list[str]:
    """The protostructure of each known structure of a reference, which was loaded by that name."""
    found: list[str] = kept(name, "labels", lambda: _labels(reference))
    return found


def write_profile(run: Run, reference: Reference, name: str) -> None:
    """Write ``reference.json``: how the reference spreads in what the run measured, and its structure types."""
    measured = [column for column in PROFILED if column in run.record.descriptors]
    spread = {column: kept(name, column, partial(_spread, reference, column)) for column in measured}
    content: dict[str, Any] = {"name": reference.name, "structures": len(reference.structures), "spread": spread}
    funnel = run.record.funnel
    if funnel and asks_for_types(Funnel.from_dict(funnel)):
        content["types"] = [kind.count for kind in known_types(reference, name).types]
    write_whole(run.folder / "reference.json", (json.dumps(content, ensure_ascii=False) + "\n").encode())


def _labels(reference: Reference) -> list[str]:
    """The protostructure of each known structure; most have theirs in the table of phases."""
    phases = reference.phases
    stored = dict(zip(phases["id"], phases["label"], strict=True)) if {"id", "label"} <= set(phases) else {}
    found = [stored.get(id_) for id_ in reference.structure_ids]
    unknown = [row for row, label in enumerate(found) if not isinstance(label, str) or not label]
    for row, label in zip(unknown, protostructure_labels(reference.structures[unknown]), strict=True):
        found[row] = label
    return [str(label) for label in found]


def _spread(reference: Reference, column: str) -> dict[str, JsonValue]:
    """A histogram of a descriptor over a sample of the known structures; values beyond the limits are in the ends."""
    n = len(reference.structures)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).round().astype(int)).tolist() if n else []
    values = descriptor_table(reference.structures[rows], [column])[column].numpy()
    low, high, bins = PROFILED[column]
    known = values[np.isfinite(values)]
    counts, _ = np.histogram(known.clip(low, high), bins, (low, high))
    return {"low": low, "high": high, "counts": counts.tolist(), "known": len(known), "sampled": len(values)}


def kept(name: str, what: str, build: Callable[[], Any]) -> Any:
    """The content kept for a reference of this content, or ``build()``, which is then kept."""
    path = cache_folder() / "references" / f"{reference_hash(name)[:32]}-{what}-v{VERSION}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    found = build()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
        scratch.write_text(json.dumps(found), encoding="utf-8")
        scratch.replace(path)
    return found
