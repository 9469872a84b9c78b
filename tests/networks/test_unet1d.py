"""Size of the published shape, and that no crystal sees its batch mates."""

import pytest
import torch
from torch.nn import functional as F

from nucleate.networks.unet1d import NoiseLevelEmbedding, UNet1d, UNet1dConfig, _StandardisedConv

SMALL = {"widths": (8, 12), "length": 37, "noise_features": 16}


def network(**changes):
    torch.manual_seed(0)
    return UNet1d(UNet1dConfig(**changes)).double().eval()


def test_the_published_shape_has_the_published_number_of_parameters():
    parameters = sum(p.numel() for p in UNet1d(UNet1dConfig()).parameters())
    assert parameters == 1_322_340  # the paper's code: 1.322 M


@pytest.mark.parametrize("changes", [{}, SMALL, {**SMALL, "attention": "rows"}], ids=["paper", "odd length", "rows"])
def test_batch_equals_single(changes):
    net = network(**changes)
    x, level = torch.randn(5, 3, net.config.length, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    together = net(x, level)
    assert together.shape == x.shape
    alone = torch.cat([net(a[None], b[None]) for a, b in zip(x, level, strict=True)])
    assert torch.allclose(together, alone, atol=1e-12)


def test_every_parameter_learns():
    net = network(**SMALL)
    level, told = torch.randn(4, dtype=torch.float64), torch.randn(4, 16, dtype=torch.float64)
    net(torch.randn(4, 3, 37, dtype=torch.float64), level, told).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_noise_level_and_condition_matter():
    net = network(**SMALL)
    x, level = torch.randn(2, 3, 37, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    assert not torch.allclose(net(x, level), net(x, level + 1))
    assert not torch.allclose(net(x, level), net(x, level, torch.ones(2, 16, dtype=torch.float64)))
    assert torch.equal(net(x, level), net(x, level, torch.zeros(2, 16, dtype=torch.float64)))


def test_what_is_mixed_in_reaches_every_level():
    net = network(**SMALL)
    x, level = torch.randn(2, 3, 37, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    plain = net(x, level)
    assert torch.equal(net(x, level, mix=lambda _, told: torch.zeros_like(told)), plain)
    for number in range(net.blocks):
        found = net(x, level, mix=lambda at, told, number=number: torch.ones_like(told) * (at == number))
        assert not torch.allclose(found, plain)


def test_frequencies_of_the_noise_level():
    embedding = NoiseLevelEmbedding(6)
    angles = [0.7, 0.7 * 10000 ** (-1 / 3), 0.7 * 10000 ** (-2 / 3)]
    expected = [f for a in angles for f in (torch.tensor(a).sin(), torch.tensor(a).cos())]
    assert torch.allclose(embedding(torch.tensor([0.7])), torch.stack(expected)[None])


def test_kernels_are_standardised():
    conv = _StandardisedConv(4, 6).double()
    weight = conv.weight.detach()
    mean, variance = weight.mean((1, 2, 3), keepdim=True), weight.var((1, 2, 3), keepdim=True, correction=0)
    plain = ((weight - mean) / (variance + 1e-5).sqrt())[:, :, 0]
    x = torch.randn(2, 4, 9, dtype=torch.float64)
    assert torch.allclose(conv(x[:, :, None])[:, :, 0], F.conv1d(x, plain, conv.bias, padding=1))


def test_settled_kernels_are_the_same_and_are_let_go():
    net = network(**SMALL)
    x, level = torch.randn(2, 3, 37, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    before = net(x, level)
    with torch.no_grad(), net.standardised():
        assert torch.equal(net(x, level), before)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.1)
    assert not torch.allclose(net(x, level), before)
