"""A tiny data set and a tiny model of the family."""

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.families.pigen import SPEC
from nucleate.training.batch import TrainingBatch

TINY = {"preset": "diffcsp", "hidden": 16, "layers": 2, "frequencies": 4, "time_features": 8, "distance_basis": 4,
        "max_atoms": 8, "sampler.steps": 6}  # fmt: skip
STEERED = {**TINY, "preset": "pigen", "conditions": ["compactness", "hardness", "chemical_system"]}
PAPER = {**TINY, "preset": "diffcsp-paper", "distance_basis": 0}


def salts(size=24):
    """Rocksalt and caesium-chloride cells of Li, Na, Mg with O, F, from 2 to 8 sites."""
    generator = torch.Generator().manual_seed(0)
    numbers, frac, lattice = [], [], []
    for i in range(size):
        a, b = [3, 11, 12][i % 3], [8, 9][i % 2]
        length = 3.5 + 0.5 * float(torch.rand((), generator=generator))
        if i % 4:
            numbers.append([a, b])
            frac.append([[0.0, 0, 0], [0.5, 0.5, 0.5]])
            lattice.append(torch.eye(3, dtype=torch.float64) * length)
        else:
            numbers.append([a] * 4 + [b] * 4)
            corners = torch.tensor([[0.0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
            frac.append(torch.cat([corners, corners + 0.5]).tolist())
            lattice.append(torch.eye(3, dtype=torch.float64) * (length + 1))
    return TrainingBatch.of(Crystals.from_lists(numbers, frac, lattice))


def labelled(data):
    """With a label that half of them have, the logarithm of the volume of an atom."""
    crystals = data.crystals
    hardness = (crystals.volume / crystals.n_atoms).log()
    hardness[::2] = torch.nan
    return TrainingBatch.of(crystals, {"hardness": hardness})


@pytest.fixture(scope="session")
def data():
    return salts()


@pytest.fixture(scope="session")
def fitted():
    """A function: the model that a family builds of settings, with the statistics of crystals."""

    def fit(build, overrides, data):
        torch.manual_seed(0)
        model = build(overrides, "tiny")
        model.fit(data)
        return model.eval()

    return fit


@pytest.fixture(scope="session", params=[TINY, PAPER, STEERED], ids=["default", "paper", "steered"])
def model(request, data, fitted):
    return fitted(SPEC.build, request.param, labelled(data) if request.param is STEERED else data)


@pytest.fixture(scope="session")
def steered_model(data, fitted):
    return fitted(SPEC.build, STEERED, labelled(data))


@pytest.fixture(scope="session")
def default_model(data, fitted):
    return fitted(SPEC.build, TINY, data)
