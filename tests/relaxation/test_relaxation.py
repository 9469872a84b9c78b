"""Relaxation ends in the minimum that ASE finds, and every crystal gets an outcome."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status
from nucleate.execution.processes import Processes
from nucleate.potentials.potential import CalculatorPotential
from nucleate.relaxation import relaxation
from nucleate.relaxation.relaxation import FrechetCoordinates, PotentialRelaxer, relax, spring_hessian
from nucleate.relaxation.relaxer import RelaxProtocol

FCC = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
HERE = Path(__file__).parents[1] / "potentials"
sys.path.append(str(HERE))  # worker processes inherit the path, and must be able to import what they run
Argon, Gas = (getattr(importlib.import_module("unruly_calculators"), name) for name in ("Argon", "Gas"))


def rough_argon(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    lattice = 5.3 * np.eye(3) + 0.2 * generator.standard_normal((3, 3))
    return np.full(4, 18), FCC + 0.02 * generator.standard_normal((4, 3)), lattice


def test_gradient_in_the_unknowns_is_that_of_the_energy() -> None:
    numbers, frac, lattice = rough_argon()
    potential, coordinates = CalculatorPotential(Argon()), FrechetCoordinates(frac, lattice)

    def energy(x: np.ndarray) -> tuple[float, np.ndarray]:
        here, cell = coordinates.crystal(x)
        found = potential.evaluate(Crystals.from_lists([numbers], [here], [cell]))
        virial = found.stress[0].numpy() * abs(np.linalg.det(cell))
        return float(found.energy[0]), coordinates.gradient(x, found.forces[0].numpy(), virial)

    generator, h = np.random.default_rng(1), 1e-5
    x = coordinates.initial() + 0.1 * generator.standard_normal(18)
    gradient = energy(x)[1]
    for direction in generator.standard_normal((4, 18)):
        numeric = (energy(x + h * direction)[0] - energy(x - h * direction)[0]) / (2 * h)
        assert numeric == pytest.approx(gradient @ direction, abs=1e-6)


def test_convergence_is_measured_as_ase_does() -> None:
    from ase import Atoms
    from ase.filters import FrechetCellFilter

    numbers, frac, lattice = rough_argon()
    atoms = Atoms(numbers=numbers, scaled_positions=frac, cell=lattice, pbc=True, calculator=Argon())
    wanted = np.linalg.norm(FrechetCellFilter(atoms).get_forces(), axis=1).max()
    coordinates = FrechetCoordinates(frac, lattice)
    virial = atoms.get_stress(voigt=False) * atoms.get_volume()
    gradient = coordinates.gradient(coordinates.initial(), atoms.get_forces(), virial)
    assert coordinates.largest_force(gradient) == pytest.approx(wanted, rel=1e-6)


def test_relaxed_argon_is_what_ase_relaxes_it_to() -> None:
    from ase import Atoms
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    numbers, frac, lattice = rough_argon()
    found = relax(numbers, frac, lattice, CalculatorPotential(Argon()), RelaxProtocol(fmax=0.001))
    atoms = Atoms(numbers=numbers, scaled_positions=frac, cell=lattice, pbc=True, calculator=Argon())
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.001, steps=1000)
    assert found.status is Status.OK
    assert found.energy_per_atom == pytest.approx(atoms.get_potential_energy() / 4, abs=1e-5)
    assert abs(np.linalg.det(found.lattice)) == pytest.approx(atoms.get_volume(), rel=1e-3)
    assert found.initial_energy_per_atom > found.energy_per_atom
    assert ((found.frac >= 0) & (found.frac < 1)).all()


def test_spring_hessian_is_positive_and_knows_no_position_in_space() -> None:
    numbers, frac, lattice = rough_argon()
    hessian = spring_hessian(FrechetCoordinates(frac, lattice), numbers)
    moved = spring_hessian(FrechetCoordinates(frac + np.array([0.3, 0.1, -0.7]), lattice), numbers)
    np.testing.assert_allclose(hessian, moved, atol=1e-8)
    assert np.linalg.eigvalsh(hessian).min() > 1


@pytest.mark.parametrize(
    ("frac", "lattice", "status"),
    [
        ([[0, 0, 0], [0.01, 0, 0]], 4 * np.eye(3), Status.INVALID_GEOMETRY),
        ([[0, 0, 0]], np.diag([0.2, 10, 10]), Status.INVALID_GEOMETRY),
        ([[0, 0, 0]], np.zeros((3, 3)), Status.INVALID_GEOMETRY),
        ([[0, 0, 0]], 20 * np.eye(3), Status.INVALID_GEOMETRY),
        (np.zeros((0, 3)), np.eye(3), Status.INVALID_GEOMETRY),
        ([[0, 0, np.nan]], 4 * np.eye(3), Status.NOT_FINITE),
        ([[0, 0, 0]], np.full((3, 3), np.inf), Status.NOT_FINITE),
    ],
)
def test_bad_geometry_is_an_outcome(frac: object, lattice: np.ndarray, status: Status) -> None:
    found = relax(np.full(len(frac), 18), np.array(frac, float), lattice, CalculatorPotential(Argon()))  # type: ignore[arg-type]
    assert found.status is status
    assert found.reason
    assert np.isnan(found.energy_per_atom)


def test_limits_and_explosions_are_outcomes() -> None:
    argon, gas = CalculatorPotential(Argon()), CalculatorPotential(Gas())
    assert relax(*rough_argon(), argon, RelaxProtocol(max_steps=3)).status is Status.UNCONVERGED
    slow = relax(*rough_argon(), argon, RelaxProtocol(max_seconds=0.0))
    assert slow.status is Status.TIME_LIMIT
    assert "eV/Å after" in slow.reason
    assert relax(*rough_argon(), gas).status is Status.EXPLODED


def test_rattle_breaks_symmetry_and_depends_on_seed_and_index_only() -> None:
    numbers, lattice = np.full(4, 18), 5.3 * np.eye(3)
    argon, once = CalculatorPotential(Argon()), RelaxProtocol(max_steps=1)
    still, first, again, other = (relax(numbers, FCC, lattice, argon, once, r) for r in (None, (5, 0), (5, 0), (5, 1)))
    np.testing.assert_array_equal(still.frac, FCC)
    np.testing.assert_array_equal(first.frac, again.frac)
    assert np.abs(first.frac - other.frac).max() > 1e-4
    assert 0.001 < np.abs(first.lattice - lattice).max() / 5.3 < 0.05


def test_one_bad_crystal_never_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaxation, "GRACE_SECONDS", 0.0)
    _, frac, lattice = rough_argon()
    elements = [18, 2, 10, 36, 54, 18]
    crystals = Crystals.from_lists([[z] * 4 for z in elements], [frac] * 6, [lattice] * 6)
    found = dict(
        PotentialRelaxer(
            "unruly_calculators:Moody", protocol=RelaxProtocol(max_seconds=2.0), executor=Processes(2)
        ).relax(crystals)
    )
    assert [found[i].status for i in range(6)] == [
        Status.OK,
        Status.TIME_LIMIT,
        Status.ERROR,
        Status.NOT_FINITE,
        Status.ERROR,
        Status.OK,
    ]
    assert "died" in found[2].reason
    assert "no xenon" in found[4].reason
    assert found[1].numbers.tolist() == [2] * 4
    np.testing.assert_array_equal(found[0].lattice, found[5].lattice)


@pytest.mark.slow
def test_chgnet_relaxes_salt_to_the_energy_of_its_own_relaxer() -> None:
    import contextlib
    import io

    from pymatgen.core import Structure

    generator = np.random.default_rng(0)
    frac = np.concatenate([FCC, FCC + 0.5]) + 0.02 * generator.standard_normal((8, 3))
    crystals = Crystals.from_lists([[11] * 4 + [17] * 4], [frac], [5.4 * torch.eye(3)])
    [(_, found)] = PotentialRelaxer(executor=Processes(1)).relax(crystals)
    with contextlib.redirect_stdout(io.StringIO()):
        from chgnet.model import StructOptimizer

        wanted = StructOptimizer(use_device="cpu").relax(
            Structure(5.4 * np.eye(3), ["Na"] * 4 + ["Cl"] * 4, frac), fmax=0.05, verbose=False
        )
    assert found.status is Status.OK
    assert found.energy_per_atom == pytest.approx(wanted["trajectory"].energies[-1] / 8, abs=0.002)
