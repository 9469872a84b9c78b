"""Predictor and corrector with a denoiser that knows the crystal."""

import pytest
import torch

from nucleate.diffusion.joint import JointProcess, Prediction, State
from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.predictor_corrector import PredictorCorrector
from nucleate.diffusion.species import GaussianSpecies, MaskedProcess, MaskedSpecies
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess, centred, rms_score, wrapped_score

NUMBERS = torch.tensor([[1, 4, 3, 3], [2, 6, 0, 0]])
MASK = NUMBERS > 0
ALLOWED = torch.ones(2, 6, dtype=torch.bool)


class Crystal:
    """Two known crystals, and the denoiser that points at them from any state."""

    def __init__(self, species, predicts):
        self.process = JointProcess(species, WrappedNormalProcess(), VariancePreservingProcess("cell", predicts))
        generator = torch.Generator().manual_seed(0)
        self.frac = torch.rand(2, 4, 3, generator=generator, dtype=torch.float64) * MASK[..., None]
        self.cell = torch.randn(2, 6, generator=generator, dtype=torch.float64)
        self.times = []

    def __call__(self, state, t):
        self.times.append(float(t[0]))
        sigma = self.process.frac.schedule.sigma(t)[:, None, None]
        away = state.frac - self.frac
        away = away - away[:, :1]  # the prediction knows no origin: it wants the first site where it is
        score = centred(wrapped_score(away, sigma) / rms_score(sigma), state.mask)
        cell = self.process.cell
        share = cell.schedule.alpha_bar(t)[:, None]
        drawn = (state.cell - share.sqrt() * self.cell) / (1 - share).sqrt()
        velocity = share.sqrt() * drawn - (1 - share).sqrt() * self.cell
        return Prediction(self.species_prediction(state, t), score, drawn if cell.predicts == "noise" else velocity)

    def species_prediction(self, state, t):
        clean = torch.nn.functional.one_hot((NUMBERS - 1).clamp_min(0), 6).double()
        if isinstance(self.process.species, MaskedSpecies):
            return 100.0 * clean
        share = self.process.species.process.schedule.alpha_bar(t)[:, None, None]
        return (state.species - share.sqrt() * clean) / (1 - share).sqrt()

    def sampled(self, sampler, seed=0, fixed=None):
        noise = KeyedNoise(seed, torch.arange(2), dtype=torch.float64)
        species = self.process.species.prior(noise, (2, 4))
        fixed = torch.zeros(2, 4, dtype=torch.bool) if fixed is None else fixed
        keep = fixed.reshape(2, 4, *([1] * (species.dim() - 2)))
        given = self.process.species.known(torch.full((2, 4), 5))
        begin = State(
            torch.where(keep, given, species),
            self.process.frac.prior(noise, (2, 4, 3)),
            self.process.cell.prior(noise, (2, 6)),
            MASK,
        )
        return sampler.sample(self.process, self, begin, fixed, ALLOWED, noise)


@pytest.fixture(params=["default", "paper"])
def crystal(request):
    return (
        Crystal(MaskedSpecies(MaskedProcess(6)), "velocity")
        if request.param == "default"
        else Crystal(GaussianSpecies(6), "noise")
    )


@pytest.mark.parametrize("churn", [1.0, 0.0])
def test_a_denoiser_that_knows_the_crystal_gets_it_back(crystal, churn):
    end = crystal.sampled(PredictorCorrector(steps=25, corrector_steps=1, churn=churn))
    assert torch.equal(crystal.process.species.decode(end.species, MASK, ALLOWED), NUMBERS)
    torch.testing.assert_close(end.cell, crystal.cell)
    away = end.frac - crystal.frac
    away = away - away[:, :1]
    away = (away - away.round()) * MASK[..., None]
    assert float(away.abs().max()) < 1e-3


def test_fixed_sites_keep_their_species(crystal):
    fixed = torch.tensor([[True, False, False, True], [False, True, False, False]])
    end = crystal.sampled(PredictorCorrector(steps=5), fixed=fixed)
    numbers = crystal.process.species.decode(end.species, MASK, ALLOWED)
    assert bool((numbers[fixed] == 5).all())
    assert torch.equal(numbers[~fixed & MASK], NUMBERS[~fixed & MASK])


def test_samples_are_those_of_their_seed(crystal):
    first, again, other = (crystal.sampled(PredictorCorrector(steps=4), seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.frac[0], other.frac[0])


def test_corrections_come_first_and_only_below_their_time(crystal):
    crystal.sampled(PredictorCorrector(steps=4, corrector_steps=2, corrector_below=0.5))
    assert crystal.times == [1.0, 0.75, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_progress_counts_steps(crystal):
    seen = []
    noise = KeyedNoise(0, torch.arange(2), dtype=torch.float64)
    begin = State(
        crystal.process.species.prior(noise, (2, 4)), crystal.frac, crystal.cell, MASK
    )  # fmt: skip
    PredictorCorrector(steps=3).sample(
        crystal.process, crystal, begin, torch.zeros(2, 4, dtype=torch.bool), ALLOWED, noise, seen.append
    )
    assert seen == [1, 2, 3]


def test_species_may_run_on_a_clock_of_their_own(crystal):
    noise = KeyedNoise(0, torch.arange(2), dtype=torch.float64)
    t, zero = torch.full((2,), 0.7, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    state, target = crystal.process.corrupt(NUMBERS, crystal.frac, crystal.cell, MASK, t, zero, noise)
    assert torch.equal(crystal.process.species.decode(state.species, MASK, ALLOWED), NUMBERS)
    assert not torch.equal(state.frac, crystal.frac)
    losses = crystal.process.losses(target._replace(species=crystal.species_prediction(state, t)), target, state, t)
    assert float(losses.frac.abs().max()) < 1e-12
    assert float(losses.cell.abs().max()) < 1e-12
