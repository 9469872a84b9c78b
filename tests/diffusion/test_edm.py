"""Preconditioning, noise and loss of EDM against cases that are known in closed form."""

import pytest
import torch

from nucleate.diffusion.edm import EdmProcess
from nucleate.diffusion.noise import GeneratorNoise


def test_the_ideal_network_of_gaussian_data_predicts_zero():
    process = EdmProcess(sigma_data=0.3)
    x, sigma = torch.randn(20, 4, dtype=torch.float64), torch.rand(20, dtype=torch.float64) * 5 + 0.01
    ideal = x * 0.09 / (0.09 + sigma[:, None] ** 2)
    assert torch.allclose(process.denoised(lambda y, _: torch.zeros_like(y), x, sigma), ideal)


def test_input_and_target_have_unit_variance_and_the_weight_undoes_the_scale():
    process, generator = EdmProcess(), torch.Generator().manual_seed(0)
    clean = 0.5 * torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
    for level in (0.01, 0.5, 10.0):
        sigma = torch.full((len(clean),), level, dtype=torch.float64)
        noisy = clean + level * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
        seen = {}

        def network(y, told, seen=seen):
            seen["input"], seen["level"] = y, told
            return torch.zeros_like(y)

        skip = process.denoised(network, noisy, sigma)
        out = process.denoised(lambda y, _: torch.ones_like(y), noisy, sigma) - skip
        assert float(seen["input"].std()) == pytest.approx(1, rel=0.01)
        assert float(((clean - skip) / out).std()) == pytest.approx(1, rel=0.01)
        assert torch.allclose(seen["level"], sigma.log() / 4)
        assert float(process.errors(skip, clean, sigma).mean()) == pytest.approx(1, rel=0.02)


def test_noise_of_training():
    process, noise = EdmProcess(), GeneratorNoise(torch.Generator().manual_seed(0))
    noisy, sigma = process.corrupt(torch.zeros(50_000, 2), noise)
    assert float(sigma.log().mean()) == pytest.approx(-1.2, abs=0.03)
    assert float(sigma.log().std()) == pytest.approx(1.2, rel=0.02)
    assert float((noisy / sigma[:, None]).std()) == pytest.approx(1, rel=0.02)
