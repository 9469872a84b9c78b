"""Crystals that a matrix can hold."""

import pytest
import torch

from nucleate.crystal.crystals import Crystals


@pytest.fixture(scope="session")
def some_crystals():
    """A function that draws crystals of random sites, elements and cells."""
    return _some_crystals


def _some_crystals(seed, size=5, k=3, n=20):
    generator = torch.Generator().manual_seed(seed)
    numbers, frac, lattice = [], [], []
    for _ in range(size):
        sites = int(torch.randint(1, n + 1, (), generator=generator))
        elements = torch.randint(1, 95, (int(torch.randint(1, k + 1, (), generator=generator)),), generator=generator)
        numbers.append(elements[torch.randint(len(elements), (sites,), generator=generator)])
        frac.append(torch.rand(sites, 3, generator=generator, dtype=torch.float64))
        lattice.append(torch.randn(3, 3, generator=generator, dtype=torch.float64) + 4 * torch.eye(3))
    return Crystals.from_lists(numbers, frac, lattice)
