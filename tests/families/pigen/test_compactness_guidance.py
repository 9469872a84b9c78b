"""Volumes that follow a compactness, with a denoiser whose estimate is known."""

import torch

from nucleate.descriptors.geometry import expected_compactness
from nucleate.diffusion.joint import Prediction, State
from nucleate.diffusion.species import MaskedProcess, MaskedSpecies
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.families.pigen.compactness import CompactnessGuidance
from nucleate.representations.cells import LogShapeCells

SIZE, N = 5, 3
CELL = VariancePreservingProcess("cell", "velocity")
CELLS = LogShapeCells().double()
MASK = torch.ones(SIZE, N, dtype=torch.bool)


def setting(seed=0):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(3, 60, (SIZE, N), generator=generator)
    numbers[numbers == 10] = 11  # neon has no radius
    numbers[(numbers == 18) | (numbers == 36) | (numbers == 54)] = 20
    lattice = 6 * torch.eye(3, dtype=torch.float64) + 0.5 * torch.randn(
        SIZE, 3, 3, dtype=torch.float64, generator=generator
    )
    clean = CELLS.encode(lattice, MASK.sum(1))
    noisy = torch.randn(SIZE, 6, dtype=torch.float64, generator=generator)
    return State(numbers, torch.rand(SIZE, N, 3, dtype=torch.float64, generator=generator), noisy, MASK), clean


def guided(state, clean, t, target, share):
    def certain(state, t):
        return Prediction(
            torch.zeros(SIZE, N, 100, dtype=torch.float64), state.frac, CELL.prediction_for(clean, state.cell, t)
        )

    guidance = CompactnessGuidance(certain, MaskedSpecies(MaskedProcess(100)), CELL, CELLS, target, share)
    answer = guidance(state, t)
    return answer, CELLS.decode(CELL.clean(state.cell, answer.cell, t), MASK.sum(1))


def compactness_of(state, lattice):
    return expected_compactness(torch.nn.functional.one_hot(state.species - 1, 100).double(), lattice, MASK)


def test_the_whole_way_without_noise_is_the_target_and_keeps_the_shape():
    state, clean = setting()
    target = torch.linspace(0.4, 0.9, SIZE, dtype=torch.float64)
    t = torch.full((SIZE,), 1e-3, dtype=torch.float64)
    answer, lattice = guided(state, clean, t, target, 1.0)
    torch.testing.assert_close(compactness_of(state, lattice), target, atol=1e-3, rtol=1e-3)
    before = CELLS.decode(clean, MASK.sum(1))
    unit = [cell / torch.linalg.det(cell)[:, None, None] ** (1 / 3) for cell in (before, lattice)]
    torch.testing.assert_close(*unit, atol=1e-3, rtol=1e-3)
    assert torch.equal(answer.frac, state.frac)


def test_half_the_way_halves_the_logarithm_and_noise_slows_it():
    state, clean = setting()
    target = torch.full((SIZE,), 0.7, dtype=torch.float64)
    before = (compactness_of(state, CELLS.decode(clean, MASK.sum(1))) / target).log()
    for t, share in ((1e-3, 0.5), (0.3, 1.0), (0.9, 1.0)):
        time = torch.full((SIZE,), t, dtype=torch.float64)
        after = (compactness_of(state, guided(state, clean, time, target, share)[1]) / target).log()
        kept = 1 - share * CELL.schedule.alpha_bar(time)
        torch.testing.assert_close(after, kept * before, atol=1e-3, rtol=1e-3)


def test_what_has_no_compactness_is_left_alone():
    state, clean = setting()
    numbers = state.species.clone()
    numbers[0] = 10
    state = state._replace(species=numbers)
    t = torch.full((SIZE,), 0.2, dtype=torch.float64)
    target = torch.full((SIZE,), 0.7, dtype=torch.float64)
    _, lattice = guided(state, clean, t, target, 1.0)
    torch.testing.assert_close(lattice[0], CELLS.decode(clean, MASK.sum(1))[0], atol=1e-6, rtol=1e-6)
    assert lattice.isfinite().all()
