"""Crystals drawn again."""

import torch

from nucleate.crystal.crystals import Crystals
from nucleate.families.diffcrysgen.constraints import drawn, score


def anything(crystals):
    return torch.ones(len(crystals), dtype=torch.bool)


def salt(length):
    """Caesium chloride of an edge in Å."""
    return Crystals.from_lists([[55, 17]], [[[0, 0, 0], [0.5, 0.5, 0.5]]], [length * torch.eye(3)])


GOOD, DENSE = salt(4.1), salt(1.0)
BROKEN = Crystals(GOOD.numbers, GOOD.frac, GOOD.lattice * torch.nan, GOOD.n_atoms)
EMPTY = Crystals.from_lists([[]], [[]], [torch.eye(3)])


def test_score_has_an_order():
    crystals = Crystals.concatenate([GOOD, DENSE, BROKEN, EMPTY])
    assert score(crystals, anything).tolist() == [3, 2, 0, 0]
    assert score(crystals, lambda c: ~anything(c)).tolist() == [1, 1, 0, 0]


def test_poor_crystals_are_drawn_again_and_the_best_is_kept():
    """Crystal 0 is good at once, 1 at the third draw, 2 never: its best is the dense one."""
    plan = {0: [GOOD], 1: [EMPTY, DENSE, GOOD], 2: [DENSE, BROKEN, EMPTY, BROKEN]}
    calls = []

    def draw(rows, number):
        calls.append((number, rows.tolist()))
        return Crystals.concatenate([plan[i][number] for i in rows.tolist()])

    found = drawn(draw, 3, 4, anything)
    assert calls == [(0, [0, 1, 2]), (1, [1, 2]), (2, [1, 2]), (3, [2])]
    assert found.crystal_fields["draws"].tolist() == [1, 3, 4]
    assert torch.equal(found.lattice, torch.cat([GOOD.lattice, GOOD.lattice, DENSE.lattice]))


def test_one_draw_takes_what_comes():
    found = drawn(lambda rows, _: Crystals.concatenate([DENSE] * len(rows)), 2, 1, anything)
    assert found.crystal_fields["draws"].tolist() == [1, 1]
