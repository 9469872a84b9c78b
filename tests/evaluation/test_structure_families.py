import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.evaluation.structure_families import OTHER, commonest, families_by_value, family

FCC = [[0.0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def test_families_have_no_elements():
    second = [[x + 0.5 for x in row] for row in FCC]
    crystals = Crystals.from_lists(
        [[11] * 4 + [17] * 4, [12] * 4 + [8] * 4, [29] * 4],
        [FCC + second, FCC + second, FCC],
        [np.eye(3) * 5.64, np.eye(3) * 4.21, np.eye(3) * 3.61],
    )
    names = family(crystals)
    assert names[0] == names[1] == "AB_cF8_225_a_b"
    assert names[2] == "A_cF4_225_a"


def test_commonest_leaves_out_the_nameless():
    assert commonest(["b", "", "a", "", "", "b", "a", "c"], 2) == ["a", "b"]
    assert commonest([]) == []


def test_counts_keep_every_crystal():
    values = torch.tensor([6.2, 6.4, 6.5, 9.1, float("nan"), 9.4])
    found = families_by_value(["fcc", "salt", "rare", "rare", "fcc", ""], values, ["fcc", "salt"], 0.5)
    assert found.families == ("fcc", "salt", OTHER)
    assert found.edges.tolist() == pytest.approx(np.arange(6.0, 9.6, 0.5).tolist())
    assert found.counts[0].tolist() == [1, 1, 0]
    assert found.counts[1].tolist() == [0, 0, 1]
    assert found.counts[-1].tolist() == [0, 0, 2]
    assert int(found.counts.sum()) + found.missing == len(values)
    assert found.shares[0].tolist() == [0.5, 0.5, 0]
    assert found.shares[2].isnan().all()


def test_rates_carry_their_bins():
    found = families_by_value(["x", "y"], torch.tensor([1.0, 1.2]), ["x"], 0.5)
    rate = found.rates()[0]
    assert (rate.name, rate.group, rate.count, rate.total) == (OTHER, "1 to 1.5", 1, 2)
    with pytest.raises(UserError, match="family"):
        found.rates("z")


def test_nothing_and_mistakes():
    empty = families_by_value([], torch.zeros(0), ["x"], 0.5)
    assert empty.counts.shape == (0, 2)
    assert empty.rates() == []
    with pytest.raises(UserError, match="width"):
        families_by_value([], torch.zeros(0), [], 0.0)
    with pytest.raises(UserError, match="families"):
        families_by_value(["x"], torch.zeros(0), [], 1.0)
