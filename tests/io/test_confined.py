"""Files that libraries read: right, or refused in a process that may die; no file takes another with it."""

import argparse
import json
import sqlite3
import time
import warnings

import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.errors import UserError
from nucleate.io import confined, confined_reader
from nucleate.io.confined import Unread, read_confined
from nucleate.io.confined_reader import Found
from nucleate.io.files import read_structures, write_structures
from nucleate.io.interop import to_ase
from nucleate.io.structure_json import Sites

PWSCF = """
     Program PWSCF v.7.0 starts on 27Jan2022 at 16:39:19

     bravais-lattice index     =            0
     lattice parameter (alat)  =       9.4486  a.u.
     unit-cell volume          =     843.5400 (a.u.)^3
     number of atoms/cell      =            2
     number of atomic types    =            2

     celldm(1)=   9.448631  celldm(2)=   0.000000  celldm(3)=   0.000000
     celldm(4)=   0.000000  celldm(5)=   0.000000  celldm(6)=   0.000000

     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.000000 )

   Cartesian axes

     site n.     atom                  positions (alat units)
         1           Na  tau(   1) = (   0.0000000   0.0000000   0.0000000  )
         2           Cl  tau(   2) = (   0.5000000   0.5000000   0.5000000  )

!    total energy              =     -10.00000000 Ry

     Forces acting on atoms (cartesian axes, Ry/au):

     atom    1 type  1   force =     0.00000000    0.00000000    0.00000000
     atom    2 type  2   force =     0.00000000    0.00000000    0.00000000

"""
GPAW = """
  ___ ___ ___ _ _ _
 |   |   |_  | | | |
 | | | | | . | | | |
 |__ |  _|___|_____|  22.8.0
 |___|_|

Positions:
   0 Na     0.000000    0.000000    0.000000    ( 0.0000,  0.0000,  0.0000)
   1 Cl     2.500000    2.500000    2.500000    ( 0.0000,  0.0000,  0.0000)

Unit cell:
           periodic     x           y           z      points  spacing
  1. axis:    yes    5.000000    0.000000    0.000000    24     0.2083
  2. axis:    yes    0.000000    5.000000    0.000000    24     0.2083
  3. axis:    yes    0.000000    0.000000    5.000000    24     0.2083

"""


def _stored(path, **more):
    batch = {
        "frac_coords": torch.tensor([[[0.0, 0, 0], [0.5, 0.5, 0.5], [0, 0, 0]]]),
        "atom_types": torch.tensor([[11, 17, 29]]),
        "num_atoms": torch.tensor([[2, 1]]),
        "lengths": torch.tensor([[[5.0, 5, 5], [2.5, 2.5, 2.5]]]),
        "angles": torch.tensor([[[90.0, 90, 90], [60, 60, 60]]]),
        "eval_setting": argparse.Namespace(label="a"),
    }
    torch.save({**batch, **more}, path)


def test_outputs_of_other_programs(tmp_path):
    (tmp_path / "a.pwo").write_text(PWSCF)
    (tmp_path / "b.out").write_text(PWSCF)
    (tmp_path / "c.txt").write_text(GPAW)
    found = read_structures(tmp_path)
    assert found.ids == ["a", "b", "c"]
    assert found.crystals.numbers.tolist() == [[11, 17]] * 3
    assert torch.allclose(found.crystals.frac[:, 1], torch.tensor(0.5, dtype=torch.float64))
    assert torch.allclose(found.crystals.volume, torch.tensor(125.0, dtype=torch.float64), rtol=1e-4)
    assert found.properties["energy"][0] == pytest.approx(-136.057, abs=1e-2)
    assert found.properties["forces"][0] == [[0, 0, 0], [0, 0, 0]]
    assert read_structures(tmp_path / "b.out").ids == ["b"]


