"""Occupations of Wyckoff positions as tensors."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.representations.wyckoff import Occupations, Orbits, wyckoff_tables
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.space_group import N_GROUPS
from nucleate.symmetry.wyckoff import equivalent_settings, wyckoff_positions

LABELS = [
    "A2BC4_cF56_227_c_b_e:Al-Mg-O",
    "A2B_tP6_136_f_a:O-Ti",
    "A3BC_cP5_221_c_a_b:O-Sr-Ti",
    "AB3C_oP20_62_a_cd_c:Fe-O-Y",
    "A2B_aP6_2_2i_i:O-Zr",
    "A_oP8_47_A:Cu",
]


def given_protostructures():
    return [Protostructure.parse(label) for label in LABELS]


def test_tables_hold_every_position():
    tables = wyckoff_tables()
    assert int((tables.n_free >= 0).sum()) == int((tables.multiplicity > 0).sum()) == 1731
    assert int((tables.n_free == 0).sum()) == 616
    assert tables.n_settings[1:].tolist() == [len(equivalent_settings(g)) for g in range(1, N_GROUPS + 1)]
    kept = tables.n_free[:, None].expand_as(tables.settings).gather(2, tables.settings)
    assert torch.equal(kept, tables.n_free[:, None].expand_as(kept))


def test_round_trip():
    found = given_protostructures()
    assert Orbits.of(found).occupations(100).protostructures() == found
    assert Orbits.of([]).occupations(100).protostructures() == []


@given(st.lists(st.integers(0, 47), min_size=len(LABELS), max_size=len(LABELS)))
def test_settings_keep_labels(numbers):
    found = given_protostructures()
    orbits = Orbits.of(found)
    setting = torch.tensor(numbers) % wyckoff_tables().n_settings[orbits.group]
    moved = orbits.in_setting(setting).occupations(100)
    assert [p.label for p in moved.protostructures()] == [p.label for p in found]
    for one, other, which in zip(found, moved.protostructures(), setting.tolist(), strict=True):
        renaming = equivalent_settings(one.space_group)[which]
        assert other == Protostructure(one.space_group, tuple((z, renaming[x]) for z, x in one.sites))


def test_counts_are_those_of_the_protostructures():
    found = given_protostructures()
    occupations = Orbits.of(found).occupations(100)
    assert occupations.n_atoms.tolist() == [p.n_primitive for p in found]
    assert occupations.n_orbits.tolist() == [len(p.sites) for p in found]
    for row, p in enumerate(found):
        ratio = p.n_atoms // p.n_primitive
        expected = {z: n // ratio for z, n in p.counts.items()}
        present = occupations.composition[row].nonzero().flatten().tolist()
        assert {z + 1: int(occupations.composition[row, z]) for z in present} == expected


def test_fixed_positions_hold_one_element_and_free_ones_counts():
    occupations = Orbits.of(given_protostructures()).occupations(100)
    assert (occupations.fixed[occupations.n_free != 0] == 0).all()
    assert (occupations.counts[occupations.n_free <= 0] == 0).all()
    assert int(occupations.counts[4].max()) == 2


def test_batch_equals_single():
    found = given_protostructures()
    every = Orbits.of(found).occupations(100)
    for row, p in enumerate(found):
        alone = Orbits.of([p]).occupations(100)
        width = alone.fixed.shape[1]
        assert width == len(wyckoff_positions(p.space_group))
        assert torch.equal(alone.fixed[0], every.fixed[row, :width])
        assert torch.equal(alone.counts[0], every.counts[row, :width])


def test_empty_occupations_are_no_protostructure():
    nothing = Occupations(torch.tensor([1]), torch.zeros(1, 1).long(), torch.zeros(1, 1, 100).long())
    assert nothing.protostructures() == [None]
