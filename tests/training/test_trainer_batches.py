"""Every row once an epoch, sizes apart."""

import torch

from nucleate.training.trainer import epoch_batches

N_ATOMS = torch.randint(1, 21, (500,), generator=torch.Generator().manual_seed(0))


def test_an_epoch_covers_every_row_once():
    for epoch in range(3):
        batches = epoch_batches(N_ATOMS, 640, (4, 32), seed=1, epoch=epoch)
        assert sorted(torch.cat(batches).tolist()) == list(range(500))


def test_batches_hold_one_size_within_the_limits():
    for rows in epoch_batches(N_ATOMS, 640, (4, 32), seed=1, epoch=0):
        size = N_ATOMS[rows].unique()
        assert len(size) == 1
        assert len(rows) <= min(32, max(4, 640 // int(size) ** 2))


def test_order_is_the_seeds_and_the_epochs():
    def order(seed, epoch):
        return torch.cat(epoch_batches(N_ATOMS, 640, (4, 32), seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert order(0, 0) != order(2**42, 0) != order(2**62, 0)  # seeds of any size


def test_the_number_of_batches_is_the_same_every_epoch():
    assert len({len(epoch_batches(N_ATOMS, 640, (4, 32), 1, epoch)) for epoch in range(20)}) == 1
