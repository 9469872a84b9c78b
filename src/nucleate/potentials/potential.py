"""The contract of potentials: energies, forces, stresses and moments of batches; and ASE calculators behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials import calculator_server as server


class TooManyBondsError(ValueError):
    """A crystal is so dense that its bonds, or the angles between them, cannot be listed."""


class CalculatorFaultError(RuntimeError):
    """A calculator has no result for a crystal; the message says why."""


FAULTS = (TooManyBondsError, CalculatorFaultError, UserError)
"""A collapsed cell, a calculator without a result, an element that the potential does not know."""


@dataclass(frozen=True)
class Evaluation:
    """Energies and their derivatives of a batch of B crystals of at most N sites; padded sites hold 0.

    Attributes:
        energy: Total energies in eV, shape (B,).
        forces: Forces in eV/Å, shape (B, N, 3).
        stress: Cauchy stresses in eV/Å³, positive under tension, shape (B, 3, 3).
        magmoms: Sizes of the magnetic moments in µB, shape (B, N); NaN where the potential knows none.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    magmoms: Tensor


class Potential(Protocol):
    """A source of energies and their derivatives, for batches of crystals of any sizes.

    Energies are extensive and depend neither on the order of the sites nor on origin, orientation or choice of the
    cell; forces and stresses are their derivatives. `nucleate.testing.check_potential` puts a potential through this.

    Attributes:
        outside_seconds: Processor time in seconds that evaluations have taken in other processes.
    """

    outside_seconds: float

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """Energies (eV), forces (eV/Å), stresses (eV/Å³, positive under tension) and moments (µB) of B crystals.

        Raises:
            UserError: An element is unknown to the potential.
            TooManyBondsError: A crystal is far too dense.
            CalculatorFaultError: There is no result for a crystal.
        """
        ...


class CalculatorPotential:
    """Any ASE calculator as a potential; its crystals are evaluated one by one.

    Arguments:
        calculator: An ASE calculator with energies, forces and stresses.
    """

    outside_seconds = 0.0

    def __init__(self, calculator: Any) -> None:
        self.calculator = calculator

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """See `Potential.evaluate`.

        Raises:
            CalculatorFaultError: The calculator raised.
        """
        found = []
        for i in range(len(crystals)):
            numbers, frac, lattice = (part.cpu().numpy() for part in crystals.sites(i))
            try:
                found.append(server.evaluate(self.calculator, server.Crystal(numbers, frac, lattice)))
            except Exception as fault:
                raise CalculatorFaultError(server.in_words(fault)) from fault
        return gathered(crystals, found)


def gathered(crystals: Crystals, found: list[server.Evaluated]) -> Evaluation:
    """One evaluation of a batch from those of its single crystals."""
    b, n_max = crystals.numbers.shape
    energy, forces = np.zeros(b), np.zeros((b, n_max, 3))
    stress, magmoms = np.zeros((b, 3, 3)), np.zeros((b, n_max))
    for i, (n, one) in enumerate(zip(crystals.n_atoms.tolist(), found, strict=True)):
        energy[i], forces[i, :n], stress[i] = one.energy, one.forces, one.stress
        magmoms[i, :n] = np.nan if one.magmoms is None else one.magmoms
    return Evaluation(*(torch.from_numpy(part) for part in (energy, forces, stress, magmoms)))


def evaluate_with_fallback(
    crystals: Crystals,
    evaluate: Callable[[Crystals], list[float]],
    lost: float,
    faults: tuple[type[Exception], ...] = FAULTS,
) -> list[float]:
    """Values of B crystals from one call; where it fails each is evaluated alone, so that only those at fault are lost.

    Arguments:
        crystals: B crystals.
        evaluate: Returns a value of each of some crystals, such as eV/atom, or raises one of ``faults``.
        lost: The value of a crystal at fault, in the same unit; NaN or infinity.
        faults: Exceptions that say that a crystal cannot be evaluated.
    """
    try:
        return evaluate(crystals)
    except faults:
        if len(crystals) <= 1:
            return [lost] * len(crystals)
        alone = (crystals[i : i + 1] for i in range(len(crystals)))
        return [evaluate_with_fallback(crystal, evaluate, lost, faults)[0] for crystal in alone]
