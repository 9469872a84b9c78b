"""The wrapped normal against sums over images, random walks and exactly solvable crystals."""

import math
from itertools import pairwise

import pytest
import torch
from scipy import stats

from nucleate.diffusion.joint import JointProcess, Prediction, State
from nucleate.diffusion.langevin import FixedSize
from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.predictor_corrector import PredictorCorrector
from nucleate.diffusion.schedule import GeometricSchedule, Step
from nucleate.diffusion.species import MaskedProcess, MaskedSpecies
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess, centred, rms_score, wrapped_score

SIGMAS = [0.001, 0.005, 0.02, 0.1, 0.25, 0.399, 0.4, 0.401, 0.6, 1.0, 2.0, 5.0]


def keyed(size, seed=0, dtype=torch.float64):
    return KeyedNoise(seed, torch.arange(size), dtype=dtype)


def log_density(x, sigma):
    """By images, as many as it takes."""
    reach = math.ceil(9 * sigma) + 2
    images = torch.arange(-reach, reach + 1, dtype=torch.float64)
    return torch.logsumexp(-0.5 * ((x[..., None] + images) / sigma) ** 2, -1)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_score_is_the_gradient_of_the_image_sum(sigma):
    x = torch.linspace(-0.98, 0.98, 99, dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(log_density(x, sigma).sum(), x)
    score = wrapped_score(x.detach(), torch.tensor(sigma, dtype=torch.float64))
    torch.testing.assert_close(score, exact, rtol=1e-9, atol=1e-10 / sigma)
    # Also by finite differences, which know nothing of autograd.
    h = 1e-5 * min(1.0, sigma)
    with torch.no_grad():
        slope = (log_density(x + h, sigma) - log_density(x - h, sigma)) / (2 * h)
    torch.testing.assert_close(score, slope, rtol=1e-5, atol=1e-5 / sigma)


def test_score_keeps_its_precision_in_single():
    x = torch.linspace(-0.5, 0.5, 101)
    for sigma in SIGMAS:
        exact = wrapped_score(x.double(), torch.tensor(sigma, dtype=torch.float64))
        error = (wrapped_score(x, torch.tensor(sigma)).double() - exact).abs().max() * sigma
        assert float(error) < 1e-3, sigma


def test_score_is_periodic_and_odd():
    x = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for sigma in (0.05, 0.5):
        s = torch.tensor(sigma, dtype=torch.float64)
        torch.testing.assert_close(wrapped_score(x + 3, s), wrapped_score(x, s), atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(wrapped_score(-x, s), -wrapped_score(x, s), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("sigma", [0.002, 0.03, 0.3, 0.45, 1.0])
def test_rms_score_is_a_mean_over_draws(sigma):
    drawn = sigma * torch.randn(60_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    s = torch.tensor(sigma, dtype=torch.float64)
    monte_carlo = wrapped_score(drawn, s).square().mean().sqrt()
    assert float(rms_score(s)) == pytest.approx(float(monte_carlo), rel=3e-2)


def test_rms_score_has_its_limits():
    narrow, wide = (rms_score(torch.tensor(s, dtype=torch.float64)).item() for s in (0.003, 0.9))
    assert narrow == pytest.approx(1 / 0.003, rel=1e-3)
    # One Fourier term is left: the score is -4π q sin(2πx), its mean square 8π² q².
    assert wide == pytest.approx(math.sqrt(8) * math.pi * math.exp(-2 * (math.pi * 0.9) ** 2), rel=2e-2)
    for sigma in (4.5, 9.0):  # nothing is left of the score, and nothing is divided by zero
        s = torch.tensor(sigma)
        assert float(wrapped_score(torch.tensor(0.3), s) / rms_score(s)) == 0


@pytest.mark.parametrize("t", [0.2, 0.6, 1.0])
def test_marginals_are_those_of_a_wrapped_random_walk(t):
    """Many small wrapped steps, whose variances add up to σ²."""
    size = 3000
    sigma = GeometricSchedule().sigma(torch.tensor(t, dtype=torch.float64))
    clean = torch.full((size, 1, 3), 0.9, dtype=torch.float64)
    walked, generator = clean.clone(), torch.Generator().manual_seed(2)
    for _ in range(60):
        step = torch.randn(walked.shape, generator=generator, dtype=torch.float64)
        walked = torch.remainder(walked + sigma / 60**0.5 * step, 1.0)
    noisy, _ = WrappedNormalProcess().corrupt(clean, torch.full((size,), t, dtype=torch.float64),
                                              torch.ones(size, 1, dtype=torch.bool), keyed(size))  # fmt: skip
    assert bool(((noisy >= 0) & (noisy < 1)).all())
    assert stats.ks_2samp(noisy.flatten(), walked.flatten()).pvalue > 1e-3


def test_target_is_the_normalised_score_without_its_mean():
    process, mask = WrappedNormalProcess(), torch.tensor([[True, True, True], [True, True, False]])
    clean = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    t = torch.tensor([0.3, 0.8], dtype=torch.float64)
    noisy, target = process.corrupt(clean, t, mask, keyed(2))
    sigma = process.schedule.sigma(t)[:, None, None]
    score = wrapped_score(noisy - clean, sigma)
    torch.testing.assert_close(process.score(target, t, mask), centred(score, mask))
    assert float(process.loss(target + 5.0, target, mask).abs().max()) < 1e-12  # a common shift is no error
    assert target[1, 2].abs().max() == 0


def test_centred_has_no_mean_and_no_padding():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    value = torch.randn(2, 3, 3, dtype=torch.float64)
    result = centred(value, mask)
    assert float(result.sum(1).abs().max()) < 1e-12
    assert float(result[~mask].abs().max()) == 0
    torch.testing.assert_close(centred(result, mask), result)


class TwoSites:
    """Crystals of two sites at a distance along each axis of 0.2 (weight 0.3) or 0.65, anywhere in the cell."""

    distances = torch.tensor([0.2, 0.65], dtype=torch.float64)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)

    def __init__(self, process):
        self.process = process

    def sigma(self, t):
        """Of the distance, which carries the noise of both sites."""
        return math.sqrt(2) * self.process.schedule.sigma(t)[:, None]

    def answer(self, frac, t):
        """The exact score by images of both distances, as far as σ(1) √2 = 0.71 needs them."""
        r = frac[:, 1] - frac[:, 0]
        images = torch.arange(-5, 6, dtype=torch.float64)
        moved = r[..., None, None] - self.distances[:, None] + images
        sigma = self.sigma(t)[..., None, None]
        logs = -0.5 * (moved / sigma) ** 2 + self.weights.log()[:, None]
        share = torch.softmax(logs.flatten(2), -1).unflatten(2, (2, -1))
        score = -(share * moved).sum((2, 3)) / sigma[..., 0, 0] ** 2
        rms = rms_score(self.process.schedule.sigma(t))[:, None]
        return torch.stack([-score, score], 1) / rms[:, None]

    def nearest(self, frac):
        r = frac[:, 1] - frac[:, 0]
        off = r[..., None] - self.distances
        off = off - off.round()
        return off.gather(-1, off.abs().argmin(-1, keepdim=True))[..., 0], off.abs().argmin(-1)

    def noisy(self, size, t, seed=5):
        noise = keyed(size, seed)
        origin = noise.uniform("origin", (size, 3))
        pick = self.distances[(noise.uniform("pick", (size, 3)) > 0.3).long()]
        clean = torch.stack([origin, origin + pick], 1)
        return self.process.corrupt(clean, torch.full((size,), t, dtype=torch.float64), mask_of(size), noise)[0]


def mask_of(size, sites=2):
    return torch.ones(size, sites, dtype=torch.bool)


@pytest.mark.parametrize(("churn", "corrector"), [(1.0, 0), (1.0, 1), (0.5, 0), (0.0, 0)])
def test_the_walk_back_with_the_exact_score_recovers_the_distribution(churn, corrector):
    size = 400
    process = WrappedNormalProcess()
    toy = TwoSites(process)
    joint = JointProcess(MaskedSpecies(MaskedProcess(3)), process, VariancePreservingProcess("cell"))
    noise = keyed(size)

    def denoiser(state, t):
        return Prediction(torch.zeros(size, 2, 3, dtype=torch.float64), toy.answer(state.frac, t), torch.zeros(size, 6))

    begin = State(
        MaskedProcess(3).prior(noise, (size, 2)),
        process.prior(noise, (size, 2, 3)),
        torch.zeros(size, 6, dtype=torch.float64),
        mask_of(size),
    )
    allowed = torch.ones(size, 3, dtype=torch.bool)
    sampler = PredictorCorrector(steps=40, corrector_steps=corrector, churn=churn, corrector_size=5e-6)
    end = sampler.sample(joint, denoiser, begin, torch.zeros(size, 2, dtype=torch.bool), allowed, noise)
    off, which = toy.nearest(end.frac)
    assert float(off.abs().quantile(0.99)) < 0.02  # the last step goes to the expected clean value
    share = float((which == 0).double().mean())
    assert share == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / (3 * size)) + 0.01)


@pytest.mark.parametrize("churn", [1.0, 0.5, 0.0])
def test_steps_keep_the_marginals(churn):
    """From the marginal at t by exact scores to the marginal at s, as corrupted data have it."""
    size, t, s = 1000, 0.75, 0.45
    process = WrappedNormalProcess()
    toy = TwoSites(process)
    frac = toy.noisy(size, t)
    grid = torch.linspace(t, s, 21, dtype=torch.float64)
    for i in range(20):
        now, then = grid[i].expand(size), grid[i + 1].expand(size)
        frac = process.step(frac, toy.answer(frac, now), Step(now, then, keyed(size).at(i), churn), mask_of(size))
    expected = toy.noisy(size, s, seed=6)
    found, wanted = (torch.remainder(f[:, 1] - f[:, 0], 1).flatten() for f in (frac, expected))
    assert stats.ks_2samp(found, wanted).pvalue > 1e-3
    assert float(toy.nearest(frac)[0].std()) == pytest.approx(float(toy.nearest(expected)[0].std()), rel=0.08)


def test_corrector_leaves_the_marginal_as_it_is():
    size, t = 1000, torch.tensor(0.5, dtype=torch.float64)
    process = WrappedNormalProcess()
    toy = TwoSites(process)
    frac = toy.noisy(size, 0.5)
    before = frac
    for i in range(30):
        answer = toy.answer(frac, t.expand(size))
        frac = process.correct(frac, answer, t.expand(size), mask_of(size), keyed(size).at(i), FixedSize(2e-6))
    found, wanted = (torch.remainder(f[:, 1] - f[:, 0], 1).flatten() for f in (frac, toy.noisy(size, 0.5, seed=9)))
    assert stats.ks_2samp(found, wanted).pvalue > 1e-3
    moved = torch.remainder(frac - before + 0.5, 1) - 0.5
    assert float(moved.std()) > 0.3 * float(process.schedule.sigma(t))  # and it does move
    assert float(moved.sum(1).abs().max()) < 1e-9  # but not the crystal as a whole


def test_steps_move_with_the_crystal():
    process, size = WrappedNormalProcess(), 20
    frac = torch.rand(size, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    shift = torch.tensor([0.3, -0.2, 0.77], dtype=torch.float64)
    answer = torch.randn(size, 2, 3, dtype=torch.float64)
    t, s = torch.full((size,), 0.7, dtype=torch.float64), torch.full((size,), 0.6, dtype=torch.float64)
    for call in (
        lambda x: process.step(x, answer, Step(t, s, keyed(size)), mask_of(size)),
        lambda x: process.correct(x, answer, t, mask_of(size), keyed(size), FixedSize(1e-5)),
    ):
        difference = call(torch.remainder(frac + shift, 1)) - call(frac) - shift
        assert float((difference - difference.round()).abs().max()) < 1e-12


def test_a_step_to_zero_draws_nothing():
    process, size = WrappedNormalProcess(), 5
    frac = torch.rand(size, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    t, s = torch.full((size,), 0.1, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    answer = torch.randn(size, 2, 3, dtype=torch.float64)
    first, second = (process.step(frac, answer, Step(t, s, keyed(size, seed)), mask_of(size)) for seed in (0, 1))
    assert torch.equal(first, second)
    expected = frac + process.schedule.sigma(t)[:, None, None] ** 2 * process.score(answer, t, mask_of(size))
    torch.testing.assert_close(first, torch.remainder(expected, 1))


MATTERGEN = WrappedNormalProcess(GeometricSchedule(0.01, 5.0), 1 / 3, "sigma", centre=False)


def test_noise_shrinks_with_the_cube_root_of_the_sites():
    mask = torch.arange(8) < torch.tensor([1, 8])[:, None]
    sigma = MATTERGEN.sigma(torch.full((2,), 0.5, dtype=torch.float64), mask, torch.zeros(2, 8, 3))
    assert sigma.flatten().tolist() == pytest.approx([0.223607, 0.111803], abs=1e-6)


def test_scaled_noise_has_the_marginal_of_a_random_walk():
    """Many small wrapped steps of dσ² n^(-2/3), against one corruption."""
    size, t = 20_000, 0.62
    mask = torch.ones(size, 8, dtype=torch.bool)
    sigma = 0.01 * 500**t / 2
    noise, clean = keyed(size), torch.full((size, 8, 3), 0.3, dtype=torch.float64)
    noisy, target = MATTERGEN.corrupt(clean, torch.full((size,), t, dtype=torch.float64), mask, noise)
    walk = torch.zeros(size)
    generator = torch.Generator().manual_seed(0)
    grid = torch.linspace(0, t, 101)
    for low, high in pairwise(grid):
        step = ((0.01 * 500**high) ** 2 - (0.01 * 500**low) ** 2) / 4
        walk = torch.remainder(walk + step.sqrt() * torch.randn(size, generator=generator), 1.0)
    found, expected = torch.remainder(noisy[:, 0, 0] - 0.3, 1.0), walk.double()
    assert stats.ks_2samp(found.numpy(), expected.numpy()).pvalue > 1e-3
    away = noisy - clean
    exact = wrapped_score(away, torch.tensor(sigma, dtype=torch.float64)) * sigma
    torch.testing.assert_close(target, exact)  # MatterGen's score times its standard deviation


def test_the_published_predictor_is_ancestral_sampling():
    """From t to s: x + v score and noise √v σ_s/σ_t with v = σ_t² - σ_s² (its public code)."""
    t, s = (torch.full((3,), value, dtype=torch.float64) for value in (0.6, 0.599))
    mask = torch.arange(4) < torch.tensor([2, 3, 4])[:, None]
    generator = torch.Generator().manual_seed(0)
    frac = torch.rand(3, 4, 3, generator=generator, dtype=torch.float64) * mask[..., None]
    answer = torch.randn(3, 4, 3, generator=generator, dtype=torch.float64)
    noise = keyed(3)
    found = MATTERGEN.step(frac, answer, Step(t, s, noise), mask)
    high, low = (0.01 * 500 ** time[:, None, None] * mask.sum(1).double()[:, None, None] ** (-1 / 3) for time in (t, s))
    v = high**2 - low**2
    expected = frac + v * answer / high * mask[..., None]
    expected = expected + v.sqrt() * low / high * noise.normal("coordinates/step", (3, 4, 3)) * mask[..., None]
    away = found - expected
    assert float((away - away.round()).abs().max()) < 1e-9
