"""Coverage: a set covers itself, permutations change nothing, a plain loop agrees."""

import numpy as np
import pytest
import torch
from pymatgen.core import Element

from nucleate.crystal.crystals import Crystals
from nucleate.evaluation.coverage import (
    Fingerprints,
    _element_properties,
    composition_fingerprints,
    coverage,
)
from nucleate.io.interop import from_pymatgen


def random_fingerprints(n: int, seed: int, shift: float = 0.0) -> Fingerprints:
    rng = np.random.default_rng(seed)
    return Fingerprints(rng.normal(size=(n, 5)) + shift, rng.normal(size=(n, 4)) + shift)


def test_a_set_covers_itself() -> None:
    reference = random_fingerprints(40, 0)
    found = coverage(reference, reference)
    assert found.recall.value == found.precision.value == 1


def test_what_lies_far_away_covers_nothing() -> None:
    found = coverage(random_fingerprints(30, 1, shift=50.0), random_fingerprints(40, 0))
    assert found.recall.count == found.precision.count == 0
    assert (found.recall.total, found.precision.total) == (40, 30)


def test_a_plain_loop_agrees() -> None:
    found, reference = random_fingerprints(30, 1), random_fingerprints(40, 0)
    answer = coverage(found, reference)
    scale = reference.composition.std(0)

    def near(a: Fingerprints, i: int, b: Fingerprints, j: int) -> bool:
        structure = np.linalg.norm(a.structure[i] - b.structure[j])
        composition = np.linalg.norm((a.composition[i] - b.composition[j]) / scale)
        return bool(
            structure <= answer.structure_cutoff * (1 + 1e-9) and composition <= answer.composition_cutoff * (1 + 1e-9)
        )

    rows, columns = range(30), range(40)
    assert answer.precision.count == sum(any(near(found, i, reference, j) for j in columns) for i in rows)
    assert answer.recall.count == sum(any(near(found, i, reference, j) for i in rows) for j in columns)
    own = sum(any(near(reference, i, reference, j) for j in columns if j != i) for i in columns)
    assert answer.own.count == own
    assert answer.own.value == pytest.approx(0.5, abs=0.05)


def test_more_crystals_never_lower_recall_and_order_changes_nothing() -> None:
    found, reference = random_fingerprints(60, 1), random_fingerprints(40, 0)
    some = Fingerprints(found.structure[:20], found.composition[:20])
    assert coverage(some, reference).recall.count <= coverage(found, reference).recall.count
    order = np.random.default_rng(2).permutation(60)
    turned = Fingerprints(found.structure[order], found.composition[order])
    assert coverage(turned, reference) == coverage(found, reference)


def test_crystals_without_fingerprints_stay_in_the_denominator() -> None:
    reference = random_fingerprints(20, 0)
    broken = Fingerprints(reference.structure.copy(), reference.composition.copy())
    broken.structure[:5] = np.nan
    found = coverage(broken, reference)
    assert (found.precision.count, found.precision.total) == (15, 20)


@pytest.mark.parametrize(("n", "r"), [(0, 5), (5, 0), (0, 0), (3, 1)])
def test_empty_sets_are_no_error(n: int, r: int) -> None:
    found = coverage(random_fingerprints(n, 0), random_fingerprints(r, 1))
    assert (found.precision.total, found.recall.total) == (n, r)


def test_element_properties_are_those_of_the_periodic_table() -> None:
    table = _element_properties()
    for z in range(1, 97):
        element = Element.from_Z(z)
        assert table[z, 2] == element.row
        if not (element.is_lanthanoid or element.is_actinoid):
            assert table[z, 3] == element.group, element
        if not np.isnan(table[z, 0]):
            assert table[z, 0] == pytest.approx(element.X, abs=0.11)


def test_composition_fingerprints_by_hand() -> None:
    lattice = torch.eye(3) * 4
    crystals = Crystals.from_lists(
        [[11, 17], [17, 17, 11, 11], [8, 8, 14]], [torch.rand(n, 3) for n in (2, 4, 3)], [lattice] * 3
    )
    found = composition_fingerprints(crystals)
    np.testing.assert_allclose(found[0], found[1])
    np.testing.assert_allclose(found[0, :4], [(0.93 + 3.16) / 2, (3.16 - 0.93) / 2, 0.93, 3.16])
    np.testing.assert_allclose(found[2, 8:12], [(2 + 2 + 3) / 3, np.sqrt(2 / 9), 2, 3])


def test_polymorphs_differ_in_structure_and_not_in_composition(prototypes) -> None:
    rocksalt, caesium, blende = prototypes()[:3]
    found = Fingerprints.of(from_pymatgen([rocksalt, caesium, blende, rocksalt.get_primitive_structure()]))
    np.testing.assert_allclose(found.composition[0], found.composition[1])
    np.testing.assert_allclose(found.structure[0], found.structure[3], atol=2e-3)
    assert np.linalg.norm(found.structure[0] - found.structure[1]) > 0.5
    assert np.linalg.norm(found.structure[0] - found.structure[2]) > 0.5


def test_broken_crystals_have_no_fingerprint() -> None:
    lattice = torch.eye(3) * 4
    nothing = torch.full((3, 3), float("nan"))
    crystals = Crystals.from_lists(
        [[11, 17], [11, 17], [11, 17], [2]],
        [torch.tensor([[0.0, 0, 0], [0.5, 0.5, 0.5]])] * 2 + [torch.zeros(2, 3), torch.zeros(1, 3)],
        [lattice, nothing, lattice, lattice],
    )
    found = Fingerprints.of(crystals)
    assert np.isfinite(found.structure[[0, 3]]).all()
    assert np.isnan(found.structure[[1, 2]]).all()
    assert np.isfinite(found.composition[:3]).all()
