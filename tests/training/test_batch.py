"""Training crystals and their labels stay together."""

import torch

from nucleate.conditions.quantities import quantity
from nucleate.crystal.crystals import Crystals
from nucleate.training.batch import TrainingBatch


def batch():
    crystals = Crystals.from_lists(
        [[3, 8, 8], [11], [12, 9]], [torch.rand(n, 3) for n in (3, 1, 2)], [4 * torch.eye(3)] * 3
    )
    hardness = torch.tensor([1.0, torch.nan, 3.0], dtype=torch.float64)
    return TrainingBatch.of(crystals, {"hardness": hardness})


def test_labels_go_where_their_crystals_go():
    for rows in (torch.tensor([2, 1]), torch.tensor([False, True, True])):
        some = batch()[rows]
        expected = batch().labels.values["hardness"][rows]
        torch.testing.assert_close(some.labels.values["hardness"], expected, equal_nan=True)
        assert torch.equal(some.labels.mask["hardness"], expected.isfinite())
        assert some.crystals.numbers.shape == (2, 2)


def test_precision_is_that_of_numbers_alone():
    single = batch().to(dtype=torch.float32)
    assert single.labels.values["hardness"].dtype == single.crystals.frac.dtype == torch.float32
    assert single.labels.mask["hardness"].dtype == torch.bool
    assert single.crystals.numbers.dtype == torch.int64


def test_labels_of_conditions_come_from_the_batch_or_its_crystals():
    conditions = [quantity(name).condition for name in ("hardness", "band_gap", "chemical_system")]
    found = batch().labels_of(conditions)
    assert found.mask["hardness"].tolist() == [True, False, True]
    assert not found.mask["band_gap"].any()
    assert found.values["chemical_system"].nonzero().tolist() == [[0, 2], [0, 7], [1, 10], [2, 8], [2, 11]]
