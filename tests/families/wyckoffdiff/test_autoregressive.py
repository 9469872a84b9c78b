"""The walk that places one orbit after the other."""

from collections import Counter
from itertools import product

import pytest
import torch

from nucleate.diffusion.noise import KeyedNoise
from nucleate.families.wyckoffdiff.autoregressive import Demand, place_orbits
from nucleate.networks.wyckoff_gnn import Logits
from nucleate.representations.wyckoff import Occupations, wyckoff_tables

E, K = 4, 5


def demand(group, n_atoms, counts=(), needed=(), exact=False):
    size = len(group)
    elements = torch.full((size, E), n_atoms)
    classes = torch.zeros(size, 3, dtype=torch.int64)
    if exact:
        elements = torch.tensor([*counts, *[0] * (E - len(counts))]).repeat(size, 1)
    classes[:, : len(counts)] = torch.tensor(sorted(counts, reverse=True), dtype=torch.int64)
    wanted = torch.zeros(E, dtype=torch.bool)
    wanted[list(needed)] = True
    return Demand(torch.full((size,), n_atoms), elements, wanted, exact, classes)


def constant(fixed, counts):
    """A network of fixed logits by element and by count, whatever the state."""

    def denoiser(state, t, rows):
        assert ((t > 0) & (t <= 1)).all()
        return Logits(fixed.expand(*state.fixed.shape, E + 1), counts.expand(*state.counts.shape, K))

    return denoiser


def walked(group, size, **asked):
    groups = torch.full((size,), group)
    noise = KeyedNoise(0, torch.arange(size))
    generator = torch.Generator().manual_seed(1)
    fixed, counts = (torch.randn(k, generator=generator) for k in (E + 1, K))
    return place_orbits(constant(fixed, counts), demand(groups, **asked), groups, noise, 1.0)


@pytest.mark.parametrize("group", [1, 2, 12, 62, 141, 194, 221, 225, 227])
def test_every_feasible_demand_is_met(group):
    """Feasible by brute force over what can sit on the positions."""
    size, free = (table[group] for table in (wyckoff_tables().multiplicity, wyckoff_tables().n_free))
    for n, counts, exact in [(6, (), False), (8, (4, 2, 2), False), (8, (4, 2, 2), True), (5, (3, 1, 1), True)]:
        possible = feasible(size.tolist(), free.tolist(), counts or (n,))
        if not possible:
            continue
        found = walked(group, 20, n_atoms=n, counts=counts, exact=exact)
        assert found.n_atoms.tolist() == [n] * 20
        if exact:
            assert found.composition[:, : len(counts)].tolist() == [list(counts)] * 20
        elif counts:
            assert found.composition.sort(1, descending=True).values[:, :3].tolist() == [list(counts)] * 20


def feasible(size, free, counts):
    """Whether positions can be shared out so that the elements get their counts."""
    fixed = [m for m, f in zip(size, free, strict=True) if f == 0]
    loose = sorted({m for m, f in zip(size, free, strict=True) if f > 0})
    for owner in product(range(len(counts) + 1), repeat=len(fixed)):
        rest = [*counts, 0]
        for m, who in zip(fixed, owner, strict=True):
            rest[who] -= m
        if all(r >= 0 and fills(r, loose) for r in rest[:-1]):
            return True
    return False


def fills(rest, loose):
    return rest == 0 or any(m <= rest and fills(rest - m, loose) for m in loose)


def test_needed_elements_are_there():
    for group in (2, 62, 221):
        found = walked(group, 30, n_atoms=8, needed=(1, 3))
        assert (found.composition[:, [1, 3]] > 0).all()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_orbits_are_drawn_by_their_probabilities(temperature):
    """One atom in group 1: the element's share is that of its probability of a count of one, to the power 1/T."""
    size = 4000
    group = torch.ones(size, dtype=torch.int64)
    logits = torch.zeros(E, K)
    logits[:, 1] = torch.tensor([0.0, 1.0, 2.0, -1.0])

    def denoiser(state, t, rows):
        return Logits(torch.zeros(*state.fixed.shape, E + 1), logits.expand(len(rows), state.fixed.shape[1], E, K))

    found = place_orbits(denoiser, demand(group, 1), group, KeyedNoise(3, torch.arange(size)), temperature)
    # A count beyond the room is ruled out before the probabilities are formed.
    chance = torch.softmax(logits[:, :2], 1)[:, 1] ** (1 / temperature)
    shares = torch.bincount(found.composition.argmax(1), minlength=E) / size
    assert torch.allclose(shares, chance / chance.sum(), atol=0.025)


def test_crystals_do_not_depend_on_each_other():
    together = walked(62, 9, n_atoms=8, counts=(4, 4))
    group = torch.full((1,), 62)
    generator = torch.Generator().manual_seed(1)
    fixed, counts = (torch.randn(k, generator=generator) for k in (E + 1, K))
    for i in (0, 4, 8):
        noise = KeyedNoise(0, torch.tensor([i]))
        alone = place_orbits(constant(fixed, counts), demand(group, 8, (4, 4)), group, noise, 1.0)
        assert torch.equal(alone.counts[0], together.counts[i])
        assert torch.equal(alone.fixed[0], together.fixed[i])


def test_what_cannot_be_met_ends_early():
    found = walked(221, 3, n_atoms=2, counts=(1, 1), needed=(0, 1, 2))
    assert isinstance(found, Occupations)
    assert not found.n_orbits.any()
    assert Counter(found.n_atoms.tolist()) == {0: 3}
