"""CHGNet here gives CHGNet's own numbers, and its written-out derivatives are derivatives."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials import chgnet
from nucleate.potentials.chgnet import CHGNetPotential, build_bond_graph
from nucleate.potentials.chgnet_layers import bessel, fourier
from nucleate.potentials.potential import TooManyBondsError

GPA = 160.21766208


def rough_crystals() -> Crystals:
    """A distorted salt, a one-atom metal with straight angles, a molecule, a left-handed cell, a lone atom."""
    generator = torch.Generator().manual_seed(3)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    salt = torch.tensor([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], dtype=torch.float64)
    return Crystals.from_lists(
        [[11] * 4 + [17] * 4, [26], [6, 8, 8], [22, 8, 8], [36]],
        [
            torch.cat([salt, salt + 0.5]) + 0.03 * noise(8, 3),
            [[0.2, 0.3, 0.4]],
            [[0.5, 0.5, 0.5], [0.5, 0.5, 0.7], [0.5, 0.5, 0.3]],
            [[0, 0, 0], [0.3, 0.3, 0.05], [0.7, 0.7, 0]],
            [[0, 0, 0]],
        ],
        [
            5.6 * torch.eye(3, dtype=torch.float64) + 0.1 * noise(3, 3),
            1.4 * torch.tensor([[-1.0, 1, 1], [1, -1, 1], [1, 1, -1]]),
            5.5 * torch.eye(3),
            torch.tensor([[0.0, 4.6, 0], [4.6, 0, 0], [0, 0, 3.0]]),
            9.0 * torch.eye(3),
        ],
    )


@pytest.fixture(scope="module")
def potential() -> CHGNetPotential:
    return CHGNetPotential()


@pytest.fixture(scope="module")
def exact() -> CHGNetPotential:
    """The same network in double precision."""
    read = chgnet._read_weights
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chgnet, "_read_weights", lambda: {k: v.double() for k, v in read().items()})
        return CHGNetPotential()


def test_numbers_equal_those_of_the_chgnet_package(potential: CHGNetPotential) -> None:
    from pymatgen.core import Structure

    with contextlib.redirect_stdout(io.StringIO()):
        from chgnet.model import CHGNet

        theirs = CHGNet.load(verbose=False, use_device="cpu")
    crystals = rough_crystals()[:4]
    found = potential.evaluate(crystals)
    for i in range(len(crystals)):
        numbers, frac, lattice = crystals.sites(i)
        n = len(numbers)
        wanted = theirs.predict_structure(Structure(lattice.numpy(), numbers.tolist(), frac.numpy()))
        handedness = float(torch.linalg.det(lattice).sign())  # the package divides by a signed volume
        np.testing.assert_allclose(found.energy[i] / n, wanted["e"], atol=1e-5)
        np.testing.assert_allclose(found.forces[i, :n], wanted["f"], atol=5e-4)
        np.testing.assert_allclose(found.stress[i] * GPA * handedness, wanted["s"], atol=5e-3)
        np.testing.assert_allclose(found.magmoms[i, :n], wanted["m"], atol=1e-4)


def test_a_batch_gives_what_its_crystals_give(potential: CHGNetPotential) -> None:
    crystals = rough_crystals()
    together = potential.evaluate(crystals)
    for i, crystal in enumerate(crystals):
        alone, n = potential.evaluate(crystal), int(crystals.n_atoms[i])
        assert float((together.energy[i] - alone.energy[0]).abs()) < 1e-5 * n
        torch.testing.assert_close(together.forces[i, :n], alone.forces[0], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(together.stress[i], alone.stress[0], atol=1e-6, rtol=1e-5)
        assert not together.forces[i, n:].any()
        assert not together.magmoms[i, n:].any()


def test_single_precision_is_precise_enough(potential: CHGNetPotential, exact: CHGNetPotential) -> None:
    crystals = rough_crystals()
    rough, fine = potential.evaluate(crystals), exact.evaluate(crystals)
    torch.testing.assert_close(rough.forces, fine.forces, atol=1e-4, rtol=0)
    torch.testing.assert_close(rough.energy, fine.energy, atol=1e-4, rtol=0)


@pytest.mark.parametrize("cutoff", [3.0, 6.0])
def test_slopes_of_the_bases(cutoff: float) -> None:
    x = torch.linspace(0.7, 7, 40, dtype=torch.float64, requires_grad=True)
    for function in (
        lambda r: bessel(r, torch.arange(1, 32, dtype=torch.float64), cutoff),
        lambda a: fourier(a, torch.arange(1, 16, dtype=torch.float64)),
    ):
        values, slopes = function(x)
        weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        (wanted,) = torch.autograd.grad((values * weights).sum(), x)
        torch.testing.assert_close((slopes * weights).sum(1), wanted)


def test_bonds_and_angles_of_a_simple_cubic_crystal() -> None:
    crystal = Crystals.from_lists([[84]], [[[0.1, 0.2, 0.3]]], [torch.eye(3) * 2.9])
    graph = build_bond_graph(crystal, 4.2, 3.0)
    assert len(graph.first) == 9  # 6 neighbours at a and 12 at a*sqrt(2), each bond once
    assert graph.n_short == 3
    assert len(graph.angle_centre) == 6 * 5


def test_unknown_elements_and_collapsed_cells_are_refused(potential: CHGNetPotential) -> None:
    with pytest.raises(UserError, match="95"):
        potential.evaluate(Crystals.from_lists([[95]], [[[0, 0, 0]]], [torch.eye(3) * 4]))
    with pytest.raises(TooManyBondsError, match="collapsed"):
        potential.evaluate(Crystals.from_lists([[6] * 20], [torch.rand(20, 3)], [torch.eye(3) * 0.5]))


def test_no_crystals_give_no_energies(potential: CHGNetPotential) -> None:
    assert potential.evaluate(Crystals.from_lists([], [], [])).energy.shape == (0,)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    CHGNetPotential().evaluate(rough_crystals())
    assert capfd.readouterr().out == ""
