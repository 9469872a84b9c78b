"""Judging of single candidates."""

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import Status
from nucleate.runs.candidates import structure_rows
from nucleate.screening.evaluator import Judge
from nucleate.settings import ScreenSettings


@pytest.fixture(scope="module")
def judge():
    return Judge(ScreenSettings(descriptors="none"), Reference.load("bundled"))


def judged(judge, energy):
    lattice = torch.tensor([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]], dtype=torch.float64)
    crystals = Crystals.from_lists([torch.tensor([13])], [torch.zeros(1, 3, dtype=torch.float64)], [lattice])
    (row,) = structure_rows(crystals, ["a"], "test")
    relaxed = {"status": Status.OK, "reason": "", "frac": row["frac"], "lattice": row["lattice"]}
    (found,) = judge.judged([row], {0: {**relaxed, "energy_per_atom": energy}})
    return found


def test_an_energy_that_no_crystal_has_is_a_failure_of_the_potential(judge):
    element = judge.reference.element_energies[13]
    sound, fallen = judged(judge, element + 0.01), judged(judge, element - 300)
    assert (sound["status"], sound["is_stable"]) == (Status.OK, True)
    assert sound["formation_energy"] == pytest.approx(0.01)
    assert fallen["status"] == Status.EXPLODED
    assert "-300 eV/atom" in fallen["reason"]
    assert not fallen["is_stable"]
    assert fallen["energy_above_hull"] is None
    assert fallen["relaxed_frac"] is None
