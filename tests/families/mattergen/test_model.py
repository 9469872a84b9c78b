"""The assembled family: losses, training, and what a request returns."""

import copy

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.diffusion.joint import State
from nucleate.diffusion.noise import GeneratorNoise, KeyedNoise
from nucleate.errors import UserError
from nucleate.families.joint_config import SamplerConfig
from nucleate.families.joint_model import bounded
from nucleate.families.mattergen import SPEC
from nucleate.families.mattergen.model import PAPER_SAMPLER, MatterGenConfig

FREE = SamplerConfig(steps=4, corrector="snr")
TIED = SamplerConfig(steps=4, corrector_steps=0, symmetry="templates")


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def test_losses_are_finite_and_fall(model, data):
    torch.manual_seed(0)
    model = SPEC.build(model.config.model_dump(), "trained")
    train = model.fit(data)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for step in range(25):
        losses = model(train, noise(step % 3))
        assert set(losses) == {"total", "species", "coordinates", "cell"}
        assert all(value.shape == (len(data),) and bool(value.isfinite().all()) for value in losses.values())
        a, b, c = model.config.weights
        weighted = a * losses["species"] + b * losses["coordinates"] + c * losses["cell"]
        torch.testing.assert_close(losses["total"], bounded(weighted, model.config.bounded_above))
        losses["total"].mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        totals.append(float(losses["total"].mean().detach()))
    assert sum(totals[-3:]) < 0.95 * sum(totals[:3])


@torch.no_grad()
def test_published_losses_are_sums_over_sites(paper_model, data):
    """Each from the definition: 0.1 of the squared error of score times σ, D3PM's bound, the cell's mean over nine."""
    model = paper_model
    batch = model.prepared(data)
    train = batch.crystals
    keyed = KeyedNoise(0, torch.arange(len(data)))
    t = model.config.earliest + (1 - model.config.earliest) * keyed.uniform("time", (len(data),))
    cell = model.cells.encode(train.lattice, train.n_atoms)
    frac = model._any_setting(batch, keyed)
    state, target = model.process.corrupt(train.numbers, frac, cell, train.mask, t, t, keyed)
    answer = model.denoise(state, t)
    found = model(batch, keyed)
    n = train.n_atoms[:, None, None]
    sigma = 0.01 * 500 ** t[:, None, None] * n ** (-1 / 3)
    away = torch.remainder(state.frac - frac + 0.5, 1.0) - 0.5
    images = torch.arange(-40, 41)
    weight = torch.softmax(-0.5 * ((away[..., None] + images) / sigma[..., None]) ** 2, -1)
    exact = -(weight * (away[..., None] + images)).sum(-1) / sigma
    squared = ((answer.frac - exact) ** 2).mean(-1) * train.mask
    torch.testing.assert_close(found["coordinates"], squared.sum(1), rtol=1e-3, atol=1e-3)
    k = torch.floor(t * 999)[:, None]
    entropy = torch.nn.functional.cross_entropy(answer.species.mT, (train.numbers - 1).clamp_min(0), reduction="none")
    bound = (entropy * ((state.species == 0) / (k + 1) + 0.01) * train.mask).sum(1)
    torch.testing.assert_close(found["species"], bound, rtol=1e-4, atol=1e-5)
    weights = torch.tensor([1.0, 1, 1, 2, 2, 2])
    torch.testing.assert_close(found["cell"], ((answer.cell - target.cell) ** 2 * weights).sum(1) / 9)
    assert model.config.weights == (1.0, 0.1, 1.0)


@torch.no_grad()
def test_answers_turn_and_shift_with_the_crystal(default_model):
    model = copy.deepcopy(default_model).double()
    generator = torch.Generator().manual_seed(0)
    frac = torch.rand(2, 4, 3, generator=generator, dtype=torch.float64)
    cell = 0.5 * torch.randn(2, 6, generator=generator, dtype=torch.float64)
    species = torch.randint(0, 10, (2, 4), generator=generator)
    state = State(species, frac, cell, torch.ones(2, 4, dtype=torch.bool))
    t = torch.tensor([0.3, 0.7], dtype=torch.float64)
    sites = torch.zeros(2, 4, model.network.config.site_features, dtype=torch.float64)
    plain = model.denoise(state, t, None, sites)
    shifted = model.denoise(state._replace(frac=torch.remainder(frac + 0.37, 1.0)), t, None, sites)
    order = torch.tensor([2, 0, 3, 1])
    permuted = model.denoise(state._replace(frac=frac[:, order], species=species[:, order]), t, None, sites)
    for a, b, c in zip(plain, shifted, permuted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(a[:, order] if a.dim() == 3 else a, c, rtol=1e-6, atol=1e-8)


def test_cells_of_free_walks_are_positive_definite(model):
    assert bool((torch.linalg.eigvalsh(model.sample(4, seed=3, sampler=FREE).lattice) > 0).all())


def test_a_slice_of_a_free_request_is_that_slice(default_model):
    model = copy.deepcopy(default_model).double()
    whole, part = model.sample(8, seed=7, sampler=FREE), model.sample(3, seed=7, start=4, sampler=FREE)
    expected = whole[torch.arange(4, 7)]
    assert torch.equal(part.numbers, expected.numbers)
    torch.testing.assert_close(part.lattice, expected.lattice, atol=1e-4, rtol=1e-5)
    away = part.frac - expected.frac
    assert float((away - away.round()).abs().max()) < 1e-4


def test_batch_means_make_batch_mates_matter(default_model):
    shared = FREE.model_copy(update={"batch_means": True})
    whole = default_model.sample(8, seed=7, sampler=shared)
    part = default_model.sample(3, seed=7, start=4, sampler=shared)
    assert not torch.allclose(part.lattice, whole[torch.arange(4, 7)].lattice, atol=1e-5)


def test_systems_compositions_and_groups_are_met(default_model):
    found = default_model.sample(6, Conditions.parse(["chemical_system=Li-F"]), sampler=FREE)
    assert all(set(found.sites(i)[0].tolist()) == {3, 9} for i in range(6))
    from nucleate.symmetry.space_group import space_groups

    found = default_model.sample(4, Conditions.parse(["space_group=221"]), sampler=TIED)
    assert set(space_groups(found, 0.01).tolist()) == {221}


@pytest.mark.parametrize("text", ["band_gap=1", "chemical_system=Li-Xe", "n_atoms=3..7", "space_group=62"])
def test_what_cannot_be_asked_is_said(default_model, text):
    with pytest.raises(UserError, match="--where"):
        default_model.sample(1, Conditions.parse([text]), sampler=TIED)


def test_the_paper_preset_is_the_papers():
    config = MatterGenConfig.paper()
    with torch.device("meta"):
        network = SPEC.build({"preset": "mattergen-paper"}).network
    assert network.config.hidden == 512
    assert network.config.neighbours == 50
    assert config.sampler == PAPER_SAMPLER
    assert (PAPER_SAMPLER.steps, PAPER_SAMPLER.corrector, PAPER_SAMPLER.snr) == (1000, "snr", (0.4, 0.2))


def test_the_default_network_is_small():
    with torch.device("meta"):
        network = SPEC.build().network
    assert 1e6 < sum(p.numel() for p in network.parameters()) < 2e6


@torch.no_grad()
def test_half_precision_keeps_targets_and_cells_in_single(default_model, data):
    with torch.autocast("cpu", torch.bfloat16):
        losses = default_model(default_model.prepared(data), noise())
    assert all(value.dtype == torch.float32 and bool(value.isfinite().all()) for value in losses.values())
