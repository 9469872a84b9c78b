"""Space groups of known crystals, whatever way they are described; snapping is a projection."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.crystal.crystals import Crystals
from nucleate.symmetry.space_group import crystal_system, space_groups, symmetries, symmetrized

seeds = st.integers(0, 2**31 - 1)


def _displacements(first: Crystals, second: Crystals) -> torch.Tensor:
    delta = second.frac - first.frac
    return ((delta - delta.round()) @ second.lattice).norm(dim=-1)


def test_known_crystals_have_their_groups(known):
    crystals, numbers = known
    for symprec in (0.1, 0.01, 1e-4):
        assert torch.equal(space_groups(crystals, symprec), numbers)


@given(seeds)
def test_groups_do_not_depend_on_the_description(known, otherwise, seed):
    crystals, numbers = known
    other, orders, _ = otherwise(crystals, seed)
    assert torch.equal(space_groups(other, 1e-3), numbers)
    for mine, theirs, order in zip(symmetries(crystals), symmetries(other), orders, strict=True):
        assert mine.number == theirs.number
        assert mine.pearson_symbol == theirs.pearson_symbol
        same = [[a == b for b in mine.orbits] for a in mine.orbits]
        assert [[same[i][j] for j in order] for i in order] == [[a == b for b in theirs.orbits] for a in theirs.orbits]


def test_batch_is_single(known):
    crystals, numbers = known
    assert [int(space_groups(crystal)) for crystal in crystals] == numbers.tolist()
    assert space_groups(crystals.to(dtype=torch.float32), 0.01).tolist() == numbers.tolist()


def test_supercells_have_the_group_of_the_crystal():
    from pymatgen.core import Lattice, Structure

    from nucleate.io.interop import from_pymatgen

    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    crystals = from_pymatgen([salt * (2, 1, 1), salt.get_primitive_structure()])
    assert space_groups(crystals).tolist() == [225, 225]
    assert symmetrized(crystals).n_atoms.tolist() == [16, 2]


def test_letters_and_orbits_are_those_of_spglib(known):
    import spglib

    crystals, _ = known
    for i, found in enumerate(symmetries(crystals, 0.01)):
        numbers, frac, lattice = (value.numpy() for value in crystals.sites(i))
        expected = spglib.get_symmetry_dataset((lattice, frac, numbers), symprec=0.01)
        assert found.number == expected.number
        assert list(found.orbits) == expected.crystallographic_orbits.tolist()
        assert len(set(zip(found.letters, expected.wyckoffs, strict=True))) == len(set(found.letters))


def test_what_has_no_symmetry_to_find_is_zero():
    nan = float("nan")
    crystals = Crystals.from_lists(
        [[11, 17], [11, 11], [11], [11]],
        [[[0, 0, 0], [0.5] * 3], [[0, 0, 0], [0, 0, 0]], [[nan, 0, 0]], [[0, 0, 0]]],
        [torch.eye(3).double() * 4, torch.eye(3).double() * 4, torch.eye(3).double() * 4, torch.eye(3).double() * nan],
    )
    assert space_groups(crystals).tolist() == [221, 0, 0, 0]
    assert [found is None for found in symmetries(crystals)] == [False, True, True, True]
    assert torch.equal(symmetrized(crystals[[1]]).frac, crystals[[1]].frac)
    assert space_groups(crystals[[]]).shape == (0,)


@given(seeds)
def test_snapping_moves_little_and_gives_the_group_exactly(known, shaken, seed):
    crystals, numbers = known
    noisy = shaken(crystals, seed, 0.005, 0.0005)
    groups = space_groups(noisy, 0.1)
    snapped = symmetrized(noisy, 0.1)
    assert torch.equal(space_groups(snapped, 1e-5), groups)
    assert (groups == numbers).sum() >= 8
    assert torch.equal(snapped.numbers, noisy.numbers)
    assert _displacements(noisy, snapped).max() < 0.1
    assert (snapped.lattice - noisy.lattice).abs().max() < 0.1


@given(seeds)
@settings(max_examples=10)
def test_snapping_twice_is_snapping_once(known, shaken, seed):
    once = symmetrized(shaken(known[0], seed, 0.005, 0.0005))
    twice = symmetrized(once, 1e-3)
    assert _displacements(once, twice).max() < 1e-6
    assert (once.lattice - twice.lattice).abs().max() < 1e-6


@given(seeds)
@settings(max_examples=10)
def test_snapping_turns_and_permutes_with_the_crystal(known, shaken, otherwise, seed):
    noisy = shaken(known[0], 1, 0.003, 0.0003)
    other, orders, turns = otherwise(noisy, seed)
    mine, theirs = symmetrized(noisy), symmetrized(other)
    assert (mine.lattice @ turns - theirs.lattice).abs().max() < 2e-3
    for i, order in enumerate(orders):
        moved_mine = (mine.frac[i] - noisy.frac[i])[order]
        moved_theirs = (theirs.frac[i] - other.frac[i])[: len(order)]
        delta = moved_mine - moved_theirs
        assert (delta - delta.round()).abs().max() < 2e-3


@pytest.mark.slow
def test_real_crystals_agree_with_their_label(real_crystals, shared_data):
    import pandas as pd

    labels = torch.tensor(pd.read_csv(shared_data / "mp" / "val.csv.gz")["spacegroup"].to_numpy())
    assert (space_groups(real_crystals) == labels).double().mean() > 0.98
    snapped = symmetrized(real_crystals)
    assert torch.equal(space_groups(snapped, 1e-4), space_groups(real_crystals))


def test_crystal_systems_are_those_of_moyopy():
    import moyopy

    for number in range(1, 231):
        assert crystal_system(number) == str(moyopy.SpaceGroupType(number).crystal_system).lower()


def test_cells_that_the_library_never_ends_on_have_no_group():
    """Long needles, and cells with two vectors of about an Å: minutes and tens of gigabytes without the limit."""
    needle = torch.diag(torch.tensor([3.1, 3.1, 238.0], dtype=torch.float64))
    thin = torch.tensor([[1.3262, 0, 0], [-0.6935, 0.8175, 0], [-0.2398, -0.4232, 10.7391]], dtype=torch.float64)
    polytype = torch.tensor([[3.1, 0, 0], [-1.55, 2.6847, 0], [0, 0, 60.0]], dtype=torch.float64)
    crystals = Crystals.from_lists([[9]] * 3, [[[0.7156, 0.5697, 0.5168]]] * 3, [needle, thin, polytype])
    assert space_groups(crystals).tolist() == [0, 0, 191]
