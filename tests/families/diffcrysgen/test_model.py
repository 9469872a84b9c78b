"""Laws of the family: losses, seeds, batches, requests."""

import warnings

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import GeneratorNoise, KeyedNoise
from nucleate.errors import RequestWarning, UserError
from nucleate.families.base import sampler_from
from nucleate.families.diffcrysgen import SPEC
from nucleate.families.diffcrysgen.model import PAPER_SAMPLER, DiffCrysGenConfig, SamplerConfig
from nucleate.guidance.classifier_free import Guided
from nucleate.symmetry.space_group import space_groups
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import ModelFacts, halved, write_model

QUICK = SamplerConfig(steps=5)


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def same(a, b):
    return (
        torch.equal(a.numbers, b.numbers)
        and torch.equal(a.frac, b.frac)
        and torch.equal(a.lattice.nan_to_num(-1), b.lattice.nan_to_num(-1))
    )


def test_the_paper_s_network_is_the_paper_s():
    model = SPEC.build({"preset": "diffcrysgen-paper"})
    assert sum(p.numel() for p in model.parameters()) == 1_322_340
    assert (model.ircr.length, model.ircr.width) == (136, 3)
    assert model.config.sampler == PAPER_SAMPLER
    assert not model.config.conditions


def test_the_paper_s_loss_is_the_mean_over_all_entries(data):
    model = SPEC.build({"preset": "diffcrysgen-paper"})
    model.fit(data)
    found = model(model.prepared(data), noise())
    rows = {"elements": 94, "cell": 2, "coordinates": 20, "occupancy": 20}
    assert torch.allclose(found["total"], sum(n * found[name] for name, n in rows.items()) / 136, rtol=1e-5)


def test_batches_do_not_matter_in_double_precision(data):
    torch.manual_seed(0)
    model = SPEC.build({"widths": [8, 12], "max_atoms": 8, "conditions": []}).double()
    model.fit(data)
    one, many = (model.sample(6, seed=1, sampler=SamplerConfig(steps=12, batch=size)) for size in (1, 6))
    assert torch.equal(one.numbers, many.numbers)
    assert torch.allclose(one.frac, many.frac, atol=1e-4)
    assert torch.allclose(one.lattice, many.lattice, atol=1e-4, equal_nan=True)


def test_only_elements_of_the_training_data_are_drawn(model):
    found = model.sample(12, seed=0, sampler=QUICK)
    assert set(found.numbers.unique().tolist()) <= {0, 3, 8, 9, 11, 12}
    assert (found.n_atoms <= 8).all()


def test_a_composition_is_met_exactly(model):
    found = model.sample(8, Conditions.parse(["composition=LiF3"]), seed=0, sampler=QUICK)
    for numbers, n in zip(found.numbers, found.n_atoms, strict=True):
        assert int(n) % 4 == 0
        assert all(4 * int((numbers == z).sum()) == count * int(n) for z, count in {3: 1, 9: 3}.items())


def test_a_chemical_system_holds_no_other_element(model):
    found = model.sample(8, Conditions.parse(["chemical_system=Na-O"]), seed=0, sampler=QUICK)
    assert set(found.numbers.unique().tolist()) <= {0, 8, 11}


def test_conditions_matter_with_strength_and_one_is_the_conditional_model(steered_model):
    model = steered_model
    for name, value in model.embed.known.items():
        torch.nn.init.normal_(value[-1].weight, generator=torch.Generator().manual_seed(len(name)))
    where = Conditions.parse(["hardness=3.2"])
    plain = model.sample(3, seed=0, sampler=QUICK)
    asked = [model.sample(3, where, seed=0, sampler=QUICK, guidance=strength) for strength in (0.0, 1.0, 3.0)]
    assert same(plain, asked[0])
    assert not same(asked[1], asked[0])
    assert not same(asked[1], asked[2])

    from nucleate.sampling.request_plan import Request

    request = Request.of(where, model.size_weights, model.element_seen, model.config, guidance=1.0)
    labels = request.plan(0, 0, 3).labels(torch.arange(3), torch.device("cpu"), torch.float32)
    x = KeyedNoise(0, torch.arange(3)).normal("x", (3, model.ircr.length, 3))
    sigma = torch.tensor([0.1, 1.0, 10.0])
    guided = Guided(model.denoise, labels, request.strengths)
    assert torch.allclose(guided(x, sigma), model.denoise(x, sigma, labels), atol=1e-6)