def test_trajectories_with_results(make_crystals, same_crystals, tmp_path):
    crystals = make_crystals(0, 3)
    frames = to_ase(crystals)
    for k, atoms in enumerate(frames):
        forces = np.full((len(atoms), 3), float(k))
        atoms.calc = SinglePointCalculator(atoms, energy=-float(k), forces=forces, stress=np.arange(6.0))
    frames[1].pbc = (True, True, False)
    write(tmp_path / "a.traj", frames)
    found = read_structures(tmp_path / "a.traj")
    assert found.rows == [0, 2]
    assert "three directions" in found.failures[0].reason
    same_crystals(found.crystals, crystals[[0, 2]], 1e-12)
    assert found.properties["energy"].tolist() == [0, -2]
    assert found.properties["stress"][0] == [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
    for name in ("b.db", "c.extxyz", "d.parquet"):
        write_structures(found.crystals, tmp_path / name, found.ids, found.properties)
        again = read_structures(tmp_path / name).properties
        assert again["energy"].tolist() == [0, -2]
        stress = np.array([list(row) for row in again["stress"][0]])
        assert np.allclose(stress, found.properties["stress"][0])
        assert len(again["forces"][0]) == int(found.crystals.n_atoms[0])


def test_batches_of_cdvae(tmp_path):
    _stored(tmp_path / "eval_gen.pt")
    found = read_structures(tmp_path / "eval_gen.pt")
    assert found.crystals.n_atoms.tolist() == [2, 1]
    assert found.crystals.sites(1)[0].tolist() == [29]
    assert found.crystals.volume.tolist() == pytest.approx([125.0, 2.5**3 / 2**0.5], rel=1e-6)
    faults = [
        ({"num_atoms": torch.tensor([[2, 2]])}, "do not fit"),
        ({"atom_types": torch.rand(3, 100)}, "probabilities"),
        ({"atom_types": torch.tensor([[11, 17, 29.7]])}, "not whole"),
        ({"angles": None}, "no dictionary of tensors"),
        ({"extra": UserError("a", "b", "c")}, "nucleate.errors.UserError, which is no tensor"),
    ]
    for k, (more, _) in enumerate(faults):
        _stored(tmp_path / f"{k}.pt", **more)
    found = read_confined([("pt", tmp_path / f"{k}.pt") for k in range(len(faults))])
    for one, (_, reason) in zip(found, faults, strict=True):
        assert isinstance(one, Unread)
        assert reason in one.reason


def test_a_database_without_an_end_is_refused_at_once(make_crystals, tmp_path):
    write_structures(make_crystals(0, 2), tmp_path / "a.db")
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE VIEW v AS SELECT * FROM systems")
    with pytest.raises(UserError, match="view or trigger"):
        read_structures(tmp_path / "a.db")


def test_no_file_takes_another_with_it(make_crystals, tmp_path, monkeypatch):
    write_structures(make_crystals(0, 2), tmp_path / "good.db")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "wide.json").write_text("[" + "[]," * 3_000_000 + "1]")
    monkeypatch.setattr(confined, "BYTES", 100_000_000)
    monkeypatch.setattr(confined, "BYTES_PER_BYTE", 0)
    names = ["good.db", "deep.json", "wide.json", "good.db"]
    first, deep, wide, last = read_confined([(name.rpartition(".")[2], tmp_path / name) for name in names])
    assert isinstance(first, list)
    assert len(first) == len(last) == 2
    assert isinstance(first[0].entry, ParsedStructure)
    assert isinstance(deep, Unread)
    assert "no JSON" in deep.reason
    assert isinstance(wide, Unread)
    assert "memory" in wide.reason


def test_a_file_that_takes_too_long_ends_its_process_alone(tmp_path, monkeypatch):
    (tmp_path / "slow.json").write_text("[" + "[0.5]," * 2_000_000 + "1]")
    (tmp_path / "good.json").write_text("[]")
    monkeypatch.setattr(confined, "SECONDS", 0)
    monkeypatch.setattr(confined, "SECONDS_PER_MB", 0)
    start = time.monotonic()
    slow, good = read_confined([("json", tmp_path / "slow.json"), ("json", tmp_path / "good.json")])
    assert isinstance(slow, Unread)
    assert "to read" in slow.reason
    assert isinstance(good, Unread)
    assert good.foreign
    assert time.monotonic() - start < 30


def test_what_a_library_warns_of_is_a_note(tmp_path):
    def frames():
        warnings.warn("odd units", UserWarning, stacklevel=1)
        warnings.warn("old code", DeprecationWarning, stacklevel=1)
        yield Found(Sites([29], [[0.0, 0.0, 0.0]], np.eye(3).tolist()))
        yield Found(Sites([29], [[0.0, 0.0, 0.0]], np.eye(3).tolist()))

    confined_reader.write(frames(), "traj", tmp_path, 0)
    rows = json.loads((tmp_path / "0.json").read_text())
    assert [row["notes"] for row in rows] == [["traj: odd units"], []]
