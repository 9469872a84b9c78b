"""The regressor on its own: laws, statistics of its labels, batches."""

from dataclasses import replace

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.errors import UserError
from nucleate.predictors.gemnet_property import SPEC, _batches
from nucleate.training.batch import TrainingBatch

TINY = {"hidden": 8, "edge": 8, "blocks": 1, "cutoff": 4.0, "neighbours": 12, "readout": 8}


def crystals(sizes=(1, 3, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    numbers = [torch.randint(1, 90, (n,), generator=generator) for n in sizes]
    frac = [torch.rand(n, 3, generator=generator, dtype=torch.float64) for n in sizes]
    cells = [3.2 * torch.eye(3).double() + 0.4 * torch.randn(3, 3, generator=generator).double() for _ in sizes]
    return Crystals.from_lists(numbers, frac, cells)


def labelled(batch, **columns):
    return TrainingBatch.of(batch, {name: torch.tensor(values).double() for name, values in columns.items()})


def model(*names, log10=False):
    torch.manual_seed(0)
    return SPEC.build({**TINY, "targets": [{"name": name, "log10": log10} for name in names]}, "tiny").double()


def test_the_answer_holds_for_any_cell_orientation_and_origin():
    net, batch = model("k"), crystals()
    expected = net.predict(batch, "k")
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())
    change = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, -2, 1]]).double()
    other = replace(batch, frac=(batch.frac + 0.37) @ torch.linalg.inv(change), lattice=change @ batch.lattice @ q.T)
    torch.testing.assert_close(net.predict(other, "k"), expected)


def test_a_supercell_is_the_same_crystal():
    net, batch = model("k"), crystals((3,))
    numbers, frac, cell = batch.sites(0)
    twice = Crystals.from_lists(
        [torch.cat([numbers, numbers])],
        [torch.cat([frac, frac + torch.tensor([0.0, 0, 1])]) / torch.tensor([1.0, 1, 2])],
        [cell * torch.tensor([[1.0], [1], [2]])],
    )
    torch.testing.assert_close(net.predict(twice, "k"), net.predict(batch, "k"))


def test_a_crystal_is_answered_alike_alone_and_in_a_batch():
    net, batch = model("k", "g"), crystals((1, 5, 2, 3))
    alone = torch.cat([net.predict(one, "g") for one in batch])
    torch.testing.assert_close(net.predict(batch, "g"), alone)


def test_labels_are_standardised_and_come_back_as_they_were():
    net = model("k", log10=True).float()
    ready = net.fit(labelled(crystals(), k=[10.0, 1000.0, float("nan")]))
    target = net.config.targets[0]
    assert (target.mean, target.low, target.high) == (pytest.approx(2.0), 10.0, 1000.0)
    assert target.std == pytest.approx(2**0.5)
    assert ready.labels.values["k"][:2].tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])
    with torch.no_grad():
        net.answer.weight.zero_()
        net.answer.bias.fill_(0.5)
    assert net.predict(crystals(), "k").tolist() == pytest.approx([10 ** (2 + 0.5 * 2**0.5)] * 3)


def test_missing_labels_cost_nothing_and_stop_no_gradient():
    net = model("k", "g").float()
    ready = net.fit(labelled(crystals(), k=[1.0, 2.0, float("nan")], g=[float("nan"), 3.0, 5.0]))
    losses = net(ready, GeneratorNoise(torch.Generator().manual_seed(0)))
    assert losses["k"][2] == 0
    assert losses["g"][0] == 0
    torch.testing.assert_close(losses["total"], losses["k"] + losses["g"])
    losses["total"].mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_crystals_beyond_the_model_are_nan_and_others_are_not():
    net, batch = model("k"), crystals((2, 2, 2))
    numbers, lattice = batch.numbers.clone(), batch.lattice.clone()
    numbers[1, 0], lattice[2, 2] = 103, lattice[2, 1]
    assert net.predict(replace(batch, numbers=numbers, lattice=lattice), "k").isnan().tolist() == [False, True, True]


def test_mistakes_are_named():
    net = model("k", log10=True).float()
    with pytest.raises(UserError, match="one of k"):
        net.predict(crystals(), "g")
    with pytest.raises(UserError, match="positive numbers"):
        net.fit(labelled(crystals(), k=[1.0, -2.0, 3.0]))
    with pytest.raises(UserError, match="no label"):
        net.fit(labelled(crystals(), k=[float("nan")] * 3))


def test_batches_hold_every_row_once_within_their_size():
    sizes = torch.tensor(sorted([1] * 30 + [20] * 70 + [90] * 3))
    order = torch.arange(len(sizes))
    batches = _batches(order, sizes)
    assert torch.equal(torch.cat(batches), order)
    assert max(len(rows) * int(sizes[rows].max()) ** 2 for rows in batches) <= 12_000
