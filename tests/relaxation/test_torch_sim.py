"""Crystals relaxed together by TorchSim end where our own relaxer ends, each with its own status."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status, UserError
from nucleate.execution.executor import Serial
from nucleate.io.interop import from_ase
from nucleate.relaxation.relaxation import PotentialRelaxer, load_relaxer
from nucleate.relaxation.relaxer import RELAX_V1
from nucleate.symmetry.space_group import space_groups

TEXTBOOK = [
    bulk("Si", "diamond", a=5.5),
    bulk("NaCl", "rocksalt", a=5.7),
    bulk("Cu", "fcc", a=3.7),
    bulk("MgO", "rocksalt", a=4.3),
    bulk("Fe", "bcc", a=2.9),
]


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_sim", None)
    for name in ("nucleate.potentials.torch_sim", "nucleate.relaxation.torch_sim"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(UserError, match=r"pip install 'nucleate\[torchsim\]'"):
        load_relaxer("torchsim")


def test_other_potentials_are_relaxed_one_by_one():
    assert isinstance(load_relaxer("ase:emt"), PotentialRelaxer)


@pytest.fixture
def relaxer():
    """Makes the relaxer of a protocol, where TorchSim is installed."""
    pytest.importorskip("torch_sim", reason="TorchSim is not installed")
    from nucleate.relaxation.torch_sim import TorchSimRelaxer

    def made(protocol=RELAX_V1, choice="torchsim,device=cpu"):
        found = load_relaxer(choice, protocol=protocol)
        assert isinstance(found, TorchSimRelaxer)
        return found

    return made


def test_textbook_crystals_end_at_the_energies_of_our_own_relaxer(relaxer):
    crystals = from_ase(TEXTBOOK)
    want = dict(PotentialRelaxer(executor=Serial()).relax(crystals, rattle_seed=1))
    found = dict(relaxer().relax(crystals, rattle_seed=1))
    assert sorted(found) == list(range(len(crystals)))
    for i, one in found.items():
        assert one.status == want[i].status == Status.OK
        assert one.energy_per_atom == pytest.approx(want[i].energy_per_atom, abs=2e-3)
        assert one.initial_energy_per_atom == pytest.approx(want[i].initial_energy_per_atom, abs=1e-5)
        assert one.n_steps > 1
        assert one.seconds > 0
        volumes = (abs(np.linalg.det(outcome.lattice)) for outcome in (one, want[i]))
        assert np.divide(*volumes) == pytest.approx(1, abs=0.02)
        assert int(space_groups(Crystals.from_lists([one.numbers], [one.frac], [one.lattice]), 0.01)[0]) > 194


def test_batches_and_numbers_in_the_request_change_nothing(relaxer):
    crystals = from_ase(TEXTBOOK[:3])
    together = dict(relaxer().relax(crystals, rattle_seed=1))
    parts = dict(relaxer(choice="torchsim,device=cpu,batch_sites=1").relax(crystals, rattle_seed=1))
    alone = dict(relaxer().relax(crystals[2:], rattle_seed=1, indices=[2]))
    for i, one in together.items():
        assert parts[i].energy_per_atom == pytest.approx(one.energy_per_atom, abs=1e-4)
    assert alone[0].energy_per_atom == pytest.approx(together[2].energy_per_atom, abs=1e-4)


def test_each_crystal_has_its_own_end(relaxer):
    good = bulk("Cu", "fcc", a=3.7)
    close, unknown, apart = bulk("Cu", "fcc", a=3.7), bulk("Cu", "fcc", a=3.7), bulk("Ar", "sc", a=7.0)
    close.set_cell(0.1 * close.cell[:])
    unknown.numbers[:] = 97
    found = dict(relaxer().relax(from_ase([close, good, unknown, apart]), rattle_seed=0))
    assert [found[i].status for i in range(4)] == [Status.INVALID_GEOMETRY, Status.OK, Status.ERROR, Status.EXPLODED]
    assert "elements up to 94" in found[2].reason
    assert "no neighbour" in found[3].reason
    np.testing.assert_allclose(found[0].lattice, close.cell[:])


def test_limits_are_those_of_the_protocol(relaxer):
    crystals = from_ase(TEXTBOOK[:2])
    few = dict(relaxer(replace(RELAX_V1, max_steps=3, fmax=1e-6)).relax(crystals, rattle_seed=0))
    assert {one.status for one in few.values()} == {Status.UNCONVERGED}
    assert {one.n_steps for one in few.values()} == {3}
    assert "after 3 steps" in few[0].reason
    late = dict(relaxer(replace(RELAX_V1, max_seconds=1e-9)).relax(crystals, rattle_seed=0))
    assert {one.status for one in late.values()} == {Status.TIME_LIMIT}
    still = dict(relaxer(replace(RELAX_V1, fmax=float("inf"), max_steps=1, symmetrize=False)).relax(crystals))
    for i, one in still.items():
        assert (one.status, one.n_steps) == (Status.OK, 1)
        assert one.energy_per_atom == one.initial_energy_per_atom
        np.testing.assert_allclose(one.lattice, crystals.lattice[i].numpy(), atol=1e-9)


class Broken:
    """CHGNet with an energy that is no number for crystals of copper that are larger than at first."""

    outside_seconds = 0.0

    def __init__(self):
        from nucleate.potentials.chgnet import CHGNetPotential

        self.chgnet, self.calls = CHGNetPotential(), 0

    def evaluate(self, crystals):
        self.calls += 1
        found = self.chgnet.evaluate(crystals)
        if self.calls > 3:
            found.energy[(crystals.numbers == 29).any(1)] = torch.nan
        return found


def test_numbers_that_are_not_finite_cost_one_crystal(relaxer):
    from nucleate.potentials.torch_sim import PotentialModel

    made = relaxer()
    made.potential.model = PotentialModel(Broken())
    found = dict(made.relax(from_ase([bulk("Cu", "fcc", a=3.8), bulk("Si", "diamond", a=5.5)]), rattle_seed=0))
    assert (found[0].status, found[0].reason) == (Status.NOT_FINITE, "energy or forces are not finite")
    assert np.isnan(found[0].energy_per_atom)
    assert found[1].status == Status.OK
