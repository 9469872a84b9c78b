"""The funnel of a run: which one was asked for, the columns it needs, what it stops, and the file it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from nucleate.errors import UserError
from nucleate.io.writing import write_json
from nucleate.runs.candidates import Row
from nucleate.runs.columns import NUMERIC_COLUMNS, PROTOTYPE_COLUMNS, STOPPED_BY
from nucleate.runs.run import Run
from nucleate.screening.reference_profile import known_types
from nucleate.settings import ScreenSettings

if TYPE_CHECKING:
    from nucleate.crystal.crystals import Crystals
    from nucleate.data.reference import Reference
    from nucleate.screening.funnel import Funnel, FunnelResult


def asked_funnel(settings: ScreenSettings) -> Funnel | None:
    """The funnel that was asked for, with its thresholds changed; None without one.

    Raises:
        UserError: There is no such funnel, a threshold does not fit it, or it reads a column that no run has.
    """
    from nucleate.screening.funnels import find_funnel

    funnel = find_funnel(settings.funnel)
    if funnel is None:
        if settings.thresholds:
            raise UserError("--threshold", repr(settings.thresholds[0]), "a funnel beside it, such as --funnel pigen")
        return None
    funnel.check_columns(NUMERIC_COLUMNS)
    return funnel.with_thresholds(settings.thresholds)


def funnel_columns(funnel: Funnel | None) -> tuple[str, ...]:
    """Names of the columns that candidates get because of a funnel; descriptors are not among them."""
    if funnel is None:
        return ()
    return (*(PROTOTYPE_COLUMNS if asks_for_types(funnel) else ()), STOPPED_BY)


def asks_for_types(funnel: Funnel | None) -> bool:
    """Whether structure types have to be looked for."""
    return funnel is not None and any(name in PROTOTYPE_COLUMNS for name in funnel.columns)


def stop_rows(funnel: Funnel, rows: Sequence[Row]) -> None:
    """Write into each row which filter stops it."""
    from nucleate.screening.funnel import stopped_by

    for row, name in zip(rows, stopped_by(funnel, pd.DataFrame(rows)), strict=True):
        row[STOPPED_BY] = name


class StructureTypes:
    """The structure types known to a run: those of its reference, the commonest first, then AFLOW's."""

    def __init__(self, reference: Reference, settings: ScreenSettings) -> None:
        from nucleate.matching.prototypes import framework_library

        self._types = known_types(reference, settings.reference)
        self._library = framework_library(self._types)

    def fill(self, rows: Sequence[Row], crystals: Crystals) -> None:
        """Write into each row which type its crystal has."""
        from nucleate.matching.prototypes import match_prototypes

        found = match_prototypes(crystals, self._types, library=self._library)
        for row, (_, match) in zip(rows, found.iterrows(), strict=True):
            has, rank = match["has_prototype"], match["rank"]
            row["has_prototype"] = None if pd.isna(has) else bool(has)
            row["prototype"], row["prototype_name"] = match["prototype"], match["prototype_name"]
            row["prototype_rank"] = None if pd.isna(rank) else int(rank)


def run_funnel(run: Run) -> FunnelResult | None:
    """The run's funnel applied to its candidates; None where it has none."""
    from nucleate.screening.funnel import Funnel, apply_funnel

    described = run.record.funnel
    return None if described is None else apply_funnel(Funnel.from_dict(described), run.candidates())


def write_funnel(run: Run) -> None:
    """Write ``funnel.json``: each filter with its counts and why crystals went, where the run has a funnel."""
    result = run_funnel(run)
    if result is not None:
        content = result.to_dict() | {"protocol": run.record.protocol.stated()}
        ids = run.candidates()["id"]
        for best in content["largest"]:
            best["id"] = None if best["row"] is None else ids.iloc[best["row"]]
        write_json(run.folder / "funnel.json", content)
