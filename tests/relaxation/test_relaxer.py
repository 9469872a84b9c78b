"""Symmetry after relaxation: it comes back where it costs nothing, and stays lost where the energy is lower without."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status
from nucleate.potentials.chgnet import CHGNetPotential
from nucleate.potentials.potential import Evaluation
from nucleate.relaxation.relaxation import relax
from nucleate.relaxation.relaxer import RELAX_V1, Relaxed, symmetrize
from nucleate.symmetry.space_group import space_groups

NUMBERS = np.array([12, 8])
FRAC = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
PRIMITIVE = 2.12 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])


def group(found, tolerance):
    crystal = Crystals.from_lists([found.numbers], [found.frac], [found.lattice])
    return int(space_groups(crystal, tolerance)[0])


def test_a_rattled_rock_salt_comes_back_exactly():
    potential = CHGNetPotential()
    plain = relax(NUMBERS, FRAC, PRIMITIVE, potential, replace(RELAX_V1, symmetrize=False), (3, 0))
    found = relax(NUMBERS, FRAC, PRIMITIVE, potential, RELAX_V1, (3, 0))
    assert group(plain, 1e-3) != 225
    assert group(found, 1e-3) == 225
    assert found.status == Status.OK
    assert found.energy_per_atom <= plain.energy_per_atom + 1e-3
    assert found.n_steps > plain.n_steps
    assert found.initial_energy_per_atom == plain.initial_energy_per_atom


class Displaced:
    """A cubic cell of two atoms whose second one has a minimum beside the centre, lower by a given energy."""

    outside_seconds = 0.0

    def __init__(self, depth):
        self.depth = depth

    def evaluate(self, crystals):
        frac = crystals.frac.double().clone().requires_grad_()
        lattice = crystals.lattice.double()
        apart = frac[:, 1] - frac[:, 0] - 0.5
        away = torch.einsum("bi,bij->bj", apart - apart.round(), lattice)
        # A double well along x, harmonic elsewhere, and a spring on the cell.
        x = away[:, 0] / 0.2
        energy = self.depth * (x**4 - 2 * x**2) + 4.0 * away[:, 1:].square().sum(1)
        strain = torch.zeros(len(frac), 3, 3, dtype=torch.float64, requires_grad=True)
        cell = lattice @ (torch.eye(3, dtype=torch.float64) + strain)
        spring = 10.0 * (cell - 4.0 * torch.eye(3, dtype=torch.float64)).square().sum((1, 2))
        (by_frac,) = torch.autograd.grad(energy.sum(), frac)
        (by_strain,) = torch.autograd.grad(spring.sum(), strain)
        stress = by_strain / crystals.volume.double()[:, None, None]
        forces = -by_frac @ torch.linalg.inv(lattice).mT
        moments = torch.full(crystals.numbers.shape, torch.nan, dtype=torch.float64)
        return Evaluation((energy + spring).detach(), forces.detach(), 0.5 * (stress + stress.mT).detach(), moments)


@pytest.mark.parametrize(("depth", "stays"), [(0.05, True), (0.0005, False)])
def test_a_distortion_stays_where_it_gains_more_than_noise(depth, stays):
    start = FRAC + np.array([[0, 0, 0], [0.04, 0, 0]])
    found = relax(np.array([55, 17]), start, 4.0 * np.eye(3), Displaced(depth), replace(RELAX_V1, fmax=0.002), None)
    assert found.status == Status.OK
    assert (group(found, 0.01) != 221) is stays
    if stays:
        assert found.energy_per_atom == pytest.approx(-depth / 2, abs=1e-4)


def test_unrelaxed_crystals_are_left_alone():
    tight = replace(RELAX_V1, max_steps=2)
    found = relax(NUMBERS, FRAC, PRIMITIVE, CHGNetPotential(), tight, (3, 0))
    assert found.status == Status.UNCONVERGED
    assert found.n_steps == 2


def test_needles_are_left_alone():
    needle = Relaxed(
        Status.OK, "", NUMBERS, FRAC, np.diag([3.0, 3.0, 240.0]), energy_per_atom=-1.0, initial_energy_per_atom=0.0
    )
    assert symmetrize(needle, lambda *_: pytest.fail("relaxed again")) is needle
