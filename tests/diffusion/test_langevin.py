"""Sizes of Langevin steps, and the equilibrium that they lead to."""

import pytest
import torch

from nucleate.diffusion.langevin import LARGEST, FixedSize, SignalToNoise
from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.schedule import LinearSchedule
from nucleate.diffusion.variance_preserving import VariancePreservingProcess


def values(size=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, size, 3, 3, generator=generator, dtype=torch.float64)


def test_fixed_sizes_grow_with_the_noise():
    growth = torch.tensor([1.0, 3.0])
    assert FixedSize(0.1)(growth, growth, growth).tolist() == pytest.approx([0.1, 0.9])


def test_sizes_keep_the_ratio_of_signal_to_noise():
    """Song et al.: with δ = 2 (r |z|/|s|)², the drift is 2 r (r |z|/|s|) |z| and the noise 2 r |z| |z|/|s| ..."""
    score, drawn = values()
    size = SignalToNoise(0.4)(score, drawn, torch.ones(4))
    for i in range(4):
        expected = 2 * (0.4 * drawn[i].norm() / score[i].norm()) ** 2
        assert float(size[i]) == pytest.approx(float(expected))
    damped = SignalToNoise(0.4, torch.full((4,), 0.5))(score, drawn, torch.ones(4))
    torch.testing.assert_close(damped, size / 2)


def test_each_crystal_has_its_own_size_unless_the_batch_shares():
    score, drawn = values()
    own = SignalToNoise(0.2)
    torch.testing.assert_close(own(score[:2], drawn[:2], torch.ones(2)), own(score, drawn, torch.ones(4))[:2])
    shared = SignalToNoise(0.2, batch_means=True)(score, drawn, torch.ones(4))
    norms = [value.flatten(1).norm(dim=1).mean() for value in (drawn, score)]
    torch.testing.assert_close(shared, (2 * (0.2 * norms[0] / norms[1]) ** 2).expand(4))


def test_entries_of_a_symmetric_matrix_count_as_in_the_matrix():
    entries = values()[0].flatten(1)[:, :6]
    matrix = torch.zeros(4, 3, 3, dtype=torch.float64)
    rows, columns = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]
    matrix[:, rows, columns] = entries
    matrix[:, columns, rows] = entries
    weighted = SignalToNoise(0.2, weights=(1.0, 1.0, 1.0, 2.0, 2.0, 2.0))
    plain = SignalToNoise(0.2)
    ones = torch.ones(4)
    torch.testing.assert_close(weighted(entries, 2 * entries.flip(0), ones), plain(matrix, 2 * matrix.flip(0), ones))


def test_a_score_of_zero_gives_the_largest_step_and_no_noise_none():
    zero, one = torch.zeros(1, 3), torch.ones(1, 3)
    assert float(SignalToNoise(0.4)(zero, one, torch.ones(1))) == LARGEST
    assert float(SignalToNoise(0.4)(zero, zero, torch.ones(1))) == 0


def test_corrections_lead_to_the_marginal():
    """Of data at 0 with variance 0.25, noised to t; the exact score is known."""
    size, t = 4000, 0.4
    process = VariancePreservingProcess("cell", "noise", LinearSchedule())
    times = torch.full((size,), t, dtype=torch.float64)
    share = float(process.schedule.alpha_bar(torch.tensor(t)))
    variance = share * 0.25 + 1 - share
    state = torch.zeros(size, 2, dtype=torch.float64)
    noise = KeyedNoise(0, torch.arange(size), dtype=torch.float64)
    for step in range(60):
        answer = state / variance * (1 - share) ** 0.5  # noise = -score times its standard deviation
        state = process.correct(state, answer, times, noise.at(step), FixedSize(0.05))
    assert float(state.var()) == pytest.approx(variance, rel=0.06)
