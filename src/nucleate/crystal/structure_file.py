"""What a file of structures holds: the crystals, their names and properties, and the rows that are no crystals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.intake import admit
from nucleate.crystal.raw import RawCrystal
from nucleate.errors import Status

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Failure:
    """A row that is no crystal.

    Attributes:
        row: Position in the file, from 0.
        id: Name of the row.
        status: What went wrong.
        reason: One line for the user.
    """

    row: int
    id: str
    status: Status
    reason: str


@dataclass(frozen=True)
class StructureFile:
    """Crystals of a file in their order.

    Attributes:
        crystals: Batch of the B rows that are crystals, float64.
        ids: Their names.
        rows: Their positions in the file, from 0.
        failures: The other rows.
        properties: Further columns of the file, one row a crystal (index 0 to B - 1); None where it has none.
    """

    crystals: Crystals
    ids: list[str]
    rows: list[int]
    failures: tuple[Failure, ...] = ()
    properties: pd.DataFrame | None = field(default=None, compare=False)

    @property
    def n_rows(self) -> int:
        """Rows of the file, with those that failed."""
        return len(self.ids) + len(self.failures)


def gather(
    entries: Sequence[RawCrystal | str], ids: Sequence[str], properties: pd.DataFrame | None = None
) -> StructureFile:
    """Check the rows of a file and batch those that are crystals; an entry that is text is a reason already."""
    admitted = admit(entries)
    failures = tuple(Failure(row, ids[row], Status.INVALID_INPUT, reason) for row, reason in admitted.reasons.items())
    if properties is not None:
        properties = properties.iloc[admitted.rows].reset_index(drop=True)
    return StructureFile(admitted.crystals, [ids[row] for row in admitted.rows], admitted.rows, failures, properties)


def default_ids(n: int) -> list[str]:
    """Names for rows without one: their positions, padded so that text order is row order."""
    width = max(5, len(str(max(n - 1, 0))))
    return [f"{row:0{width}d}" for row in range(n)]
