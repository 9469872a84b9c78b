"""Drawing again: which of several draws is kept."""

import torch

from nucleate.crystal.crystals import Crystals
from nucleate.sampling.rejection import redrawn


def rocksalt(numbers, length=5.6):
    return Crystals.from_lists([numbers], [[[0, 0, 0], [0.5, 0.5, 0.5]]], [torch.eye(3) * length * 0.7])


def drawn(*candidates, **options):
    calls = []

    def draw(rows, number):
        calls.append(number)
        return Crystals.concatenate([candidates[number]] * len(rows))

    found = redrawn(draw, 1, len(candidates), 0.0, **options)
    return found.numbers[0].tolist(), len(calls)


def test_a_system_wants_charges_that_balance():
    bad, good, close = rocksalt([11, 8]), rocksalt([12, 8]), rocksalt([12, 8], 1.0)
    assert drawn(bad, close, good, balanced=True) == ([12, 8], 3)
    assert drawn(bad, good) == ([11, 8], 1)
    assert drawn(close, bad, close, balanced=True) == ([11, 8], 3)
