"""The assembled family: losses, training, and what a request returns."""

import copy

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.errors import UserError
from nucleate.families.pigen import SPEC
from nucleate.families.pigen.model import PigenConfig, SamplerConfig
from nucleate.training.batch import TrainingBatch


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def same(a, b):
    return all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("numbers", "frac", "lattice", "n_atoms"))


def test_losses_are_finite_and_fall(model, data):
    torch.manual_seed(0)
    model = SPEC.build({**model.config.model_dump()}, "trained")
    train = model.fit(data)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for step in range(30):
        losses = model(train, noise(step % 3))
        extra = {"compactness"} if model.config.compactness_loss != "none" else set()
        assert set(losses) == {"total", "species", "coordinates", "cell"} | extra
        assert all(value.shape == (len(data),) and bool(value.isfinite().all()) for value in losses.values())
        a, b, c = model.config.weights
        weighted = a * losses["species"] + b * losses["coordinates"] + c * losses["cell"]
        if extra:
            weighted = weighted + model.config.compactness_weight * losses["compactness"]
        torch.testing.assert_close(losses["total"], weighted)
        losses["total"].mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        totals.append(float(losses["total"].mean().detach()))
    assert sum(totals[-3:]) < 0.9 * sum(totals[:3])


def test_statistics_are_those_of_the_data(default_model, data):
    assert default_model.size_weights.tolist() == pytest.approx([0, 0, 0.75, 0, 0, 0, 0, 0, 0.25])
    assert (default_model.element_seen.nonzero().flatten() + 1).tolist() == [3, 8, 9, 11, 12]


def test_training_sees_every_setting_of_a_cubic_cell(default_model, data):
    train = default_model.prepared(data)
    assert set(train.n_settings.tolist()) == {48}
    # Coordinates are told from the template's origin, so it is the vector between two sites that is looked at.
    asymmetric = Crystals.from_lists([[3, 8]], [[[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]]], [4 * torch.eye(3)])
    one = default_model.prepared(TrainingBatch.of(asymmetric))
    pairs = (default_model._any_setting(one, noise(i))[0].double() for i in range(150))
    seen = {tuple(round(v, 3) % 1 for v in torch.remainder(b - a, 1.0).tolist()) for a, b in pairs}
    assert len(seen) > 30
    assert {tuple(sorted(min(v, round(1 - v, 3)) for v in x)) for x in seen} == {(0.1, 0.2, 0.3)}


def test_subsystems_hold_no_other_element(model):
    found = model.sample(12, Conditions.parse(["chemical_system=Li-O"], allow_subsystems=True), seed=2)
    assert all(set(found.sites(i)[0].tolist()) <= {3, 8} for i in range(12))


@pytest.mark.parametrize("text", ["band_gap=1", "chemical_system=Li-Xe", "n_atoms=3..7"])
def test_what_cannot_be_asked_is_said(default_model, text):
    with pytest.raises(UserError, match="--where"):
        default_model.sample(1, Conditions.parse([text]))


def test_another_walk_can_be_asked_for(default_model):
    short = default_model.sample(3, sampler=SamplerConfig(steps=2, churn=0.0))
    assert not same(short, default_model.sample(3))


def test_the_papers_configuration_has_the_papers_network():
    with torch.device("meta"):
        network = SPEC.build({"preset": "diffcsp-paper"}).network
    assert sum(p.numel() for p in network.parameters()) == 12_346_468
    assert PigenConfig.diffcsp_paper().sampler.steps == 1000
    assert SPEC.build({"preset": "diffcsp-paper", "hidden": 8, "layers": 1}).config.cell == "matrix"


def test_training_in_half_precision_keeps_targets_in_single(default_model, data):
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        losses = default_model(default_model.prepared(data), noise())
    assert all(value.dtype == torch.float32 and bool(value.isfinite().all()) for value in losses.values())


def by_template(model, n, *texts, seed=0, **conditions):
    walk = SamplerConfig(steps=6, corrector_steps=0, symmetry="templates")
    return model.sample(n, Conditions.parse(texts, **conditions), seed, sampler=walk)


def test_a_space_group_is_met_on_its_templates(default_model):
    from nucleate.symmetry.space_group import space_groups

    crystals = by_template(default_model, 12, "space_group=221")
    assert set(space_groups(crystals, 0.01).tolist()) == {221}
    with pytest.raises(UserError, match="space group 62"):
        by_template(default_model, 2, "space_group=62")


