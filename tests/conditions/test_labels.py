"""Dropout of labels, crystal by crystal."""

import torch

from nucleate.conditions.labels import Labels
from nucleate.diffusion.noise import GeneratorNoise, KeyedNoise


def labels(size):
    there = torch.ones(size, dtype=torch.bool)
    return Labels({"a": torch.zeros(size), "b": torch.zeros(size)}, {"a": there, "b": there.clone()})


def noise():
    return GeneratorNoise(torch.Generator().manual_seed(0))


def test_conditions_go_alone_and_together_as_often_as_asked():
    size = 40_000
    left = labels(size).dropped(noise(), each=0.3, everything=0.2).mask
    a, b = left["a"].float(), left["b"].float()
    assert abs(float(a.mean()) - 0.8 * 0.7) < 0.01
    assert abs(float((a * b).mean()) - 0.8 * 0.7 * 0.7) < 0.01
    assert abs(float(((1 - a) * (1 - b)).mean()) - (0.2 + 0.8 * 0.09)) < 0.01


def test_what_is_missing_stays_missing_and_nothing_goes_at_zero():
    known = labels(100)
    known.mask["a"][:50] = False
    assert not known.dropped(noise(), 0.5, 0.0).mask["a"][:50].any()
    kept = known.dropped(noise(), 0.0, 0.0)
    assert all(torch.equal(kept.mask[name], known.mask[name]) for name in known.mask)


def test_dropout_is_the_crystals_own():
    rows = torch.arange(20)
    whole = labels(20).dropped(KeyedNoise(1, rows), 0.5, 0.3)
    part = labels(5).dropped(KeyedNoise(1, rows[7:12]), 0.5, 0.3)
    assert torch.equal(part.mask["b"], whole.mask["b"][7:12])


def test_only_and_sum():
    both = labels(2).only(["a"]) + labels(3)
    assert both.mask["a"].tolist() == [True] * 5
    assert both.mask["b"].tolist() == [False] * 2 + [True] * 3
    assert both.values["a"].shape == (5,)
