"""Orders change nothing but the order."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import GeneratorNoise, KeyedNoise
from nucleate.representations.ircr import ELECTRONEGATIVITY, IRCR, canonical, element_order, shuffled


def sites(crystals):
    return [
        sorted((int(z), *x.tolist()) for z, x in zip(*crystals.sites(i)[:2], strict=True)) for i in range(len(crystals))
    ]


@given(st.integers(0, 2**20))
def test_canonical_order_forgets_the_order_before(some_crystals, seed):
    crystals = some_crystals(seed)
    noise = GeneratorNoise(torch.Generator().manual_seed(seed))
    mixed = shuffled(crystals, noise)
    assert sites(mixed) == sites(crystals) == sites(canonical(crystals))
    assert torch.equal(IRCR().encode(canonical(mixed)), IRCR().encode(canonical(crystals)))
    assert torch.equal(canonical(mixed).mask, crystals.mask)
    for row, n in zip(canonical(crystals).numbers.tolist(), crystals.n_atoms.tolist(), strict=True):
        assert row[:n] == sorted(row[:n], key=lambda z: (ELECTRONEGATIVITY[z], z))
        assert element_order(sorted(set(row[:n]))) == list(dict.fromkeys(row[:n]))


def test_shuffled_keeps_elements_together_and_mixes_the_rest(some_crystals):
    crystals = some_crystals(3, size=200)
    found = shuffled(crystals, GeneratorNoise(torch.Generator().manual_seed(0)))
    for row, n in zip(found.numbers.tolist(), found.n_atoms.tolist(), strict=True):
        changes = sum(a != b for a, b in pairwise(row[:n]))
        assert changes == len(set(row[:n])) - 1
    several = (crystals.numbers[:, :1] != crystals.numbers)[:, :2].any(1)
    first = found.numbers[several, 0] == crystals.numbers[several, 0]
    assert 0.2 < float(first.double().mean()) < 0.8


def test_shuffled_does_not_depend_on_the_batch(some_crystals):
    crystals = some_crystals(5)
    together = shuffled(crystals, KeyedNoise(0, torch.arange(5)))
    alone = shuffled(crystals[3], KeyedNoise(0, torch.tensor([3])))
    assert torch.equal(together[3].frac, alone.frac)


def test_coordinates_just_below_one_count_as_zero():
    crystals = Crystals.from_lists([[6, 6]], [[[0.5, 0, 0], [0.99999, 0, 0]]], [torch.eye(3)])
    assert canonical(crystals).frac[0, :, 0].tolist() == [0.99999, 0.5]
