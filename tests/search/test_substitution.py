"""Substitution: never the parent, same geometry, scaled volume, charge balance preferred."""

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions, reduced_formulas
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.descriptors.element_tables import cell_volume
from nucleate.errors import UserError
from nucleate.search.substitution import Substitution


def test_children_are_scaled_parents_of_other_composition(parents) -> None:
    parents = parents[[1, 4, 5, 6]]  # these can be told apart by their coordinates
    children = Substitution(parents).sample(30, seed=4)
    shapes = {tuple(parents.sites(i)[1].flatten().tolist()): i for i in range(len(parents))}
    volumes = [cell_volume(counts) for counts in compositions(parents)]
    for i, counts in enumerate(compositions(children)):
        parent = shapes[tuple(children.sites(i)[1].flatten().tolist())]
        assert reduced_formulas(children)[i] != reduced_formulas(parents)[parent]
        ratio = float(children.volume[i] / parents.volume[parent])
        assert ratio == pytest.approx(cell_volume(counts) / volumes[parent])
        shape = children.lattice[i] / children.volume[i] ** (1 / 3)
        torch.testing.assert_close(shape, parents.lattice[parent] / parents.volume[parent] ** (1 / 3))


def test_charge_balance_is_preferred(parents) -> None:
    children = Substitution(parents).sample(30, seed=7)
    assert all(map(is_charge_balanced, compositions(children)))


def test_the_known_compound_itself_is_not_an_answer(parents) -> None:
    only = Substitution(parents[[1]])  # Li2O
    with pytest.raises(UserError, match="known structure itself"):
        only.sample(1, Conditions.parse(["composition=Li2O"]))
    other = Substitution(parents[[1, 2]]).sample(3, Conditions.parse(["composition=Li2O"]))
    torch.testing.assert_close(other.frac, parents[[2, 2, 2]].frac)  # Na2O lends its structure


def test_a_pattern_that_no_prototype_has(parents) -> None:
    with pytest.raises(UserError, match="proportions"):
        Substitution(parents).sample(1, Conditions.parse(["composition=Li7La3Zr2O12"]))
    with pytest.raises(UserError, match="space group 62"):
        Substitution(parents).sample(1, Conditions.parse(["space_group=62"]))


def test_nothing_to_substitute_into(parents) -> None:
    with pytest.raises(UserError):
        Substitution(Crystals.from_lists([], [], []))
