"""The borders to pymatgen and ASE lose nothing, and let nothing half-known in."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import DummySpecies, Lattice, Structure

from nucleate.errors import UserError
from nucleate.io.interop import from_ase, from_pymatgen, to_ase, to_pymatgen

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_there_and_back(make_crystals, same_crystals, seed):
    crystals = make_crystals(seed)
    same_crystals(from_pymatgen(to_pymatgen(crystals)), crystals, 1e-12)
    same_crystals(from_ase(to_ase(crystals)), crystals, 1e-12)


@given(seeds)
def test_both_borders_agree_with_the_libraries(make_crystals, seed):
    crystals = make_crystals(seed)
    for structure, atoms, volume in zip(to_pymatgen(crystals), to_ase(crystals), crystals.volume, strict=True):
        assert structure.volume == pytest.approx(float(volume))
        assert atoms.get_volume() == pytest.approx(float(volume))
        assert structure.cart_coords == pytest.approx(atoms.positions)


def test_oxidation_states_are_dropped_and_precision_is_chosen():
    structure = Structure(Lattice.cubic(4.2), ["Mg2+", "O2-"], [[0, 0, 0], [0.5, 0.5, -0.5]])
    crystals = from_pymatgen([structure], dtype=torch.float32)
    assert crystals.numbers.tolist() == [[12, 8]]
    assert crystals.frac.dtype == torch.float32
    assert crystals.frac[0, 1].tolist() == [0.5, 0.5, 0.5]


def test_single_precision_becomes_ordinary_structures(make_crystals):
    assert len(to_pymatgen(make_crystals(0).to(dtype=torch.float32))) == 3


def test_partial_occupancies_are_refused():
    mixed = Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    vacant = Structure(Lattice.cubic(4), [{"Fe": 0.9}], [[0, 0, 0]])
    for structure in (mixed, vacant):
        with pytest.raises(UserError, match=r"structure 1 \(.*partial occupancies"):
            from_pymatgen([Structure(Lattice.cubic(4), ["Fe"], [[0, 0, 0]]), structure])
    atoms = bulk("Fe", cubic=True)
    atoms.info["occupancy"] = {"0": {"Fe": 0.5, "Ni": 0.5}}
    with pytest.raises(UserError, match="partial occupancies"):
        from_ase([atoms])


def test_what_is_no_element_is_refused():
    with pytest.raises(UserError, match="elements from H to Lr"):
        from_pymatgen([Structure(Lattice.cubic(4), [DummySpecies("X")], [[0, 0, 0]])])
    with pytest.raises(UserError, match="elements from H to Lr"):
        from_ase([Atoms("X", cell=[4, 4, 4], pbc=True)])


def test_molecules_and_slabs_are_refused():
    slab = bulk("Fe", cubic=True)
    slab.pbc = (True, True, False)
    for atoms in (molecule("H2O"), slab):
        with pytest.raises(UserError, match="periodic"):
            from_ase([atoms])


def test_no_structures_are_an_empty_batch():
    assert len(from_pymatgen([])) == 0
    assert len(from_ase([])) == 0
    assert to_pymatgen(from_pymatgen([])) == []


def test_elements_beyond_the_last_known_are_named() -> None:
    from pymatgen.core import Lattice, Structure

    with pytest.raises(UserError, match="found Rf; expected elements from H to Lr"):
        from_pymatgen([Structure(Lattice.cubic(4.0), ["Rf"], [[0, 0, 0]])])
