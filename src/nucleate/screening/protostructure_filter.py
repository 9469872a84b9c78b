"""Before relaxing: candidates whose protostructure came before, or is known, are left out.

A protostructure (space group and elements on Wyckoff positions) is known before any energy, so that relaxations can
go to new ones (F. E. Kelvinius et al., WyckoffDiff, arXiv:2502.06485). It says nothing of free coordinates: crystals
of one label may be different. In P1 it says nothing at all, so crystals there are never left out.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from nucleate.errors import Status
from nucleate.runs.candidates import Row, crystals_of, read_rows
from nucleate.runs.run import Run
from nucleate.screening.reference_profile import known_labels
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    from nucleate.data.reference import Reference

LEFT_OUT = frozenset({Status.REPEATED, Status.KNOWN})
"""Outcomes of candidates that were not relaxed because of their label."""


def left_out(run: Run, settings: ScreenSettings, reference: Reference) -> list[dict[int, Row]]:
    """For each chunk of a run the outcomes, by row, of candidates that are not to be relaxed.

    With ``labels`` "distinct" those whose label an earlier candidate of the run has; with "new" those also whose label
    the reference has.
    """
    from nucleate.symmetry.protostructure import protostructures

    if settings.labels == "all":
        return [{} for _ in run.chunks]
    known = _known(reference, settings.reference) if settings.labels == "new" else set()
    first: dict[str, str] = {}
    outcomes: list[dict[int, Row]] = []
    for number in range(len(run.chunks)):
        rows = [(i, row) for i, row in enumerate(read_rows(run.generated_path(number))) if row["status"] == Status.OK]
        found = protostructures(crystals_of(row for _, row in rows), settings.symprec)
        chunk: dict[int, Row] = {}
        for (i, row), one in zip(rows, found, strict=True):
            if one is None or one.space_group == 1:
                continue
            label = one.label
            if label in known:
                chunk[i] = _outcome(i, row, Status.KNOWN, f"the reference has {label}")
            elif label in first:
                chunk[i] = _outcome(i, row, Status.REPEATED, f"{label}, as {first[label]}")
            else:
                first[label] = row["id"]
        outcomes.append(chunk)
    return outcomes


def _known(reference: Reference, name: str) -> set[str]:
    """Labels of all phases and known structures; a phase need not have a structure, nor a structure be a phase."""
    of_phases = reference.phases["label"].dropna() if "label" in reference.phases else ()
    return {*of_phases, *known_labels(reference, name)}


def _outcome(i: int, row: Row, status: Status, reason: str) -> Row:
    """As a relaxation that did not take place."""
    return {
        "row": i, "status": str(status), "reason": reason, "frac": row["frac"], "lattice": row["lattice"],
        "energy_per_atom": nan, "seconds": 0.0,
    }  # fmt: skip
