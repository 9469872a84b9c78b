"""Relaxation inside a space group against the free one, and its gradient against differences."""

import numpy as np
import pytest
import torch

from nucleate.potentials.registry import load_potential
from nucleate.search.cell_priors import drawn
from nucleate.search.group_relaxation import relaxed_in_group
from nucleate.search.protostructure_filling import FillSettings, fill
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.wyckoff_parametrization import layout

RUTILE = "A2B_tP6_136_f_a:Cu-Ag".replace("Cu-Ag", "Ag-Cu")


@pytest.fixture(scope="module")
def emt():
    return load_potential("ase:emt")


def _start(label: str, count: int):
    protostructure = Protostructure.parse(label)
    map_ = layout(protostructure)
    from nucleate.search.proxy_energy import ProxyEnergy

    rng = np.random.default_rng(0)
    return map_, *drawn(map_, protostructure.space_group, ProxyEnergy(map_).log_volume, count, rng)


def test_forces_and_stresses_vanish_at_the_end(emt) -> None:
    map_, free, strain = _start("AB_cF8_225_a_b:Ag-Cu", 2)
    found = relaxed_in_group(map_, free, strain, emt, 60, fmax=1e-3)
    assert found.converged.all()
    end = emt.evaluate(map_.crystals(found.free, found.strain))
    assert end.forces.abs().max() < 1e-3
    assert (end.stress.abs().amax((1, 2)) * map_.crystals(found.free, found.strain).volume / 2 < 1e-3).all()
    torch.testing.assert_close(end.energy / map_.n_sites, found.energy)
    torch.testing.assert_close(found.energy[0], found.energy[1], rtol=0, atol=1e-4)


def test_gradient_is_that_of_the_energy(emt) -> None:
    from nucleate.search import group_relaxation

    map_, free, strain = _start(RUTILE, 2)
    x = torch.cat([free, strain], 1)
    every = torch.ones(2, dtype=torch.bool)
    _, gradient, _ = group_relaxation._evaluated(map_, x, every, emt)
    for k in range(x.shape[1]):
        step = torch.zeros_like(x)
        step[:, k] = 1e-5
        up, down = (group_relaxation._evaluated(map_, here, every, emt)[0] for here in (x + step, x - step))
        torch.testing.assert_close(gradient[:, k], (up - down) / 2e-5, rtol=1e-3, atol=1e-4)


def test_calls_are_counted_and_bounded(emt) -> None:
    calls = 0

    class Counting:
        outside_seconds = 0.0

        def evaluate(self, crystals):
            nonlocal calls
            calls += len(crystals)
            return emt.evaluate(crystals)

    settings = FillSettings(draws=4, steps=8, keep=2, relaxed=1, calls=12)
    filled = fill([Protostructure.parse(RUTILE)], settings=settings, potential=Counting())
    assert filled.calls == calls <= 12
    assert filled.crystals.crystal_fields["energy"].isfinite().all()
    energies = filled.candidates[0].energy
    assert torch.equal(energies, energies.sort().values)


def test_the_label_survives_relaxation_inside_the_group(emt) -> None:
    asked = [Protostructure.parse(label) for label in ("AB_cF8_225_a_b:Ag-Cu", RUTILE)]
    filled = fill(asked, settings=FillSettings(draws=4, calls=30), potential=emt)
    assert filled.crystals.crystal_fields["carries_label"].all()
