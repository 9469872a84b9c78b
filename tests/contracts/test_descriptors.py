"""Our descriptors and a toy keep the laws of a descriptor."""

import importlib

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.registry import DESCRIPTORS, EXTENSIONS, Descriptor
from nucleate.testing import BrokenLawError
from nucleate.testing.descriptors import check_descriptor

PEROVSKITE = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]


@pytest.fixture(scope="module")
def crystals():
    """A salt, a perovskite and a metal."""
    shape = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    return Crystals.from_lists(
        [[11, 17], [38, 22, 8, 8, 8], [29]],
        [[[0.0] * 3, [0.5] * 3], PEROVSKITE, [[0.0] * 3]],
        [2.82 * shape, 3.905 * torch.eye(3, dtype=torch.float64), 1.81 * shape],
    )


@pytest.mark.parametrize("name", [*DESCRIPTORS])
def test_descriptors_keep_all(crystals, name):
    check_descriptor(DESCRIPTORS[name], crystals)


def test_a_toy_keeps_all(crystals, monkeypatch):
    monkeypatch.setattr(EXTENSIONS, "_added", {})  # registered for this test alone: elsewhere it would be a column
    toy = importlib.import_module("toy_descriptor")
    check_descriptor(toy.MEAN, crystals)
    assert DESCRIPTORS["mean_atomic_number"] is toy.MEAN


def by_the_cell(crystals):
    return crystals.lattice[:, 0, 0].double()


def by_the_batch(crystals):
    return crystals.n_atoms.double() / max(1, len(crystals))


@pytest.mark.parametrize(
    ("function", "text"), [(by_the_cell, "choice of the cell|orientation"), (by_the_batch, "alone and in a batch")]
)
def test_what_breaks_a_law_is_named(crystals, function, text):
    with pytest.raises(BrokenLawError, match=text):
        check_descriptor(Descriptor("wrong", "", "", function), crystals)
