"""Standard cells describe the same crystal, with the known number of atoms."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import matrix_to_parameters
from nucleate.io.interop import to_pymatgen
from nucleate.symmetry.space_group import niggli_reduced, primitive_cells, space_groups

seeds = st.integers(0, 2**31 - 1)
CENTRED = {225: 4, 216: 4, 227: 4, 141: 2, 167: 3}


def test_primitive_cells(known):
    crystals, numbers = known
    primitive = primitive_cells(crystals)
    matcher = StructureMatcher()
    for i, number in enumerate(numbers.tolist()):
        assert primitive.n_atoms[i] * CENTRED.get(number, 1) == crystals.n_atoms[i]
    assert torch.equal(space_groups(primitive, 1e-4), numbers)
    assert all(matcher.fit(a, b) for a, b in zip(to_pymatgen(crystals), to_pymatgen(primitive), strict=True))


@given(seeds)
@settings(max_examples=10)
def test_standard_cells_do_not_depend_on_the_description(known, otherwise, seed):
    crystals, _ = known
    other, _, _ = otherwise(crystals, seed)
    mine, theirs = (matrix_to_parameters(primitive_cells(one).lattice) for one in (crystals, other))
    assert torch.allclose(mine[0], theirs[0], atol=1e-6)
    assert torch.allclose(mine[1], theirs[1], atol=1e-5)


@given(seeds)
def test_niggli_cells_are_those_of_pymatgen_and_keep_every_distance(known, otherwise, seed):
    crystals = otherwise(known[0], seed)[0]
    rows = torch.tensor([[1, 0, 0], [2, 1, 0], [-1, 1, 1]], dtype=torch.float64)
    frac = torch.remainder(crystals.frac @ torch.linalg.inv(rows), 1.0) * crystals.mask[..., None]
    skewed = Crystals(crystals.numbers, frac, rows @ crystals.lattice, crystals.n_atoms)
    reduced = niggli_reduced(skewed)
    assert torch.allclose(reduced.volume, crystals.volume)
    assert (torch.linalg.det(reduced.lattice) > 0).all()
    for i, structure in enumerate(to_pymatgen(skewed)):
        expected = structure.lattice.get_niggli_reduced_lattice()
        lengths, angles = matrix_to_parameters(reduced.lattice[i])
        assert torch.allclose(lengths, torch.tensor(expected.abc, dtype=torch.float64), atol=1e-6)
        assert torch.allclose(angles, torch.tensor(expected.angles, dtype=torch.float64), atol=1e-4)
    before, after = skewed.cart - skewed.cart[:, :1], reduced.cart - reduced.cart[:, :1]
    difference = (after - before) @ torch.linalg.inv(crystals.lattice)
    difference = (difference - difference.round()) * crystals.mask[..., None]
    assert difference.abs().max() < 1e-6


def test_niggli_reduction_is_idempotent_and_skips_broken_cells(known):
    crystals, _ = known
    once = niggli_reduced(crystals)
    twice = niggli_reduced(once)
    assert torch.allclose(once.lattice, twice.lattice, atol=1e-9)
    lattice = crystals.lattice.clone()
    lattice[0] = float("nan")
    broken = niggli_reduced(Crystals(crystals.numbers, crystals.frac, lattice, crystals.n_atoms))
    assert torch.equal(broken.lattice[1:], once.lattice[1:])
    assert broken.lattice[0].isnan().all()
