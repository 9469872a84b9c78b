"""Tiny models of the family."""

import pytest

from nucleate.families.mattergen import SPEC

SHAPE = {"hidden": 12, "edge": 12, "triplet": 4, "bilinear": 6, "radial": 6, "circular": 4, "blocks": 2, "degrees": 3,
         "before_skip": 1, "after_skip": 1, "concatenated": 1, "site_layers": 1, "score_layers": 1,
         "n_radial": 8, "cutoff": 5.0, "neighbours": 14, "time_features": 8}  # fmt: skip
GEMNET = {f"gemnet.{name}": value for name, value in SHAPE.items()}
TINY = {**GEMNET, "max_atoms": 8, "sampler.steps": 4}
CSPNET = {"network": "cspnet", "max_atoms": 8, "sampler.steps": 4, "cspnet.hidden": 16, "cspnet.layers": 2,
          "cspnet.frequencies": 4, "cspnet.time_features": 8, "cspnet.distance_basis": 4}  # fmt: skip
PAPER = {**TINY, "preset": "mattergen-paper"}
CONDITIONED = {**TINY, "preset": "mattergen-conditioned"}


@pytest.fixture(scope="session", params=[TINY, CSPNET, PAPER, CONDITIONED], ids=["gemnet", "cspnet", "paper", "told"])
def model(request, data, fitted):
    return fitted(SPEC.build, request.param, data)


@pytest.fixture(scope="session")
def default_model(data, fitted):
    return fitted(SPEC.build, TINY, data)


@pytest.fixture(scope="session")
def paper_model(data, fitted):
    return fitted(SPEC.build, PAPER, data)
