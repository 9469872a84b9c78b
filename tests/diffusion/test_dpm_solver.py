"""Second-order steps against the exact flow of a Gaussian, whose perfect denoiser is known."""

import math

import pytest
import torch

from nucleate.diffusion.joint import JointProcess, Prediction, State
from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.predictor_corrector import PredictorCorrector
from nucleate.diffusion.schedule import GeometricSchedule
from nucleate.diffusion.species import MaskedProcess, MaskedSpecies
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess, rms_score

SIZE, WIDTH = 64, 0.02
"""Coordinates spread by ``WIDTH`` about their places; cells have mean 1 and standard deviation 0.5."""
PLACES = torch.tensor([[0.2, 0.3, 0.4], [0.7, 0.6, 0.9]], dtype=torch.float64)
PROCESS = JointProcess(
    MaskedSpecies(MaskedProcess(3)),
    WrappedNormalProcess(GeometricSchedule(0.005, 0.1)),
    VariancePreservingProcess("cell", "velocity"),
)


def exact(state, t):
    """Predictions of one who knows the distributions."""
    sigma = PROCESS.frac.schedule.sigma(t)[:, None, None]
    off = state.frac - PLACES
    score = -(off - off.round()) / (sigma**2 + WIDTH**2)
    signal, spread = (part[:, None] for part in shares(t))
    gain = signal * 0.25 / (0.25 * signal**2 + spread**2)
    clean = 1 + gain * (state.cell - signal)
    drawn = (state.cell - signal * clean) / spread
    return Prediction(torch.zeros(SIZE, 2, 3), score / rms_score(sigma), signal * drawn - spread * clean)


def shares(t):
    alpha_bar = PROCESS.cell.schedule.alpha_bar(t)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def sampled(steps, order):
    noise = KeyedNoise(0, torch.arange(SIZE), dtype=torch.float64)
    drawn = math.sqrt(0.1**2 + WIDTH**2) * noise.normal("start", (SIZE, 2, 3))
    drawn = drawn - drawn.mean(1, keepdim=True)  # the walk leaves the common shift alone
    mask = torch.ones(SIZE, 2, dtype=torch.bool)
    start = State(
        torch.ones(SIZE, 2, dtype=torch.int64),
        torch.remainder(PLACES + drawn, 1.0),
        noise.normal("cell", (SIZE, 6)),
        mask,
    )
    sampler = PredictorCorrector(steps, corrector_steps=0, churn=0.0, order=order)
    end = sampler.sample(PROCESS, exact, start, mask, torch.ones(SIZE, 3, dtype=torch.bool), noise)
    return start, drawn, end


def flow(start, drawn, last):
    """Where the probability flow of the Gaussians carries the start, up to the walk's last step at time ``last``.

    A flow scales each deviation with its spread; the last step goes to the expected clean value.
    """
    t = torch.full((1,), last, dtype=torch.float64)
    spread = math.sqrt(float(PROCESS.frac.schedule.sigma(t)) ** 2 + WIDTH**2)
    coordinates = drawn * spread / math.sqrt(0.1**2 + WIDTH**2) * (WIDTH / spread) ** 2
    (signal, noise), (signal_last, noise_last) = shares(torch.ones(1, dtype=torch.float64)), shares(t)
    before, after = (torch.sqrt(0.25 * a**2 + b**2) for a, b in ((signal, noise), (signal_last, noise_last)))
    cell = 1 + (start.cell - signal) * after / before * signal_last * 0.25 / after**2
    return coordinates, cell


def errors(steps, order):
    start, drawn, end = sampled(steps, order)
    coordinates, cell = flow(start, drawn, 1 / steps)
    off = end.frac - PLACES
    off = off - off.round()
    return float((off - coordinates).abs().mean()), float((end.cell - cell).abs().mean())


@pytest.mark.parametrize("field", [0, 1], ids=["coordinates", "cell"])
def test_second_order_is_nearer_to_the_flow_and_both_come_to_it(field):
    first, second = (errors(24, order)[field] for order in (1, 2))
    assert second < 0.5 * first
    fine = errors(400, 2)[field]
    assert fine < 0.1 * second


def test_times_can_crowd_towards_the_crystal():
    seen = []

    def noting(state, t):
        seen.append(float(t[0]))
        return exact(state, t)

    noise = KeyedNoise(0, torch.arange(SIZE), dtype=torch.float64)
    mask = torch.ones(SIZE, 2, dtype=torch.bool)
    start = State(
        torch.ones(SIZE, 2, dtype=torch.int64), PLACES.expand(SIZE, 2, 3), noise.normal("cell", (SIZE, 6)), mask
    )
    PredictorCorrector(4, corrector_steps=0, spacing=2.0).sample(
        PROCESS, noting, start, mask, torch.ones(SIZE, 3, dtype=torch.bool), noise
    )
    assert seen == pytest.approx([1.0, 0.5625, 0.25, 0.0625])
