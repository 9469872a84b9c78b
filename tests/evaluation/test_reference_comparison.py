"""A set beside a reference: itself, a subset, another chemistry, nothing."""

import json

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import density
from nucleate.evaluation.distributions import wasserstein
from nucleate.evaluation.reference_comparison import Profile, Sample, compare, comparison_lines, sampled
from nucleate.io.interop import from_pymatgen


@pytest.fixture(scope="module")
def known(prototypes) -> Crystals:
    return from_pymatgen(prototypes())


def test_a_set_beside_itself_lies_at_distance_zero(known: Crystals) -> None:
    found = compare(known, known, Profile.of(known), "itself")
    assert all(spread.distance == 0 for spread in found.spreads)
    assert all(kinds.distance == pytest.approx(0, abs=1e-7) for kinds in found.shares)
    assert found.coverage.recall.value == found.coverage.precision.value == 1
    assert all(rate.count == 0 for rate in found.p1)


def test_values_are_those_of_the_crystals(known: Crystals) -> None:
    some = known[[0, 3]]
    found = compare(some, some[[0]], Profile.of(known), "all")
    by_name = {spread.name: spread for spread in found.spreads}
    assert by_name["density"].distance == pytest.approx(wasserstein(density(some), density(known)))
    assert by_name["atoms in the cell"].found[2] == np.median(some.n_atoms)
    kinds = {one.name: one for one in found.shares}
    assert kinds["elements"].found == pytest.approx({"Mg": 0.25, "O": 0.25 + 1 / 3, "Ti": 1 / 6})
    assert kinds["classes of chemistry"].found == {"oxide": 1}
    assert kinds["space groups as generated, 0.1 Å"].found == {"136": 0.5, "225": 0.5}
    assert kinds["space groups relaxed, 0.01 Å"].found == {"225": 1}


def test_loose_and_tight_tolerances_tell_noise_from_p1(known: Crystals) -> None:
    generator = torch.Generator().manual_seed(0)
    shaken = Crystals(
        known.numbers,
        known.frac + 0.03 * torch.randn(known.frac.shape, generator=generator) / 10,
        known.lattice,
        known.n_atoms,
    )
    rates = {rate.name: rate for rate in compare(shaken, known, Profile.of(known), "known").p1}
    assert rates["P1 as generated, 0.1 Å"].count == 0
    assert rates["P1 as generated, 0.01 Å"].count >= 4
    assert rates["P1 relaxed, 0.01 Å"].count == rates["P1 in the reference, 0.01 Å"].count == 0


def test_what_could_not_be_read_is_missing_and_covers_nothing(known: Crystals) -> None:
    found = compare(known, known[[0]], Profile.of(known), "known", missing=4)
    assert (found.coverage.precision.count, found.coverage.precision.total) == (6, 10)
    assert all(spread.missing == 4 and spread.count == 6 for spread in found.spreads)


def test_nothing_and_broken_crystals_are_no_error(known: Crystals) -> None:
    empty = known[[]]
    broken = Crystals(known.numbers, known.frac, known.lattice * float("nan"), known.n_atoms)
    for crystals, reference in ((empty, known), (known, empty), (broken, known), (known, broken), (empty, empty)):
        found = compare(crystals, crystals[[]], Profile.of(reference), "strange")
        json.dumps(found.to_dict(), allow_nan=False)


def test_large_sets_are_sampled_the_same_way_each_time(known: Crystals) -> None:
    many = known[torch.arange(6).repeat(10)]
    assert len(sampled(many, 20)) == 20
    assert torch.equal(sampled(many, 20).numbers, sampled(many, 20).numbers)
    assert sampled(many, 60) is many


def test_a_sample_comes_back_from_its_lists(known: Crystals) -> None:
    sample = Sample.of(known)
    again = Sample.from_dict(json.loads(json.dumps(sample.to_dict())))
    np.testing.assert_allclose(again.fingerprints.structure, sample.fingerprints.structure, atol=1e-6)
    assert {k: v.tolist() for k, v in again.groups.items()} == {k: v.tolist() for k, v in sample.groups.items()}
    assert compare(known, known, Profile.of(known, again), "kept").to_dict()["numbers"]


def test_lines_for_a_terminal_say_unknown_where_nothing_is_known(known: Crystals) -> None:
    text = "\n".join(comparison_lines(compare(known, known[[]], Profile.of(known), "known").to_dict()))
    assert "beside known (6 structures)" in text
    assert "P1 relaxed, 0.1 Å  unknown" in text
    assert "oxide 100% (100%)" in text
