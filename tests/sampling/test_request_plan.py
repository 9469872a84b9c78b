"""Sizes, allowed species and given sites of a request."""

import warnings

import pytest
import torch

from nucleate.conditions.kinds import Scalar
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import NUMBERS
from nucleate.errors import RequestWarning, UserError
from nucleate.families.pigen.model import PigenConfig
from nucleate.sampling.request_plan import Request

WEIGHTS = torch.tensor([0.0, 0.1, 0.2, 0.0, 0.3, 0.0, 0.25, 0.0, 0.15])
SEEN = torch.zeros(100)
SEEN[[NUMBERS[s] - 1 for s in ("Li", "O", "Ti")]] = 1


def request(*texts, allow_subsystems=False):
    return Request.of(Conditions.parse(texts, allow_subsystems), WEIGHTS, SEEN, PigenConfig())


def test_free_requests_draw_sizes_as_the_data_have_them():
    sizes = request().plan(0, 0, 20_000).n_atoms
    share = torch.bincount(sizes, minlength=9) / 20_000
    torch.testing.assert_close(share, WEIGHTS, atol=0.015, rtol=0)


def test_the_size_of_a_crystal_depends_on_seed_and_number():
    whole = request().plan(3, 0, 100)
    part = request().plan(3, 40, 7)
    assert torch.equal(part.n_atoms, whole.n_atoms[40:47])
    assert torch.equal(part.indices, torch.arange(40, 47))
    assert not torch.equal(request().plan(4, 0, 100).n_atoms, whole.n_atoms)


def test_conditions_rule_sizes_out():
    assert set(request("n_atoms=2..5").plan(0, 0, 500).n_atoms.tolist()) == {2, 4}
    assert set(request("composition=Li2TiO3").plan(0, 0, 50).n_atoms.tolist()) == {6}
    assert set(request("chemical_system=Li-Ti-O").plan(0, 0, 500).n_atoms.tolist()) == {4, 6, 8}
    assert 1 in request("chemical_system=Li-O", allow_subsystems=True).plan(0, 0, 500).n_atoms


def test_a_system_gives_one_site_to_each_element_and_allows_no_other():
    asked = request("chemical_system=Li-O")
    assert asked.fixed_species(torch.tensor([2, 4]), 4).tolist() == [[3, 8, 0, 0], [3, 8, 0, 0]]
    assert (asked.allowed.nonzero().flatten() + 1).tolist() == [3, 8]
    subsystems = request("chemical_system=Li-O", allow_subsystems=True)
    assert not subsystems.fixed_species(torch.tensor([2]), 2).any()
    assert torch.equal(subsystems.allowed, asked.allowed)


def test_a_composition_gives_every_site():
    given = request("composition=LiO").fixed_species(torch.tensor([2, 4, 6]), 6)
    for row, size in zip(given.tolist(), (2, 4, 6), strict=True):
        assert sorted(row[:size]) == [3] * (size // 2) + [8] * (size // 2)
        assert row[size:] == [0] * (6 - size)


def test_batches_hold_every_row_once_and_one_size_each():
    plan = request().plan(0, 0, 300)
    batches = list(plan.batches(torch.arange(300), pairs=200))
    assert sorted(torch.cat(batches).tolist()) == list(range(300))
    for rows in batches:
        size = plan.n_atoms[rows].unique()
        assert len(size) == 1
        assert len(rows) * int(size) ** 2 <= 200


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["band_gap=2"], "band_gap"),
        (["space_group=225"], "space_group"),
        (["chemical_system=Li-U"], "U"),
        (["composition=LiLr"], "Lr"),
        (["n_atoms=9..20"], "at most 8"),
        (["n_atoms=3"], "no crystal size"),
        (["composition=Li5O4"], "at most 8"),
    ],
)
def test_what_the_model_cannot_do_is_said(texts, word):
    with pytest.raises(UserError, match=word):
        request(*texts)


def test_targets_beyond_the_labels_are_warned_of():
    gap = Scalar(name="band_gap", unit="eV", mean=1.0, std=1.0, low=0.0, high=9.0)
    config = PigenConfig(conditions=(gap,))
    with pytest.warns(RequestWarning, match=r"band_gap=12 .* 0\.\.9 eV"):
        Request.of(Conditions.parse(["band_gap=12"]), WEIGHTS, SEEN, config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Request.of(Conditions.parse(["band_gap=0..9"]), WEIGHTS, SEEN, config)


def test_a_range_draws_targets_evenly_and_each_crystal_its_own():
    gap = Scalar(name="band_gap", mean=1.0, std=1.0)
    asked = Request.of(Conditions.parse(["band_gap=1..3"]), WEIGHTS, SEEN, PigenConfig(conditions=(gap,)))
    drawn = asked.plan(0, 0, 4000).conditioning.values["band_gap"]
    assert 1 <= float(drawn.min()) < 1.01
    assert 2.99 < float(drawn.max()) <= 3
    assert abs(float(drawn.mean()) - 2) < 0.03
    assert torch.equal(asked.plan(0, 100, 5).conditioning.values["band_gap"], drawn[100:105])
