"""Schedules against the numbers of the published code."""

import pytest
import torch

from nucleate.diffusion.schedule import CosineSchedule, GeometricSchedule, LinearSchedule, expand_to


@pytest.mark.parametrize(("low", "high"), [(0.005, 0.5), (0.01, 1.0)])
def test_geometric_steps_run_from_low_to_high(low, high):
    k = torch.tensor([1.0, 2.0, 1000.0], dtype=torch.float64)
    sigma = GeometricSchedule(low, high).sigma((k - 1) / 999)
    assert sigma[[0, 2]].tolist() == pytest.approx([low, high])
    assert float(sigma[1] / sigma[0]) == pytest.approx((high / low) ** (1 / 999))


def test_cosine_with_clipped_steps_is_diffcsps():
    """The public code clips every step's β to [1e-4, 0.9999]; the closed form is what it clips."""
    t = torch.arange(1001, dtype=torch.float64) / 1000
    alpha_bar = CosineSchedule(floor=0.0).alpha_bar(t)
    beta = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(1e-4, 0.9999)
    clipped = torch.cumprod(1 - beta, 0)
    assert float(clipped[0]) == pytest.approx(0.9999, abs=1e-9)
    assert float(clipped[499]) == pytest.approx(0.493654, abs=1e-6)
    assert float(clipped[998]) == pytest.approx(2.43e-6, rel=2e-3)
    # What the clipping changes is less than a thousandth where there is signal.
    assert float((clipped - alpha_bar[1:]).abs().max()) < 1e-3


def test_cosine_falls_from_one_to_its_floor():
    t = torch.linspace(0, 1, 501, dtype=torch.float64)
    alpha_bar = CosineSchedule().alpha_bar(t)
    assert float(alpha_bar[0]) == 1
    assert float(alpha_bar[-1]) == 1e-5
    assert bool((alpha_bar[1:] <= alpha_bar[:-1]).all())


def test_expand_to_meets_every_shape():
    value = torch.tensor([1.0, 2.0])
    assert expand_to(value, torch.zeros(2, 4, 3)).shape == (2, 1, 1)
    assert expand_to(value, torch.zeros(2, 6)).shape == (2, 1)


def test_linear_rates_give_mattergens_signal():
    t = torch.tensor([0.001, 0.1, 0.5, 1.0], dtype=torch.float64)
    alpha = LinearSchedule().alpha_bar(t).sqrt()
    assert alpha.tolist() == pytest.approx([0.9999450, 0.9467218, 0.2811829, 0.0065716], abs=1e-7)


def test_the_linear_signal_is_that_of_many_small_steps():
    steps = 200_000
    t = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps * 0.7
    kept = torch.prod(1 - (0.1 + 19.9 * t) * 0.7 / steps)
    assert float(kept) == pytest.approx(
        float(LinearSchedule().alpha_bar(torch.tensor(0.7, dtype=torch.float64))), rel=1e-4
    )
