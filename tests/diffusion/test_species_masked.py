"""Masking against a simulated chain."""

import math

import pytest
import torch

from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.schedule import Step
from nucleate.diffusion.species import MASK, MaskedProcess

PROCESS = MaskedProcess(5)


def keyed(size, seed=0):
    return KeyedNoise(seed, torch.arange(size), dtype=torch.float64)


def all_real(size, sites):
    return torch.ones(size, sites, dtype=torch.bool)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 1.0])
def test_the_masked_share_is_t(t):
    clean = torch.full((5000, 4), 3)
    noisy = PROCESS.corrupt(clean, torch.full((5000,), t), keyed(5000))
    share = float((noisy == MASK).double().mean())
    assert share == pytest.approx(t, abs=4 * math.sqrt(t * (1 - t) / 20_000))
    assert set(noisy.unique().tolist()) <= {MASK, 3}


def test_steps_follow_the_posterior_of_the_simulated_chain():
    """A site masked by t was masked by s < t with the share that many short masking steps give."""
    size, t, s = 20_000, 0.8, 0.5
    generator = torch.Generator().manual_seed(1)
    when = torch.full((size,), 2.0, dtype=torch.float64)
    for i in range(100):  # a site that is left at time i/100 is masked in the next step with probability 1/(100-i)
        hit = torch.rand(size, generator=generator, dtype=torch.float64) < 1 / (100 - i)
        when = torch.where((when > 1) & hit, torch.tensor((i + 1) / 100, dtype=torch.float64), when)
    by_t = when <= t + 1e-9
    simulated = float((when[by_t] <= s + 1e-9).double().mean())
    noisy = torch.full((size, 1), MASK)
    logits = torch.zeros(size, 1, 5, dtype=torch.float64)
    stepped = PROCESS.step(
        noisy, logits, Step(torch.full((size,), t), torch.full((size,), s), keyed(size)), all_real(size, 1)
    )
    still = float((stepped == MASK).double().mean())
    assert still == pytest.approx(s / t, abs=0.02)
    assert still == pytest.approx(simulated, abs=0.03)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_revealed_species_come_from_the_softmax(temperature):
    size = 20_000
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0, -4.0], dtype=torch.float64)
    noisy = torch.full((size, 1), MASK)
    step = Step(torch.ones(size), torch.zeros(size), keyed(size), temperature=temperature)
    end = PROCESS.step(noisy, logits.expand(size, 1, 5), step, all_real(size, 1))
    share = torch.bincount(end.flatten(), minlength=6)[1:] / size
    torch.testing.assert_close(share.double(), torch.softmax(logits / temperature, -1), atol=0.015, rtol=0)


