"""Adapters: nothing at first, nothing where there is no label, sums of several."""

import pytest
import torch

from nucleate.conditions.kinds import Categorical, MultiHot, Scalar
from nucleate.conditions.labels import Labels
from nucleate.guidance.adapters import Adapters
from nucleate.networks.cspnet import CSPNet, CSPNetConfig
from nucleate.networks.gemnet import GemNet, GemNetConfig

CONDITIONS = (
    Scalar(name="a.b c", mean=1.0),
    Categorical(name="values", size=3),
    MultiHot(name="chemical_system", size=4),
)
GEMNET = GemNetConfig.small(hidden=8, edge=8, triplet=4, bilinear=4, radial=4, circular=4, blocks=2, n_radial=6,
                            neighbours=12, cutoff=4.0, time_features=4, degrees=3, species_inputs=5)  # fmt: skip


def labels(given=True, size=3):
    values = {
        "a.b c": torch.tensor([0.5, torch.nan, 2.0]),
        "values": torch.tensor([1.0, 2.0, 3.0]),
        "chemical_system": torch.eye(4)[:3],
    }
    there = {name: torch.full((size,), given) for name in values}
    there["a.b c"] = there["a.b c"] & values["a.b c"].isfinite()
    return Labels(values, there)


def trained(adapters):
    with torch.no_grad():
        for parameter in adapters.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return adapters


def batch():
    torch.manual_seed(0)
    mask = torch.ones(3, 2, dtype=torch.bool)
    species = torch.nn.functional.one_hot(torch.randint(0, 5, (3, 2)), 5).float()
    return species, torch.rand(3, 2, 3), 4 * torch.eye(3).expand(3, 3, 3), torch.full((3,), 100.0), mask


def answers(kind):
    """From what is mixed in to the answers of a network."""
    species, frac, lattice, time, mask = batch()
    if kind == "gemnet":
        network = GemNet(GEMNET)
        return lambda mix: network(species, frac, lattice, time, mask, mix=mix)
    network = CSPNet(
        CSPNetConfig(hidden=8, layers=2, frequencies=2, time_features=4, species_inputs=5, cell_features=6)
    )
    return lambda mix: network(species, frac, torch.zeros(3, 6), lattice, time, mask, None, mix)


@pytest.mark.parametrize("kind", ["cspnet", "gemnet"])
@torch.no_grad()
def test_fresh_adapters_change_no_bit(kind):
    network = answers(kind)
    for a, b in zip(network(None), network(Adapters(CONDITIONS, 8, 2)(labels())), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", ["cspnet", "gemnet"])
@torch.no_grad()
def test_without_labels_trained_adapters_change_no_bit(kind):
    network, adapters = answers(kind), trained(Adapters(CONDITIONS, 8, 2))
    for a, b in zip(network(None), network(adapters(labels(given=False))), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(network(None)[0], network(adapters(labels()))[0])


@torch.no_grad()
def test_contributions_add_up():
    adapters, sites = trained(Adapters(CONDITIONS, 8, 2)), torch.randn(3, 2, 8)
    together = adapters(labels())
    for block in (0, 1):
        alone = sum(adapters(labels().only([condition.name]))(block, sites) for condition in CONDITIONS)
        torch.testing.assert_close(together(block, sites), alone)
    assert not torch.allclose(together(0, sites), together(1, sites))


def test_missing_labels_do_not_spoil_gradients():
    adapters, sites = trained(Adapters(CONDITIONS, 8, 2)), torch.randn(3, 2, 8)
    adapters(labels())(0, sites).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in adapters.parameters() if p.grad is not None)
