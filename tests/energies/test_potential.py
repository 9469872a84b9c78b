"""Potentials are found by name, and any ASE calculator is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.energies.potential import load_potential
from nucleate.errors import UserError

FCC = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


@pytest.mark.parametrize("name", ["nothing", "no.module:Class", "ase.atoms:Nothing", "ase.atoms:Atoms"])
def test_unknown_potentials_are_the_users_mistake(name: str) -> None:
    with pytest.raises(UserError, match="potential"):
        load_potential(name)


def test_a_calculator_without_moments_says_so() -> None:
    crystals = Crystals.from_lists([[18] * 4], [FCC], [torch.eye(3) * 5.3])
    assert torch.isnan(load_potential("ase.calculators.lj:LennardJones").evaluate(crystals).magmoms).all()


def test_a_calculator_gives_what_ase_gives() -> None:
    from ase import Atoms
    from ase.calculators.lj import LennardJones

    frac, lattice = FCC + 0.01 * np.arange(12).reshape(4, 3), 1.6 * np.eye(3)
    atoms = Atoms(numbers=[18] * 4, scaled_positions=frac, cell=lattice, pbc=True, calculator=LennardJones())
    crystals = Crystals.from_lists([[18], [18] * 4], [[[0, 0, 0]], frac], [lattice, lattice])
    found = load_potential("ase.calculators.lj:LennardJones").evaluate(crystals)
    assert float(found.energy[1]) == pytest.approx(atoms.get_potential_energy())
    np.testing.assert_allclose(found.forces[1], atoms.get_forces(), atol=1e-8)
    np.testing.assert_allclose(found.stress[1], atoms.get_stress(voigt=False), atol=1e-10)
    assert not found.forces[0, 1:].any()
