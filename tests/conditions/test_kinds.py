"""Features of labels, and statistics of conditions."""

import pytest
import torch
from pydantic import TypeAdapter

from nucleate.conditions.kinds import Categorical, Condition, MultiHot, Scalar, fitted


def test_scalar_features_tell_near_labels_apart_and_know_no_unit():
    plain = Scalar(name="gap", mean=1.0, std=0.5)
    label = torch.linspace(-0.5, 2.5, 50)
    features = plain.features(label)
    assert features.shape == (50, plain.width)
    assert torch.cdist(features, features).add(torch.eye(50) * 9).min() > 0.02
    scaled = Scalar(name="gap", mean=1000.0, std=500.0)
    torch.testing.assert_close(scaled.features(1000 * label), features, atol=1e-4, rtol=0)
    assert plain.features(torch.tensor([1e30])).isfinite().all()


def test_categories_and_sets():
    group = Categorical(name="space_group", size=230)
    one_hot = group.features(torch.tensor([1.0, 225.0]))
    assert one_hot.nonzero().tolist() == [[0, 0], [1, 224]]
    elements = MultiHot(name="chemical_system", size=3)
    assert elements.features(torch.tensor([[1.0, 0.0, 1.0]])).tolist() == [[1, 0, 1]]


def test_statistics_leave_missing_labels_out():
    labels = torch.tensor([1.0, torch.nan, 3.0, torch.inf, 5.0])
    found = fitted(Scalar(name="gap"), labels)
    assert (found.mean, found.std, found.low, found.high) == pytest.approx((3.0, 2.0, 1.0, 5.0))
    assert fitted(Scalar(name="gap"), torch.full((3,), torch.nan)) == Scalar(name="gap")
    assert fitted(Scalar(name="gap"), torch.tensor([2.0, 2.0])).std == 1.0


def test_conditions_come_back_from_json():
    adapter = TypeAdapter(tuple[Condition, ...])
    conditions = (Scalar(name="gap", unit="eV"), Categorical(name="group", size=3), MultiHot(name="system", size=2))
    assert adapter.validate_json(adapter.dump_json(conditions)) == conditions
