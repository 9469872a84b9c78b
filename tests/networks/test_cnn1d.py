"""The tower's shapes and size are the paper's, and the transposed convolution is a transpose."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from nucleate.networks.cnn1d import (
    ConvolutionDecoder,
    ConvolutionEncoder,
    LatentDecoder,
    LatentEncoder,
    SameConv1d,
    SameConvTranspose1d,
    Tower,
    branch,
    divergence,
)


@pytest.mark.parametrize(("kernel", "stride", "length"), [(5, 2, 144), (5, 2, 18), (3, 1, 18), (4, 2, 10)])
def test_the_transposed_convolution_is_the_transpose(kernel: int, stride: int, length: int) -> None:
    forward = SameConv1d(3, 4, kernel, stride, bias=False).double()
    back = SameConvTranspose1d(4, 3, kernel, stride, bias=False).double()
    back.weight = torch.nn.Parameter(forward.weight.detach().clone())
    x = torch.randn(2, 3, length, dtype=torch.float64)
    y = torch.randn(2, 4, -(-length // stride), dtype=torch.float64)
    assert forward(x).shape == y.shape
    assert torch.allclose((forward(x) * y).sum(), (x * back(y)).sum())


@pytest.mark.parametrize("rows", [144, 136, 61])
def test_a_decoder_gives_as_many_rows_as_its_encoder_took(rows: int) -> None:
    tower = Tower((4, 6, 8), (5, 5, 3), (2, 2, 1))
    encoder, decoder = ConvolutionEncoder(3, rows, tower), ConvolutionDecoder(3, rows, tower)
    features = encoder(torch.randn(2, rows, 3))
    assert features.shape == (2, encoder.features)
    assert encoder.features == decoder.features
    assert decoder(features).shape == (2, rows, 3)


def test_the_paper_s_network_has_its_size() -> None:
    parts = [
        LatentEncoder(3, 144, Tower(), 1024, 256),
        LatentDecoder(3, 144, Tower(), 1024, 256),
        branch(256),
        branch(256),
    ]
    convolutions = 1024 + 41088 + 164096 + 196864 + 1408
    encoder = convolutions + (4608 + 1) * 1024 + 2 * (1024 + 1) * 256
    decoder = 257 * 1024 + 1025 * 4608 + 196864 + 327936 + 163968 + 41024 + 579 + 2 * (3 * 256 + 128)
    sizes = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert sizes == [encoder, decoder, 37057, 37057]
    assert sum(sizes) == pytest.approx(11.44e6, rel=1e-3)


def test_the_divergence_is_that_of_normal_distributions() -> None:
    mean, log_variance = torch.randn(5, 7, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    ours = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    unit = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    assert torch.allclose(divergence(mean, log_variance), kl_divergence(ours, unit))


def test_a_trained_encoder_sees_each_crystal_alone() -> None:
    encoder = LatentEncoder(3, 61, Tower((4, 8), (5, 3), (2, 2)), 16, 8).eval()
    matrices = torch.randn(5, 61, 3)
    alone = torch.cat([encoder(matrices[i : i + 1])[0] for i in range(5)])
    assert torch.allclose(encoder(matrices)[0], alone, atol=1e-6)
