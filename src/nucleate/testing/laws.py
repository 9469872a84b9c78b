"""Statements of laws: a condition that holds, or an error that names the law that does not."""

from __future__ import annotations

from collections.abc import Callable

from nucleate.errors import UserError


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
