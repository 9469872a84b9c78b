"""The vector of labels: silent at first, and blind to labels that are missing."""

import torch

from nucleate.conditions.kinds import Categorical, MultiHot, Scalar
from nucleate.conditions.labels import Labels
from nucleate.guidance.adapters import ConditionEmbedding

CONDITIONS = (Scalar(name="gap"), Categorical(name="group", size=5), MultiHot(name="system", size=4))


def batch(gap=0.5, there=(True, True, True)):
    size = 3
    values = {
        "gap": torch.full((size,), gap),
        "group": torch.tensor([1.0, 5.0, 0.0]),
        "system": torch.tensor([[1.0, 0, 0, 1]] * size),
    }
    return Labels(values, {name: torch.full((size,), flag) for name, flag in zip(values, there, strict=True)})


def trained():
    torch.manual_seed(0)
    embedding = ConditionEmbedding(CONDITIONS, 16)
    with torch.no_grad():
        for parameter in embedding.parameters():
            parameter.normal_()
    return embedding


def test_a_fresh_embedding_says_nothing():
    assert not ConditionEmbedding(CONDITIONS, 16)(batch()).any()


def test_missing_labels_are_not_read():
    embedding = trained()
    a, b = (embedding(batch(gap, (False, True, True))) for gap in (0.5, float("nan")))
    assert torch.equal(a, b)
    assert not torch.equal(a, embedding(batch(0.5)))
    a.sum().backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in embedding.parameters())


def test_conditions_add_up():
    embedding = trained()
    every, none = embedding(batch()), embedding(batch(there=(False, False, False)))
    single = [embedding(batch(there=tuple(i == k for i in range(3)))) for k in range(3)]
    torch.testing.assert_close(every - none, sum(one - none for one in single), atol=1e-5, rtol=1e-5)


def test_a_label_reaches_its_own_crystal_alone():
    embedding = trained()
    labels = batch()
    changed = Labels({**labels.values, "gap": torch.tensor([0.5, 2.0, 0.5])}, labels.mask)
    differs = (embedding(labels) != embedding(changed)).any(1)
    assert differs.tolist() == [False, True, False]
