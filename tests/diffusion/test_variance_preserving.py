"""Gaussian diffusion against simulated chains and the exactly solvable Gaussian."""

import pytest
import torch

from nucleate.diffusion.noise import GeneratorNoise, KeyedNoise
from nucleate.diffusion.schedule import CosineSchedule, LinearSchedule, Step
from nucleate.diffusion.variance_preserving import VariancePreservingProcess

NOISE, VELOCITY = (VariancePreservingProcess("cell", answer) for answer in ("noise", "velocity"))


def keyed(size, seed=0):
    return KeyedNoise(seed, torch.arange(size), dtype=torch.float64)


def at(t, size):
    return torch.full((size,), t, dtype=torch.float64)


@pytest.mark.parametrize("t", [0.3, 0.7])
def test_the_marginal_is_that_of_many_small_steps(t):
    size, steps = 4000, 100
    schedule, generator = CosineSchedule(), torch.Generator().manual_seed(0)
    clean = torch.tensor([2.0, -1.0], dtype=torch.float64).expand(size, 2)
    x = clean.clone()
    alpha_bar = schedule.alpha_bar(torch.linspace(0, t, steps + 1, dtype=torch.float64))
    for i in range(steps):
        beta = 1 - alpha_bar[i + 1] / alpha_bar[i]
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    noisy, drawn = NOISE.corrupt(clean, at(t, size), keyed(size))
    torch.testing.assert_close(noisy.mean(0), x.mean(0), atol=4 * (2 / size) ** 0.5, rtol=0)
    torch.testing.assert_close(noisy.std(0), x.std(0), atol=0.05, rtol=0)
    torch.testing.assert_close(NOISE.clean(noisy, drawn, at(t, size)), clean)


def test_noise_and_velocity_are_two_names_of_one_answer():
    clean = torch.randn(30, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    t, s = at(0.6, 30), at(0.4, 30)
    noisy, drawn = NOISE.corrupt(clean, t, keyed(30))
    same, velocity = VELOCITY.corrupt(clean, t, keyed(30))
    assert torch.equal(noisy, same)
    torch.testing.assert_close(VELOCITY.clean(noisy, velocity, t), clean)
    for churn in (0.0, 0.5, 1.0):
        one = NOISE.step(noisy, drawn, Step(t, s, keyed(30), churn))
        torch.testing.assert_close(VELOCITY.step(noisy, velocity, Step(t, s, keyed(30), churn)), one)


def test_the_probability_flow_keeps_the_noise_of_a_known_clean_value():
    clean = torch.randn(30, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noisy, drawn = NOISE.corrupt(clean, at(0.6, 30), keyed(30))
    later, _ = NOISE.corrupt(clean, at(0.4, 30), keyed(30))
    torch.testing.assert_close(NOISE.step(noisy, drawn, Step(at(0.6, 30), at(0.4, 30), keyed(30), 0.0)), later)


def test_a_full_step_draws_from_the_posterior():
    """q(x_s | x_t, x_0) of the Gaussian chain, Ho et al., Eqs. 6 and 7."""
    size = 20_000
    now, then = (CosineSchedule().alpha_bar(at(t, 1)) for t in (0.6, 0.4))
    alpha = now / then
    clean, noisy = 1.3, -0.4
    drawn = (noisy - now.sqrt() * clean) / (1 - now).sqrt()
    mean = then.sqrt() * (1 - alpha) / (1 - now) * clean + alpha.sqrt() * (1 - then) / (1 - now) * noisy
    variance = (1 - then) / (1 - now) * (1 - alpha)
    x = NOISE.step(
        torch.full((size, 1), noisy, dtype=torch.float64),
        drawn.expand(size, 1),
        Step(at(0.6, size), at(0.4, size), keyed(size)),
    )
    assert float(x.mean()) == pytest.approx(float(mean), abs=4 * float(variance / size) ** 0.5)
    assert float(x.var()) == pytest.approx(float(variance), rel=0.05)


@pytest.mark.parametrize("churn", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("process", [NOISE, VELOCITY], ids=["noise", "velocity"])
def test_exact_answers_carry_the_prior_to_a_gaussian(process, churn):
    """Data N(m, d²): x_t is Gaussian and E[x_0 | x_t] is linear, so the best answer is known."""
    size, mean, spread, steps = 4000, 0.7, 0.3, 60
    x = process.prior(keyed(size), (size, 1))
    grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    for i in range(steps):
        t, s = grid[i].expand(size), grid[i + 1].expand(size)
        a = process.schedule.alpha_bar(t)[:, None]
        signal, noise = a.sqrt(), (1 - a).sqrt()
        clean = mean + signal * spread**2 / (a * spread**2 + 1 - a) * (x - signal * mean)
        drawn = (x - signal * clean) / noise
        answer = drawn if process.predicts == "noise" else signal * drawn - noise * clean
        x = process.step(x, answer, Step(t, s, keyed(size).at(i), churn))
    assert float(x.mean()) == pytest.approx(mean, abs=0.03)
    assert float(x.std()) == pytest.approx(spread, rel=0.1)


def test_the_last_step_gives_the_clean_estimate():
    noisy, answer = torch.randn(8, 6, dtype=torch.float64), torch.randn(8, 6, dtype=torch.float64)
    for process in (NOISE, VELOCITY):
        end = process.step(noisy, answer, Step(at(0.1, 8), at(0.0, 8), keyed(8)))
        torch.testing.assert_close(end, process.clean(noisy, answer, at(0.1, 8)))


def test_losses_are_means_over_entries_and_real_sites():
    error = torch.tensor([[[1.0, 3.0], [2.0, 0.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    assert float(NOISE.loss(error, torch.zeros_like(error), mask)) == (5.0 + 2.0) / 2
    assert float(NOISE.loss(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))) == 5.0


def test_a_bound_holds_for_what_is_estimated_and_where_a_walk_ends():
    process = VariancePreservingProcess("cell", "noise", LinearSchedule(), bound=lambda x: x.clamp(-2, 2))
    noisy, answer = torch.tensor([[3.0, -0.5]]), torch.tensor([[-1.0, -0.5]])
    t, s = torch.tensor([1.0]), torch.tensor([0.0])
    assert process.clean(noisy, answer, t).abs().max() <= 2
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    assert process.step(noisy, answer, Step(t, s, noise)).abs().max() <= 2
    late = torch.tensor([0.01])
    free = VariancePreservingProcess("cell", "noise", LinearSchedule())
    mild = torch.tensor([[0.5, -0.5]])
    assert torch.equal(process.clean(mild, mild, late), free.clean(mild, mild, late))
