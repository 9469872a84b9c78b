"""The stochastic Heun sampler against distributions that are known in closed form."""

import math

import pytest
import torch

from nucleate.diffusion.edm import HeunSampler
from nucleate.diffusion.noise import KeyedNoise

MEANS = torch.tensor([[-2.0, 0.5], [2.0, 0.0], [0.2, -2.0]], dtype=torch.float64)
SPREADS = torch.tensor([0.1, 0.2, 0.02], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def mixture_denoiser(x, sigma):
    """E[x | x_σ] for a mixture of isotropic Gaussians."""
    variance = SPREADS**2 + sigma[:, None] ** 2
    away = x[:, None] - MEANS
    weight = (SHARES.log() - variance.log() - 0.5 * (away**2).sum(2) / variance).softmax(1)
    centre = MEANS + (SPREADS**2 / variance)[..., None] * away
    return (weight[..., None] * centre).sum(1)


def keyed(size, seed=0, start=0):
    return KeyedNoise(seed, torch.arange(start, start + size), dtype=torch.float64)


def test_levels_are_those_of_the_paper():
    levels = HeunSampler().levels()
    i = torch.arange(100, dtype=torch.float64)
    expected = (80 ** (1 / 7) + i / 99 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert torch.allclose(levels[:-1], expected, rtol=1e-12)
    assert (levels[0], levels[-1]) == (pytest.approx(80), 0)


@pytest.mark.parametrize("churn", [0.0, 1.0, 10.0])
def test_samples_are_from_the_mixture(churn):
    x = HeunSampler(churn=churn).sample(mixture_denoiser, (2,), keyed(4000))
    nearest = torch.cdist(x, MEANS).argmin(1)
    for i, (mean, spread, share) in enumerate(zip(MEANS, SPREADS, SHARES, strict=True)):
        part = x[nearest == i]
        assert len(part) / len(x) == pytest.approx(float(share), abs=3 * math.sqrt(0.25 / len(x)) + 0.01)
        assert torch.allclose(part.mean(0), mean, atol=4 * float(spread) / len(part) ** 0.5 + 0.003)
        assert float((part - mean).std()) == pytest.approx(float(spread), rel=0.06)


def test_sampling_without_churn_solves_the_ode_of_a_gaussian():
    """There x(σ) = x_T √((s² + σ²) / (s² + σ_T²))."""
    spread, sampler = 0.4, HeunSampler(steps=60, churn=0)
    noise = keyed(50)
    found = sampler.sample(lambda x, s: x * spread**2 / (spread**2 + s[:, None] ** 2), (3,), noise)
    start = 80 * noise.normal("start", (50, 3))
    assert torch.allclose(found, start * spread / (spread**2 + 80**2) ** 0.5, rtol=5e-3)


def test_sampling_is_of_second_order():
    exact = HeunSampler(steps=1500, churn=0).sample(mixture_denoiser, (2,), keyed(20))
    errors = [
        float((HeunSampler(steps=n, churn=0).sample(mixture_denoiser, (2,), keyed(20)) - exact).abs().mean())
        for n in (50, 100)
    ]
    assert errors[0] / errors[1] > 3


def test_number_of_calls():
    calls = []
    HeunSampler(steps=7).sample(lambda x, s: calls.append(s) or x * 0, (2,), keyed(1))
    assert len(calls) == 13


def test_rows_do_not_depend_on_their_batch():
    sampler = HeunSampler(steps=10)
    together = sampler.sample(mixture_denoiser, (2,), keyed(6))
    parts = [sampler.sample(mixture_denoiser, (2,), keyed(n, start=s)) for s, n in ((0, 1), (1, 3), (4, 2))]
    assert torch.allclose(together, torch.cat(parts), atol=1e-12)


def test_what_is_known_is_put_back():
    known = torch.full((5, 1), 0.25, dtype=torch.float64)

    def keep(x, level):
        return torch.cat([known + level, x[:, 1:]], 1)

    found = HeunSampler(steps=20).sample(mixture_denoiser, (2,), keyed(5), keep)
    assert torch.equal(found[:, :1], known)
