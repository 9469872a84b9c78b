"""Potentials are found by name, and any ASE calculator is one."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials.registry import CHGNET_SCALE, load_potential, parse_choice, provenance_of, scale_of

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


@pytest.mark.parametrize(
    ("choice", "name", "keywords"),
    [
        ("chgnet", "chgnet", {}),
        ("ase:lj,sigma=3.4,rc=8", "ase:lj", {"sigma": 3.4, "rc": 8}),
        ("mace,model=medium,dispersion=true", "mace", {"model": "medium", "dispersion": True}),
        ("a.b:C,path=/x,y/z,flag=False,cells=[1,2],none=None", "a.b:C",
         {"path": "/x,y/z", "flag": False, "cells": [1, 2], "none": None}),
    ],
)  # fmt: skip
def test_a_choice_is_a_name_and_keyword_arguments(choice: str, name: str, keywords: dict[str, object]) -> None:
    assert parse_choice(choice) == (name, keywords)


@pytest.mark.parametrize("choice", ["", ",a=1", "ase:lj,sigma", "ase:lj,3.4", "a=1"])
def test_a_choice_that_is_none(choice: str) -> None:
    with pytest.raises(UserError, match="keyword arguments as in"):
        parse_choice(choice)


def test_a_scale_is_the_potential_and_what_changes_its_energies() -> None:
    assert scale_of("chgnet") == CHGNET_SCALE
    assert scale_of("mace,model=large,device=cuda") == scale_of("mace,device=cpu,model=large") != scale_of("mace")
    assert scale_of("mace,dispersion=true") == scale_of("mace,dispersion=True")


def test_where_numbers_come_from() -> None:
    assert str(provenance_of("chgnet")).startswith("CHGNet 0.3.0 (chgnet 0.4.2), in this environment")
    assert provenance_of("chgnet").work == "chgnet"
    told = provenance_of("ase:emt")
    assert (told.scale, told.version, told.work) == ("ase:emt", f"ase {ase.__version__}", "")


def test_the_bundled_reference_is_on_the_default_scale() -> None:
    from nucleate.data.reference import Reference

    reference = Reference.load("bundled")
    assert reference.is_on_scale(scale_of("chgnet"))
    assert not reference.is_on_scale(scale_of("ase:emt"))


def test_what_a_calculator_prints_stays_off_standard_output(capsys, monkeypatch, tmp_path) -> None:
    (tmp_path / "greeting.py").write_text(
        "from ase.calculators.lj import LennardJones\n\ndef make():\n    print('hello')\n    return LennardJones()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    load_potential("greeting:make")
    assert capsys.readouterr() == ("", "hello\n")
