"""Training and sampling of the family."""

import copy

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.formula import reduced
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.errors import UserError
from nucleate.families.wyckoffdiff import SPEC
from nucleate.families.wyckoffdiff.config import SamplerConfig
from nucleate.networks.wyckoff_gnn import Logits
from nucleate.search.cell_priors import is_generic
from nucleate.symmetry.protostructure import protostructures
from nucleate.symmetry.space_group import space_groups

from .conftest import TINY, fitted


def losses(model, crystals, seed=0):
    return model(crystals, GeneratorNoise(torch.Generator().manual_seed(seed)))


def test_statistics(default_model, data):
    usable = [p for p in protostructures(data.crystals) if p is not None]
    expected = torch.zeros(231, 13)
    for p in usable:
        expected[p.space_group, p.n_primitive] += 1
    assert len(usable) > len(data) - 3
    assert torch.equal(default_model.group_sizes, expected)
    assert default_model.element_seen.nonzero().flatten().add(1).tolist() == [3, 8, 11, 12, 16, 20, 26]
    condition = next(c for c in default_model.config.conditions if c.name == "n_atoms")
    assert condition.mean == pytest.approx(sum(p.n_primitive for p in usable) / len(usable))


def test_losses_fall(model_and_data):
    model, ready = model_and_data
    model = SPEC.build(model.config.model_dump(), "copy")
    model.load_state_dict(model_and_data[0].state_dict())
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    first = losses(model, ready)
    assert set(first) == {"total", "fixed", "counts"}
    assert all(value.shape == (len(ready),) for value in first.values())
    for step in range(30):
        losses(model, ready, step)["total"].mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(losses(model, ready)["total"].detach().mean()) < float(first["total"].detach().mean())


def test_the_weighting_only_divides(data):
    found = {}
    for weighting in ("orbits", "variables"):
        model, ready = fitted({**TINY, "weighting": weighting}, data)
        found[weighting] = losses(model, ready)["total"].detach()
    occupations = ready.orbits.occupations(100)
    variables = (occupations.n_free == 0).sum(1) + 100 * (occupations.n_free > 0).sum(1)
    assert torch.allclose(found["orbits"] * occupations.n_orbits, found["variables"] * variables, rtol=1e-4)


def test_crystals_that_do_not_fit_are_left_out(data):
    model = SPEC.build({**TINY, "max_atoms": 4}, "small")
    assert len(model.prepared(data)) == int((data.crystals.n_atoms <= 4).sum())
    with pytest.raises(UserError, match="no crystal with a protostructure"):
        SPEC.build({**TINY, "max_atoms": 1}, "none").fit(data)


@pytest.mark.parametrize(
    "where", [{}, {"n_atoms": "3..5"}, {"n_atoms": "1"}, {"chemical_system": "Ca-O", "n_atoms": 6}]
)
def test_limits_hold_while_nothing_is_learned(model_and_data, where):
    model, _ = model_and_data
    asked = Conditions.parse(where)
    for found in model.sample_protostructures(12, asked, seed=1):
        assert found.sites
        assert found.n_primitive <= (asked.n_atoms or (1, 12))[1]
        assert set(found.counts) <= set(asked.chemical_system or range(1, 101))
        if not asked.chemical_system:
            assert set(found.counts) <= {3, 8, 11, 12, 16, 20, 26}


def test_nothing_is_empty_even_if_the_network_wants_it(data):
    model, _ = fitted(TINY, data)
    with torch.no_grad():
        model.network.count_bias[:, 0] = 1e4
        model.network.head_fixed[-1].bias[0] = 1e4
    for group in (1, 2, 221, 225):
        for found in model.sample_protostructures(4, Conditions.parse({"space_group": group, "n_atoms": "1..8"})):
            assert found.space_group == group
            assert 1 <= found.n_primitive <= 8


def test_elements_that_make_a_fixed_position_full_stay_single(data):
    """A network that wants an element everywhere still fills each fixed position once."""
    model, _ = fitted(TINY, data)
    with torch.no_grad():
        model.network.head_fixed[-1].bias[8] = 1e4
    for found in model.sample_protostructures(6, Conditions.parse({"space_group": 221})):
        assert found.space_group == 221  # a position occupied twice would have been refused