def test_what_cannot_be_asked(steered_model):
    for text, message in (
        ("chemical_system=Fe-O", "Fe"),
        ("chemical_system=Li-Na-O-F", "4 elements; expected at most 3"),
        ("n_atoms=9", "at most 8 atoms"),
        ("space_group=225", "space_group"),
        ("softness=3", "softness"),
    ):
        with pytest.raises(UserError, match=message):
            steered_model.sample(1, Conditions.parse([text]), sampler=QUICK)
    with pytest.warns(RequestWarning, match="hardness=50 reaches beyond the training data"):
        steered_model.sample(1, Conditions.parse(["hardness=50"]), sampler=QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steered_model.sample(1, Conditions.parse(["hardness=3.2"]), sampler=QUICK)


def test_training_crystals_that_do_not_fit_are_left_out(data):
    large = Crystals.from_lists([[3, 8, 9, 11], [3] * 9], [[[0.1 * i] * 3 for i in range(m)] for m in (4, 9)],
                                [4 * torch.eye(3)] * 2)  # fmt: skip
    model = SPEC.build({"widths": [8, 12], "max_atoms": 8, "conditions": []})
    assert len(model.fit(TrainingBatch.of(Crystals.concatenate([data.crystals, large])))) == len(data)
    with pytest.raises(UserError, match="none of which the matrix holds"):
        model.fit(TrainingBatch.of(large))


def test_settings():
    assert SPEC.configured({"widths": [8, 16], "sampler.steps": 7}).sampler.steps == 7
    assert sampler_from("paper", SamplerConfig(steps=3), PAPER_SAMPLER) == PAPER_SAMPLER
    changed = sampler_from("steps=9,sigma=0.01:50", SamplerConfig(), PAPER_SAMPLER)
    assert changed == SamplerConfig(steps=9, sigma=(0.01, 50))
    for call in (
        lambda: SPEC.configured({"depth": 3}),
        lambda: SPEC.configured({"preset": "other"}),
        lambda: sampler_from("steps=zero", SamplerConfig(), PAPER_SAMPLER),
        lambda: sampler_from("speed=3", SamplerConfig(), PAPER_SAMPLER),
        lambda: DiffCrysGenConfig.checked({"order": "random"}),
    ):
        with pytest.raises(UserError):
            call()


def symmetric(model):
    return model.config.sampler.model_copy(update={"symmetry": "templates", "symmetrize": 0.0, "draws": 1})


def test_walks_by_templates_end_on_the_symmetry_of_known_crystals(steered_model):
    found = steered_model.sample(16, seed=0, sampler=symmetric(steered_model))
    groups = space_groups(found, 1e-3)
    # Of the crooked cells, of the caesium chloride, and of the latter where both elements are the same.
    assert set(groups.tolist()) <= {1, 221, 229}
    assert (groups > 1).sum() >= 6
    how = symmetric(steered_model)
    parts = [steered_model.sample(size, seed=0, start=start, sampler=how) for start, size in ((0, 5), (5, 11))]
    assert torch.equal(found.numbers, Crystals.concatenate(parts).numbers)
    assert torch.allclose(found.frac, Crystals.concatenate(parts).frac, atol=1e-4)


def test_a_space_group_can_be_asked_of_walks_by_templates_alone(steered_model):
    where = Conditions.parse(["space_group=221"])
    found = steered_model.sample(4, where, seed=0, sampler=symmetric(steered_model))
    assert space_groups(found, 1e-3).tolist() == [221] * 4
    with pytest.raises(UserError, match="space_group"):
        steered_model.sample(1, where, sampler=QUICK)
    with pytest.raises(UserError, match="a space group that training crystals of such a request have"):
        steered_model.sample(1, Conditions.parse(["space_group=225"]), sampler=symmetric(steered_model))


@pytest.mark.parametrize("formula", ["NaF", "Li4O4"])
def test_a_composition_by_templates_is_exact(steered_model, formula):
    where = Conditions.parse([f"composition={formula}", "n_atoms=2"])
    found = steered_model.sample(4, where, seed=0, sampler=symmetric(steered_model))
    elements = {"NaF": [9, 11], "Li4O4": [3, 8]}[formula]
    assert all(sorted(numbers[numbers > 0].tolist()) == elements for numbers in found.numbers)


def test_the_folder_keeps_the_templates(steered_model, tmp_path):
    config = steered_model.config.model_dump(mode="json")
    write_model(tmp_path, halved(steered_model.state_dict()), ModelFacts("diffcrysgen", "tiny", "a tiny one", config))
    back = SPEC.load(tmp_path)
    assert torch.equal(back.templates.groups, steered_model.templates.groups)
    assert torch.equal(back.known.template, steered_model.known.template)
