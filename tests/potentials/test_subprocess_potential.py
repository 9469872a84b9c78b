"""A calculator in another interpreter gives the numbers of one in this, and no misbehaviour of it ends a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status, UserError
from nucleate.execution.processes import Processes
from nucleate.potentials import subprocess_potential
from nucleate.potentials.potential import CalculatorFaultError
from nucleate.potentials.registry import load_potential, provenance_of
from nucleate.potentials.subprocess_potential import InterpreterLostError, SubprocessPotential
from nucleate.relaxation import relaxation
from nucleate.relaxation.relaxation import PotentialRelaxer, relax
from nucleate.relaxation.relaxer import RelaxProtocol

FCC = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
HERE = Path(__file__).parent
MODULE = "unruly_calculators"


@pytest.fixture(autouse=True)
def reachable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def rough(numbers: list[int], edge: float, seed: int = 0) -> Crystals:
    generator = np.random.default_rng(seed)
    frac = FCC + 0.03 * generator.standard_normal((4, 3))
    return Crystals.from_lists([numbers], [frac], [edge * np.eye(3) + 0.1 * generator.standard_normal((3, 3))])


@pytest.fixture(scope="module")
def emt():
    with SubprocessPotential("ase:emt", {}, sys.executable) as potential:
        yield potential


def test_both_ways_give_the_same_numbers(emt):
    crystals = Crystals.concatenate([rough([29, 29, 29, 79], 3.8), rough([13] * 4, 4.0, 1)])
    here, there = load_potential("ase:emt").evaluate(crystals), emt.evaluate(crystals)
    for name in ("energy", "forces", "stress"):
        assert torch.equal(getattr(here, name), getattr(there, name))
    assert torch.isfinite(there.energy).all()
    assert there.energy.dtype == torch.float64
    assert emt.outside_seconds > 0


def test_keyword_arguments_arrive(emt):
    crystals = rough([18] * 4, 5.3)
    choice = f"{MODULE}:scaled,epsilon=0.25,note=any text"
    one, other = (load_potential(f"{MODULE}:scaled,epsilon={e}", sys.executable) for e in (0.1, 0.2))
    assert float(other.evaluate(crystals).energy) == pytest.approx(2 * float(one.evaluate(crystals).energy))
    assert provenance_of(choice, sys.executable).scale == f'{MODULE}:scaled,epsilon=0.25,note="any text"'


def test_moments_arrive_and_are_unknown_where_there_are_none(emt):
    crystals = rough([29] * 4, 3.6)
    assert torch.isnan(emt.evaluate(crystals).magmoms).all()


def test_forces_and_stresses_are_derivatives_of_the_energy(emt):
    crystals = rough([29, 29, 29, 79], 3.8)
    numbers, frac, lattice = (part.numpy() for part in crystals.sites(0))
    found = emt.evaluate(crystals)

    def energy(cart: np.ndarray, cell: np.ndarray) -> float:
        here = np.linalg.solve(cell.T, cart.T).T
        return float(emt.evaluate(Crystals.from_lists([numbers], [here], [cell])).energy)

    h, cart = 1e-4, frac @ lattice
    for i, axis in ((0, 0), (1, 2), (3, 1)):
        moved = np.zeros_like(cart)
        moved[i, axis] = h
        slope = (energy(cart + moved, lattice) - energy(cart - moved, lattice)) / (2 * h)
        assert float(found.forces[0, i, axis]) == pytest.approx(-slope, abs=1e-6)
    volume = abs(np.linalg.det(lattice))
    for a, b in ((0, 0), (1, 1), (0, 1), (1, 2)):
        strain = np.zeros((3, 3))
        strain[a, b] = strain[b, a] = h if a == b else h / 2
        plus, minus = np.eye(3) + strain, np.eye(3) - strain
        slope = (energy(cart @ plus, lattice @ plus) - energy(cart @ minus, lattice @ minus)) / (2 * h)
        assert float(found.stress[0, a, b]) * volume == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize(("symbol", "number", "edge"), [("Cu", 29, 3.7), ("Al", 13, 3.9), ("Pt", 78, 4.0)])
def test_lattice_constants_are_those_of_ases_own_relaxation(emt, symbol, number, edge):
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    primitive = edge / 2 * (np.ones((3, 3)) - np.eye(3))
    found = relax(np.array([number]), np.zeros((1, 3)), primitive, emt, RelaxProtocol(fmax=0.001))
    atoms = bulk(symbol, "fcc", a=edge)
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.001, steps=100)
    assert found.status is Status.OK
    ours, theirs = ((4 * volume) ** (1 / 3) for volume in (abs(np.linalg.det(found.lattice)), atoms.get_volume()))
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert found.energy_per_atom == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


def test_relaxation_counts_the_time_of_the_other_process(emt):
    crystals = rough([29] * 4, 3.9)
    arrays = [part.numpy() for part in crystals.sites(0)]
    before = emt.outside_seconds
    found = relax(*arrays, emt)
    assert found.seconds >= emt.outside_seconds - before > 0
    assert relax(*arrays, emt, RelaxProtocol(max_seconds=0.0)).status is Status.TIME_LIMIT


def test_no_print_and_no_prompt_disturbs_the_conversation():
    crystals = rough([18] * 4, 5.3)
    with SubprocessPotential(f"{MODULE}:Noisy", {}, sys.executable) as noisy:
        first, second = noisy.evaluate(crystals), noisy.evaluate(crystals)
    quiet = load_potential(f"{MODULE}:Argon", sys.executable).evaluate(crystals)
    assert torch.equal(first.energy, quiet.energy)
    assert torch.equal(second.forces, quiet.forces)


def test_a_calculator_that_raises_goes_on_and_one_that_dies_is_started_again(monkeypatch, tmp_path):
    monkeypatch.setenv("DIARY", str(tmp_path / "diary"))
    good, xenon, neon = (rough([z] * 4, 5.3) for z in (18, 54, 10))
    with SubprocessPotential(f"{MODULE}:Diarist", {}, sys.executable) as moody:
        energy = moody.evaluate(good).energy
        with pytest.raises(CalculatorFaultError, match=r"^RuntimeError: no xenon$"):
            moody.evaluate(xenon)
        assert torch.equal(moody.evaluate(good).energy, energy)
        with pytest.raises(InterpreterLostError, match=r"exit code -9"):
            moody.evaluate(neon)
        assert torch.equal(moody.evaluate(good).energy, energy)
    assert len(set((tmp_path / "diary").read_text().split())) == 2


def test_the_last_words_of_a_dying_process_are_told():
    with (
        SubprocessPotential(f"{MODULE}:Quitter", {}, sys.executable) as quitter,
        pytest.raises(InterpreterLostError, match=r"exit code 7\): Segmentation fault in the model"),
    ):
        quitter.evaluate(rough([18] * 4, 5.3))


def test_one_bad_crystal_never_stops_the_others(monkeypatch, tmp_path):
    monkeypatch.setattr(relaxation, "GRACE_SECONDS", 0.0)
    monkeypatch.setenv("DIARY", str(tmp_path / "diary"))
    _, frac, lattice = (part.numpy() for part in rough([18] * 4, 5.3).sites(0))
    elements = [18, 2, 10, 54]
    crystals = Crystals.from_lists([[z] * 4 for z in elements], [frac] * 4, [lattice] * 4)
    protocol, choice = RelaxProtocol(max_seconds=1.0), f"{MODULE}:Diarist"
    found = dict(PotentialRelaxer(choice, sys.executable, protocol, Processes(2)).relax(crystals))
    assert [found[i].status for i in range(4)] == [Status.OK, Status.TIME_LIMIT, Status.ERROR, Status.ERROR]
    assert "exit code -9" in found[2].reason
    assert found[3].reason == "RuntimeError: no xenon"
    assert found[1].numbers.tolist() == [2] * 4
    here = relax(np.full(4, 18), frac, lattice, load_potential(f"{MODULE}:Argon", sys.executable), protocol)
    np.testing.assert_array_equal(found[0].lattice, here.lattice)
    processes = [int(line) for line in (tmp_path / "diary").read_text().split()]
    deadline = time.monotonic() + 10
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_lives, processes))  # the one that hangs ended with its worker


@pytest.mark.parametrize(("which", "number"), [("Nowhere", 18), ("Moody", 36)])
def test_what_is_not_finite_is_an_outcome(which, number):
    arrays = [part.numpy() for part in rough([number] * 4, 5.3).sites(0)]
    with SubprocessPotential(f"{MODULE}:{which}", {}, sys.executable) as potential:
        assert relax(*arrays, potential).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("ase:nosuch", "no calculator 'nosuch'"),
        ("ase:lj,sgima=3", "keyword argument 'sgima'"),
        ("nosuch.module:Thing", "no module 'nosuch'"),
        (f"{MODULE}:Nothing", f"no 'Nothing' in {MODULE}"),
        (f"{MODULE}:HERE", "no 'HERE'"),
        (f"{MODULE}:ARGON", "an object of type dict"),
        (f"{MODULE}:Flat", "without stress"),
        (f"{MODULE}:refuses", "FileNotFoundError: no such model: model.pth"),
        (f"{MODULE}:scaled", "missing 1 required positional argument: 'epsilon'"),
        ("ase.atoms:Atoms", "an object of type Atoms"),
        ("mace", "pip install mace-torch"),
        ("nosuch", "one of mace, mattersim, orb, sevenn"),
    ],
)
@pytest.mark.parametrize("python", [None, sys.executable], ids=["here", "there"])
def test_mistakes_are_told_alike_here_and_there(monkeypatch, choice, expected, python):
    monkeypatch.syspath_prepend(str(HERE))
    with pytest.raises(UserError) as told:
        provenance_of(choice, python)
    assert expected in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("/no/such/python", "does not exist"),
        (str(HERE), "the folder"),
        (__file__, "not executable"),
        ("cat", "answers as no Python does"),
        ("true", "exit code 0"),
        ("yes", "answers as no Python does"),
    ],
)
def test_what_is_no_interpreter_is_one_line(python, expected):
    with pytest.raises(UserError, match=expected):
        load_potential("ase:emt", python)


def test_an_interpreter_that_never_answers_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess_potential, "START_SECONDS", 0.3)
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    with pytest.raises(UserError, match="no answer within"):
        load_potential("ase:emt", str(slow))


def test_what_an_interpreter_prints_as_it_starts_is_passed_over(tmp_path):
    chatty = tmp_path / "python"
    chatty.write_text(f'#!/bin/sh\necho "Welcome to the cluster"\necho "{{}}"\nexec "{sys.executable}" "$@"\n')
    chatty.chmod(0o755)
    with SubprocessPotential("ase:emt", {}, str(chatty)) as potential:
        assert torch.isfinite(potential.evaluate(rough([29] * 4, 3.6)).energy).all()


def test_chgnet_is_built_in():
    with pytest.raises(UserError, match="built in"):
        load_potential("chgnet", sys.executable)


@pytest.mark.slow
def test_a_real_second_environment(tmp_path):
    """Its packages are its own: no torch, no nucleate, another version of ASE."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "other"], check=True)
    python = str(tmp_path / "other" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "ase<3.27"], check=True)
    told = provenance_of("ase:emt", python)
    assert told.version.startswith("ase 3.2")
    assert told.place.startswith(f"run by {python} (Python 3.")
    assert str(told).startswith("ase:emt (ase 3.2")
    crystals = rough([29, 29, 29, 79], 3.8)
    here, there = load_potential("ase:emt").evaluate(crystals), load_potential("ase:emt", python).evaluate(crystals)
    for name in ("energy", "forces", "stress"):
        torch.testing.assert_close(getattr(here, name), getattr(there, name), rtol=0, atol=1e-10)
    [(_, far)] = PotentialRelaxer("ase:emt", python, executor=Processes(1)).relax(crystals)
    [(_, near)] = PotentialRelaxer("ase:emt", executor=Processes(1)).relax(crystals)
    assert far.status is near.status is Status.OK
    assert far.energy_per_atom == pytest.approx(near.energy_per_atom, abs=1e-8)
    missing = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False)
    assert missing.returncode != 0


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{process}/status").read_text() if Path("/proc").exists() else True
