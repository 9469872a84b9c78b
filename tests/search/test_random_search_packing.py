"""Spreading keeps symmetry, leaves spaced crystals alone and opens crowded ones."""

import torch

from nucleate.crystal.crystals import Crystals
from nucleate.search.random_search import TOLERANCE, clearance, spread


def crowded(seed: int, b: int = 4, n: int = 6) -> tuple[Crystals, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    frac = torch.rand(b, n, 3, generator=generator, dtype=torch.float64)
    cell = 6.0 * torch.eye(3, dtype=torch.float64).expand(b, 3, 3)
    crystals = Crystals(torch.full((b, n), 26), frac, cell, torch.full((b,), n))
    return crystals, torch.full((b, n, n), 2.4, dtype=torch.float64)


def test_crowded_crystals_open_up() -> None:
    crystals, smallest = crowded(0)
    assert (clearance(crystals, smallest) < 1 - TOLERANCE).any()
    opened = spread(crystals, smallest)
    assert (clearance(opened, smallest) >= 1 - 1.5 * TOLERANCE).all()


def test_spaced_crystals_stay_as_they_are() -> None:
    crystals, smallest = crowded(1)
    opened = spread(crystals, smallest)
    again = spread(opened, smallest * (1 - 2 * TOLERANCE))
    assert torch.equal(again.frac, opened.frac)
    assert torch.equal(again.lattice, opened.lattice)


def test_a_cell_too_small_grows() -> None:
    lattice = 3.0 * torch.eye(3, dtype=torch.float64)[None]
    crystals = Crystals(
        torch.tensor([[26, 26]]), torch.tensor([[[0.0] * 3, [0.4, 0.5, 0.6]]]).double(), lattice, torch.tensor([2])
    )
    opened = spread(crystals, torch.full((1, 2, 2), 3.1, dtype=torch.float64))
    assert float(opened.volume[0]) > 27


def test_inversion_is_kept() -> None:
    crystals, smallest = crowded(2)
    half = crystals.frac[:, :3] * 0.5
    mirrored = Crystals(crystals.numbers, torch.cat([half, 1 - half], 1), crystals.lattice, crystals.n_atoms)
    opened = spread(mirrored, smallest)
    total = opened.frac[:, :3] + opened.frac[:, 3:]
    torch.testing.assert_close(total, total.round(), rtol=0, atol=1e-6)
