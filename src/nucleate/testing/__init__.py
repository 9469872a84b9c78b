"""Laws of the contracts as functions, which anybody's extension can be put through."""

from nucleate.testing.families import check_family
from nucleate.testing.laws import BrokenLawError

__all__ = ["BrokenLawError", "check_family"]