def test_all_is_revealed_at_the_end_and_nothing_real_is_touched():
    noisy = torch.tensor([[MASK, 2, MASK], [4, MASK, MASK]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    logits = torch.randn(2, 3, 5, dtype=torch.float64)
    end = PROCESS.step(noisy, logits, Step(torch.full((2,), 0.01), torch.zeros(2), keyed(2)), mask)
    assert bool((end[mask] > 0).all())
    assert end[0, 1] == 2
    assert end[1, 0] == 4
    assert end[1, 2] == MASK


def test_the_loss_is_the_cross_entropy_of_the_masked_sites():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clean, noisy = torch.tensor([[1, 5, 2], [3, 3, 0]]), torch.tensor([[MASK, 5, MASK], [3, MASK, MASK]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    log = torch.log_softmax(logits, -1)
    expected = [-(log[0, 0, 0] + log[0, 2, 1]) / 3, -log[1, 1, 2] / 2]
    torch.testing.assert_close(PROCESS.loss(logits, clean, noisy, mask, torch.rand(2)), torch.stack(expected))


def test_the_expected_loss_of_knowing_nothing_is_half_the_entropy():
    """Uniform logits cost log K at each masked site; over t in (0, 1) half of the sites are masked."""
    size = 20_000
    t = keyed(size, 3).uniform("t", (size,))
    clean = torch.full((size, 2), 4)
    noisy = PROCESS.corrupt(clean, t, keyed(size))
    loss = PROCESS.loss(torch.zeros(size, 2, 5, dtype=torch.float64), clean, noisy, all_real(size, 2), t)
    assert float(loss.mean()) == pytest.approx(0.5 * math.log(5), rel=0.02)


def test_the_prior_is_all_masked():
    assert PROCESS.prior(keyed(2), (2, 3)).tolist() == [[MASK] * 3] * 2


MATTERGEN = MaskedProcess(5, 1000, "bound")


def test_times_are_the_indices_of_a_d3pm():
    t = torch.tensor([1.0, 0.5, 0.001])
    assert MATTERGEN.index(t).tolist() == [999, 499, 0]
    grid = torch.arange(1, 1001) / 1000
    assert torch.equal(MATTERGEN.index(grid), torch.arange(1000.0))
    torch.testing.assert_close(MATTERGEN.share(grid), grid)  # after k + 1 steps of 1/(1000 - k)


def test_the_masked_share_is_that_of_the_simulated_chain():
    """A D3PM masks a site that is left in step k with probability 1/(steps - k)."""
    steps, size, k = 20, 40_000, 12
    generator = torch.Generator().manual_seed(0)
    left = torch.ones(size, dtype=torch.bool)
    for i in range(k + 1):
        left &= torch.rand(size, generator=generator) >= 1 / (steps - i)
    process = MaskedProcess(5, steps)
    t = torch.full((size,), (k + 1) / steps, dtype=torch.float64)
    assert process.index(t[:1]).tolist() == [k]
    noisy = process.corrupt(torch.full((size, 1), 3), t, keyed(size))
    assert float((noisy == MASK).double().mean()) == pytest.approx(1 - float(left.double().mean()), abs=0.01)


@pytest.mark.parametrize(("t", "weight"), [(0.001, 1.0), (1.0, 0.001)])
def test_mattergens_loss_weighs_masked_sites_by_the_index(t, weight):
    logits = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clean, noisy = torch.tensor([[2, 4]]), torch.tensor([[MASK, 4]])
    entropy = -torch.log_softmax(logits, -1)[0]
    expected = (weight * entropy[0, 1] + 0.01 * (entropy[0, 1] + entropy[1, 3])) / 2
    found = MATTERGEN.loss(logits, clean, noisy, all_real(1, 2), torch.tensor([t], dtype=torch.float64))
    assert float(found) == pytest.approx(float(expected))


def test_mattergens_loss_is_the_divergence_of_the_posteriors():
    """KL(q(x_k-1 | x_k, x_0) | p(x_k-1 | x_k)) of a masked site, from the transition matrices themselves."""
    steps, k, n = 10, 6, 5
    stay = torch.tensor([1 - 1 / (steps - i) for i in range(steps)], dtype=torch.float64)

    def kernel(i):
        matrix = torch.eye(n + 1, dtype=torch.float64) * stay[i]
        matrix[:, n] += 1 - stay[i]
        matrix[n] = torch.eye(n + 1, dtype=torch.float64)[n]
        return matrix

    before = torch.eye(n + 1, dtype=torch.float64)
    for i in range(k):
        before = before @ kernel(i)
    step = kernel(k)[:, n]  # the chance that x_k is masked, for each x_k-1
    logits = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p0 = torch.softmax(logits, 0)
    true = before[2] * step / (before[2] @ step)
    model = sum(p0[z] * before[z] * step / (before[z] @ step) for z in range(n))
    divergence = torch.where(true > 0, true * (true / model).log(), 0.0).sum()
    process = MaskedProcess(n, steps, "bound")
    entropy = -torch.log_softmax(logits, 0)[2]
    t = torch.tensor([(k + 1) / steps], dtype=torch.float64)
    found = process.loss(logits[None, None], torch.tensor([[3]]), torch.tensor([[MASK]]), all_real(1, 1), t)
    assert float(found) - 0.01 * float(entropy) == pytest.approx(float(divergence))


def test_further_columns_are_never_drawn():
    logits = torch.zeros(400, 1, 6, dtype=torch.float64)
    logits[..., 5] = 50.0
    noisy = torch.full((400, 1), MASK)
    end = PROCESS.step(noisy, logits, Step(torch.ones(400), torch.zeros(400), keyed(400)), all_real(400, 1))
    assert set(end.unique().tolist()) == {1, 2, 3, 4, 5}
