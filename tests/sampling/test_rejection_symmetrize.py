"""Crystals moved onto their symmetry."""

import torch

from nucleate.crystal.crystals import Crystals
from nucleate.sampling.rejection import symmetrize
from nucleate.symmetry.space_group import space_groups


def salt(shift):
    """Caesium chloride of 4.1 Å, its second site moved by fractions of the cell."""
    return Crystals.from_lists([[55, 17]], [[[0, 0, 0], [0.5 + shift, 0.5, 0.5]]], [4.1 * torch.eye(3)])


GOOD = salt(0.0)
BROKEN = Crystals(GOOD.numbers, GOOD.frac, GOOD.lattice * torch.nan, GOOD.n_atoms)
EMPTY = Crystals.from_lists([[]], [[]], [torch.eye(3)])


def test_near_symmetry_is_made_exact_where_the_crystal_stays_the_same():
    crystals = Crystals.concatenate([salt(0.01), salt(0.2), BROKEN, EMPTY])
    found = symmetrize(crystals, 0.1)
    assert found.crystal_fields["symmetrized"].tolist() == [True, True, False, False]
    assert space_groups(found[:2], 1e-4).tolist()[0] == 221
    assert torch.allclose(found.frac[1], crystals.frac[1], atol=1e-6)
    assert torch.equal(found.numbers, crystals.numbers)