@pytest.mark.parametrize("composition", ["CaO", "Ca2FeO4", "Na3FeO2", "FeS"])
def test_compositions_are_met_exactly(default_model, composition):
    asked = Conditions.parse({"composition": composition})
    for one in default_model.sample_protostructures(12, asked, seed=2):
        assert reduced(one.counts) == asked.composition
        assert one.n_primitive <= 12


@pytest.mark.parametrize("system", ["Ca-O", "Ca-Fe-O", "Li-Na-Mg-S"])
@pytest.mark.parametrize("subsystems", [False, True])
def test_chemical_systems_are_met_exactly(default_model, system, subsystems):
    asked = Conditions.parse({"chemical_system": system}, allow_subsystems=subsystems)
    for one in default_model.sample_protostructures(12, asked, seed=2):
        assert set(one.counts) <= set(asked.chemical_system)
        assert subsystems or set(one.counts) == set(asked.chemical_system)


@pytest.mark.parametrize("group", [1, 2, 12, 62, 139, 194, 221, 225])
def test_elements_asked_for_fit_in_every_group(default_model, group):
    asked = Conditions.parse({"chemical_system": "Ca-Fe-O", "space_group": group})
    for one in default_model.sample_protostructures(4, asked, seed=3):
        assert one.space_group == group
        assert set(one.counts) == {8, 20, 26}


def test_numbers_of_atoms_come_from_training_crystals(data):
    model, ready = fitted({**TINY, "stoichiometry": True}, data)
    kinds = model.stoichiometries
    orbits = ready.orbits.occupations(100)
    known = {(int(g), tuple(sorted(row[row > 0].tolist()))) for g, row in zip(orbits.group, orbits.composition)}  # noqa: B905
    assert int(kinds.weight.sum()) == len(ready)
    kept = zip(kinds.group.tolist(), kinds.counts.tolist(), kinds.elements.tolist(), strict=True)
    told = {(g, tuple(sorted(n for n in counts if n)), tuple(sorted(z for z in of if z))) for g, counts, of in kept}
    assert {one[:2] for one in told} == known
    assert {z for *_, of in told for z in of} == set(orbits.composition.sum(0).nonzero().flatten().add(1).tolist())
    for one in model.sample_protostructures(20, seed=4):
        cells = one.n_atoms // one.n_primitive
        assert (one.space_group, tuple(sorted(n // cells for n in one.counts.values()))) in known
    met = model.sample_protostructures(6, Conditions.parse({"chemical_system": "Na-S", "space_group": 62}), seed=1)
    assert all(set(one.counts) == {11, 16} for one in met)
    unseen = model.sample_protostructures(3, Conditions.parse({"space_group": 139, "composition": "CaFe2S2"}))
    assert all(reduced(one.counts) == {20: 1, 26: 2, 16: 2} for one in unseen)
    again = SPEC.build(model.config.model_dump(), "again").eval()
    again.load_state_dict(model.state_dict())
    assert again.sample_protostructures(5, seed=4) == model.sample_protostructures(5, seed=4)
    with torch.no_grad():
        kinds.embed.weight.normal_(std=5.0)
    assert again.sample_protostructures(9, seed=4) != model.sample_protostructures(9, seed=4)


def test_charges_that_cannot_balance_are_drawn_again(default_model):
    shares = []
    for balanced in (False, True):
        walk = SamplerConfig(draws=20, balanced=balanced)
        found = default_model.sample_protostructures(40, sampler=walk, seed=6)
        shares.append(sum(is_charge_balanced(reduced(one.counts)) for one in found))
    assert shares[1] > shares[0]


def test_crystals_have_their_protostructures_group(default_model):
    where = Conditions.parse({"space_group": 221, "n_atoms": "2..5"})
    found = default_model.sample_protostructures(4, where, seed=5)
    crystals = default_model.sample(4, where, seed=5)
    assert crystals.n_atoms.tolist() == [p.n_primitive for p in found]
    own = torch.tensor([is_generic(p) for p in found])
    assert (space_groups(crystals)[own] == 221).all()
    again = default_model.sample(2, where, seed=5, start=2)
    assert torch.equal(again.frac, crystals[[2, 3]].frac)


def test_labels_change_nothing_before_training(default_model, data):
    ready = default_model.prepared(data)
    state, t = ready.orbits.occupations(100), torch.full((len(ready),), 0.5)
    labels = ready.labels_of(default_model.config.conditioning)
    told, untold = (default_model.denoise(state, t, one) for one in (labels, labels.only(())))
    assert torch.equal(told.counts, untold.counts)


def test_adapters_change_nothing_before_training(default_model, data):
    settings = default_model.config.model_dump() | {"adapters": ["hardness"]}
    wider = SPEC.build(settings, "wider").eval()
    wider.load_state_dict({**wider.state_dict(), **default_model.state_dict()})
    asked = Conditions.parse({"hardness": 3})
    assert wider.sample_protostructures(4, asked, seed=1) == default_model.sample_protostructures(4, seed=1)
    tuned = wider.tune(data, ["hardness"])
    assert len(tuned) == int(default_model.group_sizes.sum())


def test_strengths_of_one_are_the_conditional_model(default_model):
    model = SPEC.build(default_model.config.model_dump(), "told").eval()
    model.load_state_dict(default_model.state_dict())
    with torch.no_grad():
        for name in ("energy_above_hull", "n_atoms"):
            model.embed.known[name][-1].weight.normal_(std=10.0)
        model.network.head_fixed[-1].weight.normal_(std=5.0)
    where = Conditions.parse({"energy_above_hull": 0.0})
    plain = model.sample_protostructures(6, where, guidance=1.0)
    assert plain == model.sample_protostructures(6, where, guidance={"energy_above_hull": 1.0})
    assert plain != model.sample_protostructures(6, where, guidance=4.0)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"space_group": 225, "n_atoms": "200"}, "at most 12 atoms"),
        ({"space_group": 230, "n_atoms": "1..4"}, "space group 230 can hold"),
        ({"space_group": 62, "n_atoms": "1..3"}, "space group 62 can hold"),
        ({"hardness": 3}, "conditions of this model"),
        ({"chemical_system": "Ca-Xe"}, "elements that the model was trained on"),
        ({"composition": "Ca13O"}, "at most 12 atoms"),
    ],
)
def test_requests_that_cannot_be_met(default_model, where, words):
    with pytest.raises(UserError, match=words):
        default_model.sample(2, Conditions.parse(where))


