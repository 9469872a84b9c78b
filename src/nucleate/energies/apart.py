"""Questions to a potential that some crystals of a batch cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from nucleate.crystal.crystals import Crystals
from nucleate.energies.bond_graph import TooManyBondsError
from nucleate.energies.potential import CalculatorFaultError
from nucleate.errors import UserError

FAULTS = (TooManyBondsError, CalculatorFaultError, UserError)
"""A collapsed cell, a calculator that gives no answer, an element that the potential does not know."""

Answer = TypeVar("Answer")


def asked_together(crystals: Crystals, ask: Callable[[Crystals], Sequence[Answer]], lost: Answer) -> list[Answer]:
    """Answers of crystals asked in one call; where it fails each is asked alone, so that only those at fault are lost.

    Arguments:
        crystals: B crystals.
        ask: Gives an answer for each of some crystals, or raises one of :data:`FAULTS`.
        lost: The answer of a crystal at fault.
    """
    try:
        return list(ask(crystals))
    except FAULTS:
        if len(crystals) <= 1:
            return [lost] * len(crystals)
        return [asked_together(crystals[i : i + 1], ask, lost)[0] for i in range(len(crystals))]
