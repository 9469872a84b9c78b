"""Laws of the contracts as functions, which anybody's extension can be put through."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from nucleate.errors import UserError

if TYPE_CHECKING:
    from nucleate.testing.descriptors import check_descriptor
    from nucleate.testing.executors import check_executor
    from nucleate.testing.families import check_family
    from nucleate.testing.potentials import check_potential

__all__ = ["BrokenLawError", "check_descriptor", "check_executor", "check_family", "check_potential"]


class BrokenLawError(AssertionError):
    """An extension does not keep its contract."""


def hold(condition: object, text: str) -> None:
    """Go on where a condition is true.

    Raises:
        BrokenLawError: It is not; the message is ``text``.
    """
    if not condition:
        raise BrokenLawError(text)


def refused(call: Callable[[], object], text: str) -> None:
    """Go on where a call ends in a :class:`UserError`.

    Raises:
        BrokenLawError: It ends otherwise; the message names ``text``.
    """
    try:
        call()
    except UserError:
        return
    raise BrokenLawError(f"{text} is not refused by a UserError")


_MODULES = {
    "check_descriptor": "descriptors",
    "check_executor": "executors",
    "check_family": "families",
    "check_potential": "potentials",
}


def __getattr__(name: str) -> object:
    """Import a single module: workers that compute the tasks of ``executors`` need nothing else."""
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"nucleate.testing.{_MODULES[name]}"), name)