def test_groups_that_training_never_saw(default_model):
    found = default_model.sample_protostructures(3, Conditions.parse({"space_group": 139}))
    assert [p.space_group for p in found] == [139] * 3


def test_more_steps_and_draws_are_other_walks(default_model):
    plain = SamplerConfig(order="time", steps=6, draws=1)
    found = default_model.sample_protostructures(8, sampler=plain)
    assert found != default_model.sample_protostructures(8, sampler=plain.model_copy(update={"steps": 9}))
    assert found != default_model.sample_protostructures(8, sampler=plain.model_copy(update={"draws": 3}))


class Elsewhere(torch.nn.Module):
    """A network on another device, which must be asked there."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, device="meta"))

    def forward(self, fixed, counts, *rest):
        assert {value.device.type for value in (fixed, counts, *rest) if value is not None} == {"meta"}
        elements, most = counts.shape[-1], TINY["max_count"]
        return Logits(torch.zeros(*fixed.shape, elements + 1), torch.zeros(*counts.shape, most + 1))


@pytest.mark.parametrize("order", ["orbits", "time"])
def test_the_network_is_asked_on_its_device(default_model, order):
    model = copy.deepcopy(default_model)
    model.network = Elsewhere()
    for part in (model.embed, model.adapters, model.stoichiometries.embed):
        part.to("meta")
    walk = model.config.sampler.model_copy(update={"order": order})
    found = model.sample_protostructures(3, Conditions.parse(["chemical_system=Ca-O"]), 1, sampler=walk)
    assert all({number for number, _ in one.sites} <= {8, 20} for one in found)
