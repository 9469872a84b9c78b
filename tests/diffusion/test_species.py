"""Both species processes through the interface that the joint process uses."""

import pytest
import torch

from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.schedule import Step
from nucleate.diffusion.species import GaussianSpecies, MaskedProcess, MaskedSpecies

KINDS = [MaskedSpecies(MaskedProcess(6)), GaussianSpecies(6)]
NUMBERS = torch.tensor([[1, 6, 3], [2, 2, 0]])
MASK = torch.tensor([[True, True, True], [True, True, False]])


@pytest.fixture(params=KINDS, ids=["masked", "gaussian"])
def species(request):
    return request.param


def keyed(size, seed=0):
    return KeyedNoise(seed, torch.arange(size))


def test_known_species_come_back(species):
    allowed = torch.ones(2, 6, dtype=torch.bool)
    assert torch.equal(species.decode(species.known(NUMBERS), MASK, allowed), NUMBERS)


def test_features_have_the_width_they_say(species):
    state, _ = species.corrupt(NUMBERS, torch.tensor([0.3, 0.9]), keyed(2))
    assert species.features(state).shape == (2, 3, species.n_inputs)
    assert species.features(species.prior(keyed(2), (2, 3))).shape == (2, 3, species.n_inputs)


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_species_that_are_not_allowed_are_never_drawn(species, temperature):
    size = 2000
    allowed = torch.zeros(size, 6, dtype=torch.bool)
    allowed[:, [1, 4]] = True
    mask = torch.ones(size, 3, dtype=torch.bool)
    state = species.prior(keyed(size), (size, 3))
    answer = torch.zeros(size, 3, 6)
    answer[..., 0] = 50.0  # the network insists on another
    for i, (t, s) in enumerate([(1.0, 0.5), (0.5, 0.0)]):
        t, s = torch.full((size,), t), torch.full((size,), s)
        state = species.step(state, answer, Step(t, s, keyed(size).at(i), temperature=temperature), mask, allowed)
    assert set(species.decode(state, mask, allowed).unique().tolist()) <= {2, 5}


def test_exact_answers_bring_the_species_back(species):
    """The answer of one who knows the clean species, at every step."""
    noise, allowed = keyed(2), torch.ones(2, 6, dtype=torch.bool)
    state = species.prior(noise, (2, 3))
    clean = species.known(NUMBERS)
    for i in range(10):
        t, s = torch.full((2,), 1 - i / 10), torch.full((2,), 0.9 - i / 10).clamp_min(0)
        if isinstance(species, MaskedSpecies):
            answer = 100.0 * torch.nn.functional.one_hot((NUMBERS - 1).clamp_min(0), 6).float()
        else:
            share = species.process.schedule.alpha_bar(t)[:, None, None]
            answer = (state - share.sqrt() * clean) / (1 - share).sqrt()
        state = species.step(state, answer, Step(t, s, noise.at(i), temperature=1.0), MASK, allowed)
    assert torch.equal(species.decode(state, MASK, allowed), NUMBERS)


def test_the_loss_of_the_target_is_the_least(species):
    t = torch.tensor([0.5, 0.9])
    noisy, target = species.corrupt(NUMBERS, t, keyed(2))
    masked = isinstance(species, MaskedSpecies)
    best = 100.0 * species.features(target)[..., 1:] if masked else target
    assert float(species.loss(best, target, noisy, MASK, t).max()) < 1e-6
    assert float(species.loss(torch.zeros(2, 3, 6), target, noisy, MASK, t).min()) >= 0
