"""Processes within a symmetry: what a step must not break, and what the draws must follow."""

import pytest
import torch

from nucleate.diffusion.langevin import FixedSize
from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.schedule import GeometricSchedule, Step
from nucleate.diffusion.species import MASK, MaskedProcess
from nucleate.diffusion.symmetry_constrained import ClassSpecies, OrbitCoordinates, SymmetricCells
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess, rms_score, wrapped_score
from nucleate.symmetry.orbits import SiteOrbits, metric_average

MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0]))


def mirrored(size):
    """Two sites that a mirror at z = 0 ties, and one site on it, for each of ``size`` crystals."""
    eye, flat = torch.eye(3), torch.diag(torch.tensor([1.0, 1.0, 0.0]))
    one = SiteOrbits(
        torch.tensor([[0, 0, 2]]),
        torch.stack([eye, MIRROR, eye])[None],
        torch.stack([eye, MIRROR, eye])[None],
        torch.zeros(1, 3, 3),
        torch.stack([eye, eye, flat])[None],
        torch.stack([eye, eye, flat])[None],
        torch.stack([eye, eye, flat])[None],
        torch.zeros(1, 3, 3),
        metric_average(torch.stack([eye, MIRROR]))[None],
    )
    fields = (getattr(one, name).expand(size, *getattr(one, name).shape[1:]) for name in one.__dataclass_fields__)
    return SiteOrbits(*fields)


def keyed(size, seed=0):
    return KeyedNoise(seed, torch.arange(size), dtype=torch.float32)


def gap(a, b):
    difference = a - b
    return (difference - difference.round()).abs().max()


@pytest.mark.parametrize("move", ["step", "last", "correct"])
def test_coordinates_keep_their_ties(move):
    size = 50
    orbits = mirrored(size)
    process = OrbitCoordinates(GeometricSchedule(0.005, 0.5), orbits=orbits)
    noise, mask = keyed(size), torch.ones(size, 3, dtype=torch.bool)
    frac = process.prior(noise, (size, 3, 3))
    answer = noise.normal("answer", (size, 3, 3))
    t = torch.full((size,), 0.7)
    if move == "correct":
        moved = process.correct(frac, answer, t, mask, noise, FixedSize(1e-3))
    else:
        moved = process.step(frac, answer, Step(t, t * (0.9 if move == "step" else 0.0), noise), mask)
    assert gap(moved, orbits.constrained(moved)) < 1e-5
    assert gap(moved[:, 2, 2], torch.zeros(size)) < 1e-6
    assert gap(moved, frac) > 1e-3


def test_a_site_without_ties_moves_as_in_the_free_process():
    """With the identity as the only operation, the symmetric process is the free one but for the common shift."""
    size, n = 4, 3
    free = SiteOrbits.none(size, n, torch.float32, torch.device("cpu"))
    schedule = GeometricSchedule(0.005, 0.5)
    plain, tied = WrappedNormalProcess(schedule), OrbitCoordinates(schedule, orbits=free)
    noise, mask = keyed(size), torch.ones(size, n, dtype=torch.bool)
    frac = plain.prior(noise, (size, n, 3))
    torch.testing.assert_close(tied.prior(noise, (size, n, 3)), frac)
    answer, t = noise.normal("answer", (size, n, 3)), torch.full((size,), 0.5)
    difference = tied.step(frac, answer, Step(t, 0.8 * t, noise), mask) - plain.step(
        frac, answer, Step(t, 0.8 * t, noise), mask
    )
    difference -= difference.round()
    relative = difference - difference[:, :1]
    assert float((relative - relative.round()).abs().max()) < 1e-5


def test_noise_that_is_free_is_that_of_the_free_process():
    size, n = 6, 4
    schedule = GeometricSchedule(0.005, 0.5)
    tied = OrbitCoordinates(schedule, orbits=SiteOrbits.none(size, n, torch.float32, torch.device("cpu")))
    noise, mask, t = keyed(size), torch.ones(size, n, dtype=torch.bool), torch.linspace(0.05, 0.95, size)
    clean = noise.uniform("clean", (size, n, 3))
    for a, b in zip(
        tied.corrupt(clean, t, mask, noise), WrappedNormalProcess(schedule).corrupt(clean, t, mask, noise), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.45])
