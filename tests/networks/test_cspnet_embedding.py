"""The sinusoidal embedding against its definition."""

import math

import torch

from nucleate.networks.cspnet import SinusoidalEmbedding


def test_sines_then_cosines_from_one_down_to_a_ten_thousandth():
    value = torch.tensor([1.0, 500.0], dtype=torch.float64)
    features = SinusoidalEmbedding(256)(value)
    for i in (0, 5, 127):
        frequency = math.exp(-math.log(1e4) * i / 127)
        torch.testing.assert_close(features[:, i], torch.sin(value * frequency), atol=1e-4, rtol=0)
        torch.testing.assert_close(features[:, 128 + i], torch.cos(value * frequency), atol=1e-4, rtol=0)
