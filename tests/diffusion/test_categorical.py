"""Categorical diffusion in closed form, against K x K matrices and simulation."""

import pytest
import torch

from nucleate.diffusion.categorical import (
    ALPHA_BARS,
    CategoricalProcess,
    drawn,
    marginal_prior,
    single_prior,
    uniform_prior,
)
from nucleate.diffusion.noise import GeneratorNoise, KeyedNoise

K = 5
PRIORS = {
    "uniform": uniform_prior(K),
    "single": single_prior(K),
    "marginal": marginal_prior(torch.tensor([60, 5, 30, 0, 5])),
}


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def process(prior, schedule="cosine"):
    return CategoricalProcess(PRIORS[prior].double(), schedule)


def matrix(p, t, s):
    """Transition from s to t as a table, rows the states at s."""
    alpha = p.alpha_bar(torch.tensor(t)) / p.alpha_bar(torch.tensor(s)).clamp_min(1e-300)
    return (alpha * torch.eye(K) + (1 - alpha) * p.prior).double()


@pytest.mark.parametrize("schedule", ALPHA_BARS)
def test_schedules_fall_from_one_to_zero(schedule):
    alpha_bar = CategoricalProcess(PRIORS["uniform"], schedule).alpha_bar(torch.linspace(0, 1, 101))
    assert alpha_bar[0] == pytest.approx(1.0)
    assert alpha_bar[-1] == pytest.approx(0.0, abs=1e-6)
    assert (alpha_bar.diff() < 0).all()


def test_the_published_schedule():
    """Stay probabilities of the public code, whose step index k of 1000 is t = k / 1000 after one more step."""
    alpha_bar = CategoricalProcess(PRIORS["uniform"], "cos").alpha_bar
    for t, expected in [(0.1, 0.986), (0.25, 0.920), (0.5, 0.703), (0.75, 0.380), (0.9, 0.155)]:
        assert float(alpha_bar(torch.tensor(t))) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("prior", PRIORS)
def test_corruption_has_the_cumulative_matrix(prior):
    p = process(prior)
    t = torch.full((200_000,), 0.6)
    for start in (0, 2):
        noisy = p.corrupt(torch.full((200_000, 1), start), t, noise(start))
        shares = torch.bincount(noisy.flatten(), minlength=K).double() / len(noisy)
        assert (shares - matrix(p, 0.6, 0.0)[start]).abs().max() < 5e-3


@pytest.mark.parametrize("prior", PRIORS)
def test_nothing_changes_at_the_start_and_only_the_prior_is_left_at_the_end(prior):
    p = process(prior, "linear")
    clean = torch.randint(0, K, (64, 50))
    assert torch.equal(p.corrupt(clean, torch.zeros(64), noise()), clean)
    end = p.corrupt(clean, torch.ones(64), noise())
    assert (p.prior[end] > 0).all()
    assert torch.equal(p.draw_prior(noise(), (3, 4)) > 0, p.draw_prior(noise(), (3, 4)) > 0)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("schedule", ALPHA_BARS)
@pytest.mark.parametrize(("t", "s"), [(0.7, 0.4), (0.31, 0.3), (1.0, 0.5), (0.2, 0.0)])
def test_posterior_is_that_of_bayes(prior, schedule, t, s):
    p = process(prior, schedule)
    torch.manual_seed(0)
    probabilities = torch.rand(1, K, K, dtype=torch.float64)
    probabilities /= probabilities.sum(-1, keepdim=True)
    noisy = torch.arange(K)[None]
    found = p.posterior(probabilities, noisy, torch.tensor([t]).double(), torch.tensor([s]).double())
    step, early, late = matrix(p, t, s), matrix(p, s, 0.0), matrix(p, t, 0.0)
    for state in range(K):
        if p.prior[state] == 0:
            assert torch.equal(found[0, state], torch.eye(K).double()[state])
            continue
        expected = torch.zeros(K).double()
        for clean in range(K):
            if late[clean, state] > 0:
                expected += probabilities[0, state, clean] * step[:, state] * early[clean] / late[clean, state]
        assert torch.allclose(found[0, state], expected / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_walk_with_the_true_denoiser_gives_the_data(prior):
    """Where p(x_0 | x_t) is that of Bayes, any number of steps ends in the distribution of the data."""
    p, data = process(prior, "linear"), torch.tensor([0.5, 0.05, 0.25, 0.15, 0.05]).double()
    state = p.draw_prior(noise(1), (200_000, 1))
    grid = torch.linspace(1, 0, 9).double()
    for i in range(8):
        late = matrix(p, float(grid[i]), 0.0)
        belief = (data[:, None] * late).T[state]
        belief = belief / belief.sum(-1, keepdim=True).clamp_min(1e-300)
        t, s = (grid[j].expand(len(state)) for j in (i, i + 1))
        state = p.step(state, belief, t, s, noise(10 + i))
    shares = torch.bincount(state.flatten(), minlength=K).double() / len(state)
    assert (shares - data).abs().max() < 6e-3


def test_cross_entropy_leaves_out_what_is_known():
    logits, clean = torch.randn(3, 4, K), torch.randint(0, K, (3, 4))
    expected = -torch.log_softmax(logits, -1).gather(-1, clean[..., None])[..., 0]
    assert torch.allclose(process("uniform").cross_entropy(logits, clean, clean), expected)
    noisy = torch.zeros_like(clean)
    noisy[0, 0] = clean[0, 0] = 3
    found = process("single").cross_entropy(logits, clean, noisy)
    assert found[0, 0] == 0
    assert (found.flatten()[1:] > 0).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_divergence(prior):
    p = process(prior)
    t, s = torch.tensor([0.6]).double(), torch.tensor([0.5]).double()
    clean, noisy = torch.tensor([[2, 0, 1]]), torch.tensor([[0, 0, 2]])
    if prior == "single":
        noisy[0, 2] = 1
    sure = 60 * torch.nn.functional.one_hot(clean, K).double()
    assert p.divergence(sure, clean, noisy, t, s).abs().max() < 1e-9
    logits = torch.randn(1, 3, K, dtype=torch.float64)
    assert (p.divergence(logits, clean, noisy, t, s) >= 0).all()
    at_zero = p.divergence(logits, clean, noisy, t, torch.zeros(1).double())
    reached = p.posterior(torch.softmax(logits, -1), noisy, t, torch.zeros(1).double())
    assert torch.allclose(at_zero, -reached.gather(-1, clean[..., None])[..., 0].log())


def test_draws_follow_probabilities_and_their_own_crystal_alone():
    probabilities = torch.tensor([0.2, 0.0, 0.5, 0.3, 0.0]).expand(100_000, K)
    shares = torch.bincount(drawn(probabilities, torch.rand(100_000)), minlength=K) / 100_000
    assert (shares - probabilities[0]).abs().max() < 6e-3
    p, times = CategoricalProcess(PRIORS["uniform"]), torch.tensor([0.5, 0.5])
    belief = torch.full((2, 3, K), 1 / K)
    both = p.step(torch.zeros(2, 3).long(), belief, times, times - 0.1, KeyedNoise(0, torch.tensor([4, 7])))
    one = p.step(torch.zeros(1, 3).long(), belief[1:], times[1:], times[1:] - 0.1, KeyedNoise(0, torch.tensor([7])))
    assert torch.equal(both[1:], one)


def test_marginals():
    assert marginal_prior(torch.tensor([3, 1, 0])).tolist() == pytest.approx([0.75, 0.25, 0.0], abs=2e-6)
    assert (marginal_prior(torch.tensor([3, 1, 0])) > 0).all()