def test_the_score_on_a_line_is_that_of_its_density(sigma):
    """A site on the diagonal x = y of the cell: the derivative of the log density along it, by brute force."""
    size = 400
    eye = torch.eye(3, dtype=torch.float64)
    swap = eye[[1, 0, 2]]
    basis = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.float64)
    one = SiteOrbits.none(size, 1, torch.float64, torch.device("cpu"))
    orbits = SiteOrbits(
        one.first, one.rotation, one.inverse, one.shift, basis.expand(size, 1, 3, 3),
        torch.linalg.pinv(basis).expand(size, 1, 3, 3), ((eye + swap) / 2).expand(size, 1, 3, 3), one.offset,
        one.metric,
    )  # fmt: skip
    process = OrbitCoordinates(GeometricSchedule(sigma, 0.5), orbits=orbits)
    noise = KeyedNoise(0, torch.arange(size), dtype=torch.float64)
    mask, t = torch.ones(size, 1, dtype=torch.bool), torch.zeros(size, dtype=torch.float64)
    noisy, _ = process.corrupt(torch.zeros(size, 1, 3, dtype=torch.float64), t, mask, noise)
    # Along the diagonal u the noise has variance σ²/2; images are whole u.
    u = noisy[:, 0, 0].clone().requires_grad_()
    images = torch.arange(-40, 41, dtype=torch.float64)
    torch.logsumexp(-((u[:, None] + images) ** 2) / sigma**2, 1).sum().backward()
    width = torch.full((size, 1, 3), sigma, dtype=torch.float64)
    drawn = sigma * noise.normal("coordinates/noise", (size, 1, 3))
    slope = orbits.gradients(
        wrapped_score(orbits.free(drawn), width * torch.linalg.vector_norm(orbits.dual, dim=-1).clamp_min(1e-9))
        * torch.tensor([1.0, 0, 0], dtype=torch.float64)
    )
    # d/du of the log density is the sum of the vector's parts along (1, 1, 0).
    torch.testing.assert_close(slope[:, 0, 0] + slope[:, 0, 1], u.grad, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(slope[:, 0, 0], slope[:, 0, 1])


def test_noise_keeps_the_ties_and_its_target_is_the_way_back():
    size = 64
    orbits = mirrored(size)
    process = OrbitCoordinates(GeometricSchedule(0.005, 0.5), orbits=orbits)
    noise, mask, t = keyed(size), torch.ones(size, 3, dtype=torch.bool), torch.full((size,), 0.1)
    clean = orbits.positions(noise.uniform("clean", (size, 3, 3)))
    noisy, target = process.corrupt(clean, t, mask, noise)
    assert gap(noisy, orbits.constrained(noisy)) < 1e-5
    torch.testing.assert_close(orbits.averaged(target), target, atol=1e-4, rtol=1e-4)
    sigma = process.schedule.sigma(t)[:, None, None]
    back = noisy + sigma**2 * target * rms_score(sigma)
    moved = back - clean
    moved = moved - moved.round()
    torch.testing.assert_close(moved - moved.mean(1, keepdim=True), torch.zeros_like(moved), atol=1e-5, rtol=0)
    assert float(process.loss(target, target, mask).max()) < 1e-9


def test_sites_of_a_class_are_masked_together():
    size = 4000
    species = ClassSpecies(CLASSES.expand(size, -1), MaskedProcess(5))
    numbers = torch.tensor([3, 3, 3, 1, 1, 2, 0]).expand(size, -1)
    state, _ = species.corrupt(numbers, torch.full((size,), 0.4), keyed(size))
    hidden = state[:, :6] == MASK
    assert (hidden[:, 0] == hidden[:, 1]).all()
    assert (hidden[:, 0] == hidden[:, 2]).all()
    assert (hidden[:, 3] == hidden[:, 4]).all()
    share = hidden[:, [0, 3, 5]].float().mean(0)
    torch.testing.assert_close(share, torch.full((3,), 0.4), atol=0.03, rtol=0)
    assert float(((hidden[:, 0] & hidden[:, 3]).float().mean() - 0.16).abs()) < 0.03


def test_cells_stay_on_what_they_are_projected_to():
    process = SymmetricCells("cell", "velocity", project=lambda vector: vector * torch.tensor([1.0, 1.0, 0.0]))
    noise = keyed(20)
    cell = process.prior(noise, (20, 3))
    assert not cell[:, 2].any()
    t = torch.full((20,), 0.6)
    moved = process.step(cell, noise.normal("answer", (20, 3)), Step(t, 0.5 * t, noise))
    assert not moved[:, 2].any()
    assert moved[:, :2].any()


CLASSES = torch.tensor([0, 0, 0, 1, 1, 2, -1])


def walked(size, answer, allowed=None, steps=8, temperature=1.0, start=None):
    classes = CLASSES.expand(size, -1)
    species = ClassSpecies(classes, MaskedProcess(5))
    mask = classes >= 0
    state = species.prior(keyed(size), (size, 7)) if start is None else start
    allowed = torch.ones(size, 5, dtype=torch.bool) if allowed is None else allowed
    for i in range(steps):
        t, s = torch.full((size,), 1 - i / steps), torch.full((size,), 1 - (i + 1) / steps)
        state = species.step(state, answer, Step(t, s, keyed(size).at(i), temperature=temperature), mask, allowed)
    return state


def test_classes_end_with_one_species_each_and_no_two_the_same():
    size = 3000
    answer = torch.zeros(size, 7, 5)
    answer[..., 2] = 3.0  # everybody wants the same species
    state = walked(size, answer)
    assert (state[:, 6] == walked(1, answer[:1])[0, 6]).all()
    a, b, c = state[:, 0], state[:, 3], state[:, 5]
    assert (state[:, 1] == a).all()
    assert (state[:, 2] == a).all()
    assert (state[:, 4] == b).all()
    assert ((a != b) & (b != c) & (a != c)).all()
    assert not (state[:, :6] == MASK).any()
    assert int(((a == 3) | (b == 3) | (c == 3)).sum()) > 0.97 * size


def test_allowed_species_are_the_only_ones():
    size = 1000
    allowed = torch.zeros(size, 5, dtype=torch.bool)
    allowed[:, [0, 2, 4]] = True
    answer = torch.zeros(size, 7, 5)
    answer[..., 1] = 9.0
    assert set(walked(size, answer, allowed=allowed)[:, :6].unique().tolist()) == {1, 3, 5}


def test_given_classes_stay():
    size = 200
    start = torch.full((size, 7), MASK)
    start[:, 3:5] = 4
    answer = torch.zeros(size, 7, 5)
    answer[..., 3] = 5.0
    state = walked(size, answer, start=start)
    assert (state[:, 3:5] == 4).all()
    assert not (state[:, [0, 5]] == 4).any()


def test_a_class_is_drawn_by_the_mean_of_its_sites_logits():
    size = 20_000
    odds = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05])
    start = torch.full((size, 7), MASK)
    start[:, 3:] = 0
    classes = torch.where(CLASSES == 0, 0, -1).expand(size, -1)
    answer = torch.zeros(size, 7, 5)
    answer[:, 0], answer[:, 1] = 2 * odds.log(), odds.log()  # and zero at the third: the mean is that of the odds
    one, allowed = torch.ones(size), torch.ones(size, 5, dtype=torch.bool)
    species = ClassSpecies(classes, MaskedProcess(5))
    state = species.step(start, answer, Step(one, 0 * one, keyed(size), temperature=1.0), classes >= 0, allowed)
    share = torch.bincount(state[:, 0] - 1, minlength=5) / size
    torch.testing.assert_close(share, odds, atol=0.012, rtol=0)


def test_a_crystal_is_drawn_the_same_alone():
    size = 12
    answer = KeyedNoise(5, torch.arange(size), dtype=torch.float32).normal("answer", (size, 7, 5))
    whole = walked(size, answer)
    assert torch.equal(walked(1, answer[:1])[0], whole[0])
