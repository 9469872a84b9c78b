"""Small crystals with labels, and a model that has seen them."""

from __future__ import annotations

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.families.maggen import SPEC
from nucleate.families.maggen.model import MagGen
from nucleate.training.batch import TrainingBatch

SMALL = {"max_atoms": 6, "dense": 16, "latent": 12, "branch": (8,)}


def labelled(count: int = 40, seed: int = 0) -> TrainingBatch:
    """Crystals of 2 to 6 sites and up to three of five elements; the second label is missing on every third."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    sizes = [2 + i % 5 for i in range(count)]
    pool = torch.tensor([3, 8, 26, 27, 64])
    numbers = [pool[torch.randperm(5, generator=generator)[:3]][(uniform(n) * 3).long()] for n in sizes]
    frac = [uniform(n, 3) for n in sizes]
    cells = [torch.eye(3, dtype=torch.float64) * (3 + 2 * uniform(1)) + 0.2 * uniform(3, 3) for _ in sizes]
    crystals = Crystals.from_lists(numbers, frac, cells)
    iron = (crystals.numbers == 26).sum(1) / crystals.n_atoms
    second = torch.where(torch.arange(count) % 3 == 2, torch.nan, 2 * iron)
    return TrainingBatch.of(crystals, {"formation_energy": -iron, "saturation_magnetization": second})


@pytest.fixture
def data() -> TrainingBatch:
    return labelled()


@pytest.fixture
def crystals(data: TrainingBatch) -> Crystals:
    return data.crystals


@pytest.fixture
def model(data: TrainingBatch) -> MagGen:
    torch.manual_seed(0)
    made = SPEC.build(SMALL)
    made.finished(made.fit(data))
    return made
