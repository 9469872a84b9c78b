"""RMSD to the relaxed structure: known displacements, the fallback, and what cannot be compared."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import from_pymatgen
from nucleate.matching.rmsd import rmsd_to_relaxed


def test_unmoved_crystals_have_none_in_any_disguise(prototypes, disguised) -> None:
    originals = from_pymatgen(prototypes())
    table = rmsd_to_relaxed(from_pymatgen([disguised(p, 1) for p in prototypes()]), originals)
    assert table["rmsd_matched"].all()
    np.testing.assert_allclose(table["rmsd_to_relaxed"].astype(float), 0, atol=1e-5)


def test_known_displacement() -> None:
    cell = Lattice.orthorhombic(4.0, 5.0, 6.0)
    start = Structure(cell, ["Li", "O"], [[0, 0, 0], [0.5, 0.45, 0.4]])
    end = Structure(cell, ["Li", "O"], [[0, 0, 0], [0.5, 0.45, 0.4 + 0.2 / 6]])
    table = rmsd_to_relaxed(from_pymatgen([start]), from_pymatgen([end]))
    # 0.2 Å between two atoms; the best translation shares it equally between them
    assert float(table["rmsd_to_relaxed"][0]) == pytest.approx(0.1, abs=1e-4)


def test_fallback_of_an_unmatched_crystal(prototypes) -> None:
    start, end = prototypes()[0].get_primitive_structure(), prototypes()[1].get_primitive_structure()
    start.replace_species({"Mg": "Ca"})
    table = rmsd_to_relaxed(from_pymatgen([start]), from_pymatgen([end]))
    parameters = (
        np.array(start.get_reduced_structure("LLL").lattice.parameters) + np.array(end.lattice.parameters)
    ) / 2
    expected = 0.5 * (Lattice.from_parameters(*parameters).volume / 2) ** (1 / 3)
    assert not bool(table["rmsd_matched"][0])
    assert float(table["rmsd_to_relaxed"][0]) == pytest.approx(expected, rel=1e-3)


def test_unusable_structures_are_missing(prototypes) -> None:
    good = from_pymatgen(prototypes()[:1])
    bad = Crystals(good.numbers, good.frac, good.lattice * float("nan"), good.n_atoms)
    table = rmsd_to_relaxed(good, bad)
    assert table["rmsd_to_relaxed"].isna().all()
    assert table["rmsd_matched"].isna().all()
    assert "finite" in table["rmsd_reason"][0]
