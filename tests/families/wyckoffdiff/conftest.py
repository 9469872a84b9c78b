"""Crystals of a few protostructures, and tiny models of the family."""

from math import log

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.families.wyckoffdiff import SPEC
from nucleate.search.cell_priors import drawn
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.wyckoff_parametrization import layout
from nucleate.training.batch import TrainingBatch

LABELS = [
    "AB_cF8_225_a_b:{}-{}", "AB_cP2_221_a_b:{}-{}", "AB2_tP6_136_a_f:{}-{}", "AB2_cF12_225_a_c:{}-{}",
    "AB_hP4_186_b_b:{}-{}", "AB2_oP12_62_c_2c:{}-{}", "AB_aP4_2_i_i:{}-{}", "A2B_cP6_224_b_a:{}-{}",
]  # fmt: skip
PAIRS = ["Ca-O", "Mg-O", "Fe-O", "Li-S", "Na-S"]
TINY = {"hidden": 16, "layers": 2, "side": 8, "head": 16, "heads": 4, "factored": 4, "max_atoms": 12, "max_count": 12,
        "sampler.steps": 6, "sampler.draws": 3, "sampler.fill_draws": 2, "sampler.fill_steps": 3}  # fmt: skip
MODELS = {
    "empty": TINY,
    "marginal": {**TINY, "prior": "marginal", "schedule": "cosine", "loss": "kl"},
    "paper": {**TINY, "preset": "wyckoffdiff-paper", "factored": 0},
}


def known(size=40):
    """Crystals with random cells and coordinates of known protostructures, and one without labels."""
    found = []
    for i in range(size):
        first, second = PAIRS[i % len(PAIRS)].split("-")
        map_ = layout(Protostructure.parse(LABELS[i % len(LABELS)].format(first, second)))
        group = int(LABELS[i % len(LABELS)].split("_")[2])
        found.append(map_.crystals(*drawn(map_, group, log(25.0 * map_.n_sites), 1, np.random.default_rng(i))))
    crystals = Crystals.concatenate(found)
    stable = torch.linspace(0, 0.1, size, dtype=torch.float64)
    stable[::3] = torch.nan
    return TrainingBatch.of(crystals, {"energy_above_hull": stable})


def fitted(overrides, data):
    torch.manual_seed(0)
    model = SPEC.build(overrides, "tiny")
    return model.eval(), model.fit(data)


@pytest.fixture(scope="session")
def data():
    return known()


@pytest.fixture(scope="session", params=MODELS)
def model_and_data(request, data):
    return fitted(MODELS[request.param], data)


@pytest.fixture(scope="session")
def default_model(data):
    return fitted(TINY, data)[0]
