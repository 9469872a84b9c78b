import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.potentials.potential import Evaluation
from nucleate.thermo.equation_of_state import GPA, RATIOS, birch_murnaghan, equations_of_state


def energy(volume, v0, e0, b0, b1):
    """Birch's equation as it is written (b0 in eV/Å³)."""
    eta = (v0 / volume) ** (2 / 3)
    return e0 + 9 * v0 * b0 / 16 * ((eta - 1) ** 3 * b1 + (eta - 1) ** 2 * (6 - 4 * eta))


def pressure(volume, v0, b0, b1):
    """Birch's equation for the pressure, as it is written."""
    z = (v0 / volume) ** (1 / 3)
    return 1.5 * b0 * (z**7 - z**5) * (1 + 0.75 * (b1 - 4) * (z**2 - 1))


def test_pressures_say_the_same_and_outvote_rough_energies():
    v0, b0, b1 = (torch.tensor([[value]]).double() for value in (20.0, 0.6, 4.6))
    volumes = 20 * torch.tensor(RATIOS).double()[None]
    e, p = energy(volumes, v0, 0.0, b0, b1), pressure(volumes, v0, b0, b1)
    found = birch_murnaghan(volumes, e, p)
    assert float(found.bulk_modulus) == pytest.approx(0.6 * GPA, rel=1e-6)
    assert float(found.derivative) == pytest.approx(4.6, rel=1e-4)
    rough = e + 0.003 * torch.tensor([1, -1, 1, -1, 1, -1, 1]).double()
    errors = [abs(float(birch_murnaghan(volumes, rough, q).bulk_modulus) - 0.6 * GPA) for q in (None, p)]
    assert errors[1] < 0.5 * errors[0]


def test_the_parameters_of_the_equation_come_back():
    v0, e0 = torch.tensor([[11.0], [300.0]]), torch.tensor([[-3.0], [-1000.0]])
    b0, b1 = torch.tensor([[160.0], [1.2]]) / GPA, torch.tensor([[4.2], [6.5]])
    v0, e0, b0, b1 = (value.double() for value in (v0, e0, b0, b1))
    volumes = 1.01 * v0 * torch.tensor(RATIOS).double()
    found = birch_murnaghan(volumes, energy(volumes, v0, e0, b0, b1))
    torch.testing.assert_close(found.volume, v0[:, 0])
    torch.testing.assert_close(found.energy, e0[:, 0])
    torch.testing.assert_close(found.bulk_modulus, b0[:, 0] * GPA, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.derivative, b1[:, 0], rtol=1e-4, atol=0)
    assert found.residual.max() < 1e-9


def test_agrees_with_ase_on_energies_that_follow_no_equation():
    from ase.eos import EquationOfState as Ase

    rng = np.random.default_rng(0)
    volumes = 40 * np.array(RATIOS)
    energies = -5 + 0.02 * (volumes - 40.4) ** 2 - 4e-4 * (volumes - 40.4) ** 3 + 1e-5 * rng.normal(size=7)
    v, e, b = Ase(volumes, energies, eos="birchmurnaghan").fit()
    found = birch_murnaghan(torch.tensor(volumes)[None], torch.tensor(energies)[None])
    assert float(found.volume) == pytest.approx(v, rel=1e-6)
    assert float(found.energy) == pytest.approx(e, rel=1e-8)
    assert float(found.bulk_modulus) == pytest.approx(b * GPA, rel=1e-4)


def test_energies_without_a_minimum_are_nan_and_leave_others_alone():
    volumes = 20 * torch.tensor(RATIOS).double().expand(4, -1)
    good = energy(volumes[0], 20.0, 0.0, 0.5, 4.0)
    energies = torch.stack([good, volumes[0], torch.full((7,), torch.nan).double(), -good])
    found = birch_murnaghan(volumes, energies)
    for value in found:
        assert value.isnan().tolist() == [False, True, True, True]
    assert float(found.bulk_modulus[0]) == pytest.approx(0.5 * GPA)


class _Birch:
    """A potential with one equation of state for each number of sites."""

    outside_seconds = 0.0

    def evaluate(self, crystals):
        v0 = 15.0 * crystals.n_atoms
        zeros = torch.zeros_like(crystals.frac)
        stress = -pressure(crystals.volume, v0, 0.4, 4.0)[:, None, None] * torch.eye(3)
        return Evaluation(energy(crystals.volume, v0, -1.0, 0.4, 4.0), zeros, stress, zeros[..., 0])


def test_volumes_move_to_a_minimum_that_is_far_from_the_start():
    cells = [torch.eye(3) * (15.0 * ratio) ** (1 / 3) for ratio in (1.0, 0.9, 1.18)]
    crystals = Crystals.from_lists([[6]] * 3, [[[0, 0, 0]]] * 3, cells)
    found = equations_of_state(crystals, _Birch())
    assert found.volume.tolist() == pytest.approx([15.0] * 3, rel=1e-6)
    assert found.bulk_modulus.tolist() == pytest.approx([0.4 * GPA] * 3, rel=1e-5)
