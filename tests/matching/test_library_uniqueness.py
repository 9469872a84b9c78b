"""Uniqueness: disguises are duplicates, order does not change the rate, strange crystals get a reason."""

import numpy as np
from pymatgen.core.structure_matcher import StructureMatcher

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import from_pymatgen
from nucleate.matching.library import uniqueness


def test_disguised_copies_are_duplicates(prototypes, disguised) -> None:
    originals = prototypes()
    table = uniqueness(from_pymatgen(originals + [disguised(p, i) for i, p in enumerate(originals)]))
    n = len(originals)
    assert table["is_unique"].tolist() == [True] * n + [False] * n
    assert table["duplicate_of"].tolist()[n:] == list(range(n))


def test_row_order_does_not_change_the_rate(prototypes, disguised, noisy) -> None:
    structures = prototypes() + [noisy(p, 3, 0.03) for p in prototypes()] + [disguised(p, 5) for p in prototypes()]
    counts = set()
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(structures))
        counts.add(int(uniqueness(from_pymatgen([structures[i] for i in order]))["is_unique"].sum()))
    assert counts == {len(prototypes())}


def test_greedy_rule_equals_a_plain_loop(prototypes, noisy) -> None:
    structures = [noisy(p, 11 * i + j, 0.5) for i, p in enumerate(prototypes()) for j in range(3)]
    matcher, representatives, expected = StructureMatcher(), [], []
    for structure in structures:
        new = not any(matcher.fit(other, structure) for other in representatives)
        expected.append(new)
        if new:
            representatives.append(structure)
    assert uniqueness(from_pymatgen(structures))["is_unique"].tolist() == expected


def test_unusable_crystal_is_missing_not_unique(prototypes) -> None:
    good = from_pymatgen(prototypes()[:1])
    bad = Crystals(good.numbers, good.frac, good.lattice * float("nan"), good.n_atoms)
    table = uniqueness(Crystals.concatenate([bad, good, good]))
    assert table["is_unique"].isna().tolist() == [True, False, False]
    assert table["is_unique"].tolist()[1:] == [True, False]
    assert "finite" in table["uniqueness_reason"][0]
