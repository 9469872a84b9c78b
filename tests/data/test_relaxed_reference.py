"""A reference on another potential's scale: its own terminals, nothing of the bundled scale, one row each."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nucleate.campaign.screen import screen
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.data.relaxed_reference import build_relaxed
from nucleate.errors import UserError
from nucleate.io.files import write_structures
from nucleate.settings import ScreenSettings

FCC = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
ALLOYS = Crystals.from_lists(
    [[29] * 4, [79] * 4, [79, 29, 29, 29], [29, 79], [11, 17]],
    [FCC, FCC, FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], [[0, 0, 0], [0.5, 0.5, 0.5]]],
    [3.7 * np.eye(3), 4.1 * np.eye(3), 3.9 * np.eye(3), 3.1 * np.eye(3), 3.5 * np.eye(3)],
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alloys")
    write_structures(ALLOYS, folder / "alloys.extxyz")
    done = []
    reference, coverage = build_relaxed(
        folder / "alloys.extxyz",
        folder / "emt",
        "ase:emt",
        sys.executable,
        workers=1,
        progress=lambda i, n: done.append((i, n)),
    )
    return folder, reference, coverage, done


def test_it_says_what_it_is_made_of(built):
    folder, reference, coverage, done = built
    assert reference.scale == "ase:emt"
    assert "ase 3." in reference.record["potential_version"]
    assert sys.executable in reference.record["potential_run"]
    assert "No EMT-potential for Na" in coverage.first_reason
    assert coverage.relaxed + coverage.failed == sum(reference.record["surveyed"].values()) == done[-1][1]
    assert set(reference.phases["source"]) == {"alloys.extxyz", "literature"}
    assert Reference.load(folder / "emt").scale == "ase:emt"


def test_elements_lie_at_zero_and_energies_are_those_of_the_potential(built):
    from ase import Atoms
    from ase.calculators.emt import EMT

    _, reference, _, _ = built
    for symbol in ("Cu", "Au"):
        assert reference.phases.loc[reference.phases["formula"] == symbol, "formation_energy"].min() == 0.0
    atoms = Atoms("AuCu3", scaled_positions=FCC, cell=3.7 * np.eye(3), pbc=True)
    energies = []
    for edge in np.arange(3.65, 3.8, 0.005):
        atoms.set_cell(edge * np.eye(3), scale_atoms=True)
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy() / 4)
    wanted = min(energies) - 0.25 * reference.element_energies[79] - 0.75 * reference.element_energies[29]
    row = reference.phases[(reference.phases["formula"] == "Cu3Au") & (reference.phases["source"] == "alloys.extxyz")]
    assert float(row["formation_energy"].iloc[0]) == pytest.approx(wanted, abs=2e-4)


def test_it_places_crystals_of_its_potential_and_no_others(built, tmp_path):
    folder, _, _, _ = built
    copper = ALLOYS[:1]
    settings = {"reference": str(folder / "emt"), "descriptors": "none"}
    with_emt = screen(copper, ScreenSettings(potential="ase:emt", **settings), tmp_path / "emt", workers=1)
    assert with_emt.candidates()["energy_above_hull"].iloc[0] == pytest.approx(0.0, abs=2e-3)
    assert with_emt.record.protocol.potential.startswith("ase:emt (ase 3.")
    other = ScreenSettings(potential="ase:emt,asap_cutoff=true", **settings)
    row = screen(copper, other, tmp_path / "other", workers=1).candidates().iloc[0]
    assert row["status"] == "no_reference"
    assert row["reason"] == "the reference is on the scale of ase:emt, not ase:emt,asap_cutoff=true"
    assert np.isfinite(row["energy_per_atom"])
    assert not np.isfinite(row[["formation_energy", "energy_above_hull"]].astype(float)).any()


def test_structures_that_all_fail_are_a_mistake(tmp_path):
    write_structures(ALLOYS[4:], tmp_path / "salt.extxyz")
    with pytest.raises(UserError, match=r"no structure that relaxes; NotImplementedError: No EMT-potential for"):
        build_relaxed(tmp_path / "salt.extxyz", tmp_path / "out", "ase:emt", workers=1)
