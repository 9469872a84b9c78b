"""Failures: one exception for users' mistakes, one status for each crystal."""

from enum import StrEnum
from typing import Self


class UserError(ValueError):
    """A mistake in what the user gave; the command line prints it as one line and exits with 2.

    Arguments:
        where: The file, row or option at fault.
        found: What was found there.
        expected: What would have been right.
    """

    def __init__(self, where: str, found: str, expected: str) -> None:
        super().__init__(f"{where}: found {found}; expected {expected}")
        self.where, self.found, self.expected = where, found, expected

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """Let the error pass between processes, which the single argument of its base would not."""
        return type(self), (self.where, self.found, self.expected)


class Status(StrEnum):
    """Outcome of one crystal; a failure is a row with a status and a reason, never an exception."""

    OK = "ok"
    INVALID_INPUT = "invalid_input"
    INVALID_GEOMETRY = "invalid_geometry"
    UNCONVERGED = "unconverged"
    TIME_LIMIT = "time_limit"
    EXPLODED = "exploded"
    NOT_FINITE = "not_finite"
    NO_REFERENCE = "no_reference"
    REPEATED = "repeated"
    KNOWN = "known"
    ERROR = "error"


RELAXED = frozenset({str(Status.OK), str(Status.NO_REFERENCE)})
"""Outcomes of a relaxation that ended well, with or without a place on the hull."""


class RequestWarning(UserWarning):
    """Warning of a request that can be tried, but hardly be met."""


class SkippedWarning(UserWarning):
    """Something is left out: files of a folder that hold no structures, a damaged line of a journal."""
