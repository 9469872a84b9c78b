"""Laws of the contracts as functions, which anybody's extension can be put through."""

from nucleate.testing.descriptors import check_descriptor
from nucleate.testing.executors import check_executor
from nucleate.testing.families import check_family
from nucleate.testing.laws import BrokenLawError
from nucleate.testing.potentials import check_potential

__all__ = ["BrokenLawError", "check_descriptor", "check_executor", "check_family", "check_potential"]
