"""A tiny data set and tiny models of the family."""

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.families.diffcrysgen import SPEC
from nucleate.training.batch import TrainingBatch

TINY = {"widths": [8, 12], "max_atoms": 8, "sampler.steps": 6, "sampler.draws": 2, "conditions": []}
PAPER = {**TINY, "preset": "diffcrysgen-paper"}
STEERED = {**TINY, "conditions": ["hardness", "chemical_system"]}


def salts(size=24):
    """Caesium-chloride cells and crooked rocksalt cells of Li, Na, Mg with O, F, with a label for half of them."""
    generator = torch.Generator().manual_seed(0)
    numbers, frac, lattice = [], [], []
    corners = torch.tensor([[0.0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    for i in range(size):
        a, b = [3, 11, 12][i % 3], [8, 9][i % 2]
        length = 3.5 + 0.5 * float(torch.rand((), generator=generator))
        if i % 4:
            numbers.append([a, b])
            frac.append([[0.0, 0, 0], [0.5, 0.5, 0.5]])
        else:
            numbers.append([a] * 4 + [b] * 4)
            crooked = 0.05 * torch.rand(8, 3, generator=generator)  # without symmetry: no smaller cell
            frac.append(torch.cat([corners, corners + 0.5]) + crooked)
        lattice.append(torch.eye(3, dtype=torch.float64) * (length + (i % 4 == 0)))
    crystals = Crystals.from_lists(numbers, frac, lattice)
    hardness = (crystals.volume / crystals.n_atoms).log()
    hardness[::2] = torch.nan
    return TrainingBatch.of(crystals, {"hardness": hardness})


@pytest.fixture(scope="session")
def data():
    return salts()


@pytest.fixture(scope="session", params=[TINY, PAPER, STEERED], ids=["default", "paper", "steered"])
def model(request, data, fitted):
    return fitted(SPEC.build, request.param, data)


@pytest.fixture(scope="session")
def steered_model(data, fitted):
    return fitted(SPEC.build, STEERED, data)


@pytest.fixture(scope="session")
def salts_of():
    """A function: how many crystals of the data set to make."""
    return salts
