"""What every potential offers, and how one is found by its name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError


@dataclass(frozen=True)
class Evaluation:
    """What a potential says about a batch of B crystals of at most N sites; padded sites hold 0.

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
    """A source of energies and their derivatives."""

    name: str

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """Energies, forces, stresses and moments of a batch.

        Raises:
            UserError: An element is unknown to the potential.
        """
        ...


def load_potential(name: str) -> Potential:
    """The potential called ``name``: ``chgnet``, or an ASE calculator as ``module:Class``.

    Raises:
        UserError: There is no such name, module or class, or it is no ASE calculator.
    """
    if name == "chgnet":
        from nucleate.energies.chgnet import CHGNetPotential

        return CHGNetPotential()
    module_name, separator, attribute = name.partition(":")
    expected = "'chgnet', or an ASE calculator as 'module:Class'"
    if not separator:
        raise UserError("potential", repr(name), expected)
    try:
        made = getattr(importlib.import_module(module_name), attribute)()
    except (ImportError, AttributeError, TypeError) as fault:
        raise UserError("potential", f"{name!r} ({fault})", expected) from fault
    if not hasattr(made, "get_property"):
        raise UserError("potential", f"{name!r}, which makes a {type(made).__name__}", expected)
    return CalculatorPotential(name, made)


class CalculatorPotential:
    """Any ASE calculator as a potential; its crystals are evaluated one by one.

    Arguments:
        name: What the potential is called in reports.
        calculator: An ASE calculator with energies, forces and stresses.
    """

    def __init__(self, name: str, calculator: Any) -> None:
        self.name = name
        self.calculator = calculator

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """See `Potential.evaluate`."""
        from ase import Atoms

        b, n_max = crystals.numbers.shape
        energy, forces = np.zeros(b), np.zeros((b, n_max, 3))
        stress, magmoms = np.zeros((b, 3, 3)), np.zeros((b, n_max))
        for i in range(b):
            numbers, frac, lattice = (part.cpu().numpy() for part in crystals.sites(i))
            n = len(numbers)
            atoms = Atoms(numbers=numbers, scaled_positions=frac, cell=lattice, pbc=True, calculator=self.calculator)
            energy[i] = atoms.get_potential_energy()
            forces[i, :n] = atoms.get_forces()
            stress[i] = atoms.get_stress(voigt=False)
            moments = self.calculator.results.get("magmoms")
            magmoms[i, :n] = np.nan if moments is None else np.abs(moments)
        return Evaluation(*(torch.from_numpy(part) for part in (energy, forces, stress, magmoms)))
