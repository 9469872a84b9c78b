"""Strengths of guidance as a user gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nucleate.errors import UserError


def parse_strengths(texts: Sequence[str]) -> float | Mapping[str, float] | None:
    """γ from texts: one number for every condition, or ``NAME=γ`` for some; None where nothing is said.

    Raises:
        UserError: A text is neither, or a number for all stands beside others.
    """
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return _number(texts[0], texts[0])
    strengths = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or name in strengths:
            raise UserError("--guidance", repr(text), "one number for all conditions, or NAME=NUMBER once for each")
        strengths[name] = _number(value, text)
    return strengths


def _number(value: str, text: str) -> float:
    try:
        strength = float(value)
    except ValueError:
        raise UserError("--guidance", repr(text), "a number, or NAME=NUMBER") from None
    if not 0 <= strength < float("inf"):
        raise UserError("--guidance", repr(text), "a strength of 0 or more")
    return strength
