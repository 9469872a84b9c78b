"""Questions to a potential that some crystals of a batch cannot be asked."""

from __future__ import annotations

from collections.abc import Callable

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials.bond_graph import TooManyBondsError
from nucleate.potentials.potential import CalculatorFaultError

FAULTS = (TooManyBondsError, CalculatorFaultError, UserError)
"""A collapsed cell, a calculator that gives no answer, an element that the potential does not know."""


def asked_together(
    crystals: Crystals,
    ask: Callable[[Crystals], list[float]],
    lost: float,
    faults: tuple[type[Exception], ...] = FAULTS,
) -> list[float]:
    """Answers of crystals asked in one call; where it fails each is asked alone, so that only those at fault are lost.

    Arguments:
        crystals: B crystals.
        ask: Gives an answer for each of some crystals, or raises one of ``faults``.
        lost: The answer of a crystal at fault.
        faults: What says that a crystal cannot be asked.
    """
    try:
        return ask(crystals)
    except faults:
        if len(crystals) <= 1:
            return [lost] * len(crystals)
        return [asked_together(crystals[i : i + 1], ask, lost, faults)[0] for i in range(len(crystals))]
