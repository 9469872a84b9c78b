"""Magnetisation from the moments of a potential."""

import math

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.screening.reevaluation import TOGETHER, magnetizations
from nucleate.thermo.magnetism import TESLA


class Moments:
    """One Bohr magneton a site; fails on any batch that holds gold."""

    def evaluate(self, crystals):
        if bool((crystals.numbers == 79).any()):
            raise RuntimeError("gold")
        return type("Evaluation", (), {"magmoms": torch.ones(crystals.numbers.shape, dtype=torch.float64)})


def test_one_crystal_that_the_potential_fails_on_leaves_the_others_their_answer():
    n, bad = TOGETHER + 3, TOGETHER + 1
    numbers = [[79 if i == bad else 26] for i in range(n)]
    crystals = Crystals.from_lists(numbers, [[[0, 0, 0]]] * n, [2.0 * torch.eye(3, dtype=torch.float64)] * n)
    found = magnetizations(crystals, Moments())
    assert math.isnan(found[bad])
    assert [value for i, value in enumerate(found) if i != bad] == pytest.approx([TESLA / 8] * (n - 1))
