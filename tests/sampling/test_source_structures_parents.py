"""Parents of a chemical system: weights against a plain search over every way of replacing elements."""

from itertools import permutations
from math import log

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import parse_formula
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.descriptors.element_similarity import likeness
from nucleate.sampling import source_structures
from nucleate.sampling.source_structures import FALL, NARROWEST, UNBALANCED, parent_weights

KNOWN = ("SrTiO3", "CaTiO3", "MgAl2O4", "ZnFe2O4", "Ni2MnAl", "NaCl", "LiCoO2", "LaMnO3", "Co2TiSi", "K2NiF4", "BaO")


def table(formulas=KNOWN):
    found = [sorted(parse_formula(one).items(), key=lambda pair: -pair[1]) for one in formulas]
    elements, counts = torch.zeros(len(found), 4, dtype=torch.int64), torch.zeros(len(found), 4, dtype=torch.int64)
    for i, pairs in enumerate(found):
        for k, (z, count) in enumerate(pairs):
            elements[i, k], counts[i, k] = z, count
    return elements, counts


def weights_of(system, formulas=KNOWN, subsystems=False, possible=None):
    elements, counts = table(formulas)
    where = Conditions.parse([f"chemical_system={system}"], subsystems)
    every = torch.ones(len(formulas), dtype=torch.bool) if possible is None else possible
    return parent_weights(elements, counts, where, every)


def plainly(formula, system):
    """Least cost of one crystal, every way tried."""
    own = parse_formula(formula)
    costs = []
    for way in permutations(system, len(own)):
        child = dict(zip(way, own.values(), strict=True))
        lost = 0.0 if is_charge_balanced(child) else UNBALANCED
        costs.append(lost + sum(-log(likeness(old, new)) for old, new in zip(own, way, strict=True)))
    return min(costs)


@pytest.mark.parametrize("system", ["Ba-Zr-O", "Al-Mg-O", "Fe-Co-Si", "Rb-Cu-Cl"])
def test_weights_fall_with_the_least_cost_over_all_replacements(system):
    found = weights_of(system)
    asked = Conditions.parse([f"chemical_system={system}"]).chemical_system
    ternary = [i for i, one in enumerate(KNOWN) if len(parse_formula(one)) == 3]
    cost = torch.tensor([plainly(KNOWN[i], asked) for i in ternary], dtype=torch.float64)
    width = max(float(cost.max() - cost.min()) / FALL, NARROWEST)
    torch.testing.assert_close(found[ternary], torch.exp(-(cost - cost.min()) / width))
    assert not found[[i for i in range(len(KNOWN)) if i not in ternary]].any()


def test_an_oxide_has_oxides_for_parents():
    found = dict(zip(KNOWN, weights_of("Ba-Zr-O").tolist(), strict=True))
    assert max(found, key=found.__getitem__) in ("SrTiO3", "CaTiO3")
    assert max(found["Ni2MnAl"], found["Co2TiSi"], found["LiCoO2"]) < 0.3 * min(found["CaTiO3"], found["SrTiO3"])


def test_a_child_whose_charges_cannot_balance_needs_a_poor_choice():
    found = weights_of("Mg-Al-O", ("SrTiO3", "ZnFe2O4"))
    assert float(found[1]) == 1.0
    assert float(found[0]) < 0.1


def test_subsystems_take_their_own_parents():
    found = weights_of("Sr-Ti-O", subsystems=True)
    assert float(found[KNOWN.index("SrTiO3")]) == 1.0
    assert float(found[KNOWN.index("BaO")]) > 0
    assert float(weights_of("Sr-Ti-O")[KNOWN.index("BaO")]) == 0


def test_ruled_out_crystals_weigh_nothing():
    possible = torch.tensor([one != "SrTiO3" for one in KNOWN])
    found = weights_of("Sr-Ti-O", possible=possible)
    assert float(found[0]) == 0
    assert float(found[1]) == 1.0


def test_requests_without_a_system_or_without_parents_say_nothing():
    elements, counts = table()
    every = torch.ones(len(KNOWN), dtype=torch.bool)
    for text in ("n_atoms=4", "composition=SrTiO3", "chemical_system=Li-Na-K-Rb-Cs"):
        assert parent_weights(elements, counts, Conditions.parse([text]), every) is None


def test_elements_of_unknown_likeness_do_not_stop():
    found = weights_of("He-Ti-O")
    assert torch.isfinite(found).all()
    assert found.sum() > 0


def test_only_the_nearest_are_looked_at(monkeypatch):
    monkeypatch.setattr(source_structures, "LOOKED_AT", 2)
    assert int((weights_of("Sr-Ti-O") > 0).sum()) == 2
