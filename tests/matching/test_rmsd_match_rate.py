"""Match rate at fixed composition: own structures match, the best of k counts, invalid samples are misses."""

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.interop import from_pymatgen
from nucleate.matching.rmsd import CSP_MATCH, match_rate


def test_a_structure_is_its_own_prediction(prototypes, disguised) -> None:
    targets = from_pymatgen(prototypes())
    samples = from_pymatgen([disguised(p, i) for i, p in enumerate(prototypes())])
    result = match_rate(samples, torch.arange(len(targets)), targets, k=(1,))
    assert [rate.value for rate in result.rates] == [1.0, 1.0]
    assert result.rmse == pytest.approx((0, 0), abs=1e-5)


def test_best_of_k_against_the_plain_matcher(prototypes, noisy) -> None:
    known = [p.get_primitive_structure() for p in prototypes()[3:]]
    drawn = [noisy(p, 10 * i + j, s) for i, p in enumerate(known) for j, s in enumerate((0.9, 0.3, 0.1))]
    owner = torch.arange(len(known)).repeat_interleave(3)
    result = match_rate(from_pymatgen(drawn), owner, from_pymatgen(known), k=(1, 3))
    matcher = CSP_MATCH.matcher()
    for target, plain in enumerate(known):
        found = [matcher.get_rms_dist(drawn[3 * target + j], plain) for j in range(3)]
        for k in (1, 3):
            row = result.table.query("target == @target and k == @k and not valid_only").iloc[0]
            values = [f[0] for f in found[:k] if f is not None]
            assert bool(row["matched"]) == bool(values)
            if values:
                assert float(row["rmse"]) == pytest.approx(min(values), abs=1e-6)
    at_1, at_3 = (rate.count for rate in result.rates[:2])
    assert at_1 <= at_3 == len(known)


def test_invalid_and_unusable_samples_are_misses_and_the_denominator_stays(prototypes) -> None:
    targets = from_pymatgen(prototypes()[:3])
    broken = Crystals(targets.numbers, targets.frac, targets.lattice * float("nan"), targets.n_atoms)
    samples = Crystals.concatenate([targets[:2], broken[2]])
    result = match_rate(samples, torch.arange(3), targets, k=(1,), valid=torch.tensor([True, False, True]))
    assert [(rate.count, rate.total) for rate in result.rates] == [(2, 3), (1, 3)]
    assert "finite" in result.table["reason"][4]


def test_wrong_targets_are_the_users_mistake(prototypes) -> None:
    targets = from_pymatgen(prototypes()[:2])
    with pytest.raises(UserError):
        match_rate(targets, torch.tensor([0, 2]), targets)
    with pytest.raises(UserError):
        match_rate(targets, torch.tensor([0]), targets)