def test_templates_keep_composition_and_system(default_model):
    for i in range(4):
        numbers = by_template(default_model, 4, "composition=MgO", seed=1).sites(i)[0].tolist()
        assert numbers.count(12) == numbers.count(8) == len(numbers) / 2
        numbers = by_template(default_model, 4, "chemical_system=Li-F", seed=1).sites(i)[0].tolist()
        assert set(numbers) == {3, 9}


def test_a_request_without_a_template_walks_freely(default_model):
    crystals = by_template(default_model, 3, "composition=LiNaO2")
    for i in range(3):
        assert sorted(crystals.sites(i)[0].tolist()) in ([3, 8, 8, 11], [3, 3, 8, 8, 8, 8, 11, 11])


def test_a_template_walk_does_not_depend_on_batch_mates(default_model):
    whole = by_template(default_model, 12, seed=4)
    walk = SamplerConfig(steps=6, corrector_steps=0, symmetry="templates")
    part = default_model.sample(3, None, 4, start=5, sampler=walk)
    for i in range(3):
        for a, b in zip(part.sites(i), whole.sites(5 + i), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_conditions_reach_the_crystals_and_strength_zero_does_not(steered_model):
    torch.manual_seed(1)
    model = copy.deepcopy(steered_model)
    with torch.no_grad():
        for parameter in model.embed.parameters():
            parameter.normal_()
    walk = SamplerConfig(steps=6, corrector_steps=0)
    plain = model.sample(4, None, seed=2, sampler=walk)
    asked = Conditions.parse(["hardness=2.5"])
    assert same(model.sample(4, asked, seed=2, sampler=walk, guidance=0.0), plain)
    once, twice = (model.sample(4, asked, seed=2, sampler=walk, guidance=g) for g in (1.0, 2.0))
    assert not same(once, plain)
    assert not same(once, twice)
    assert same(model.sample(4, asked, seed=2, sampler=walk, guidance={"hardness": 2.0}), twice)


def test_a_steered_crystal_does_not_depend_on_batch_mates(steered_model):
    walk = SamplerConfig(steps=6, corrector_steps=0, symmetry="templates")
    asked = Conditions.parse(["hardness=2..3", "compactness=0.7"])
    whole = steered_model.sample(10, asked, seed=3, sampler=walk)
    part = steered_model.sample(2, asked, seed=3, start=6, sampler=walk)
    for i in range(2):
        for a, b in zip(part.sites(i), whole.sites(6 + i), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_strengths_that_do_not_fit_are_named(steered_model):
    asked = Conditions.parse(["hardness=2.5"])
    for strengths in (-1.0, {"hardness": -1.0}, {"band_gap": 2.0}):
        with pytest.raises(UserError, match="--guidance"):
            steered_model.sample(2, asked, guidance=strengths)


def test_tied_training_sees_symmetric_noise(default_model, data):
    model = copy.deepcopy(default_model)
    model.config = model.config.model_copy(update={"tied": 1.0})
    batch = model.prepared(data)
    train = batch.crystals
    with torch.no_grad():
        process, frac, sites = model._noising(batch, noise())
        cell = model.cells.encode(train.lattice, train.n_atoms)
        t = torch.full((len(train),), 0.5)
        state, _ = process.corrupt(train.numbers, frac, cell, train.mask, t, t, noise())
    tied = process.frac.orbits.constrained(state.frac)
    gap = (tied - state.frac - (tied - state.frac).round()) * train.mask[..., None]
    assert float(gap.abs().max()) < 1e-4
    lattice = model.cells.decode(state.cell, train.n_atoms)
    metric = process.frac.orbits.metrics(lattice)
    torch.testing.assert_close(metric, lattice @ lattice.mT, atol=1e-2, rtol=1e-3)
    same_class = (
        (train.numbers[:, :, None] == train.numbers[:, None, :]) & train.mask[:, None, :] & train.mask[:, :, None]
    )
    hidden = state.species == 0
    assert not (same_class & (hidden[:, :, None] != hidden[:, None, :])).any()
    assert sites is not None
    assert sites[..., 0].sum() == train.mask.sum()
