"""Errors of the table are what they are called."""

from __future__ import annotations

import pytest
import torch

from nucleate.families.maggen.model import MagGen
from nucleate.families.maggen.study import fit, property_fits, reconstruction
from nucleate.training.batch import TrainingBatch


def test_a_perfect_decoder_has_no_errors(model: MagGen, data: TrainingBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = model.ircr.encode(model.prepared(data).crystals).double()
    monkeypatch.setattr(model, "matrices", lambda z: truth.clone())
    found = reconstruction(model, data)
    assert found[1:4] == (1.0, 1.0, 1.0)
    assert found[4:] == pytest.approx((0,) * 5, abs=1e-9)


def test_known_errors_are_found(model: MagGen, data: TrainingBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths 10 % too large, angles 2° too, coordinates 0.1 beyond a boundary, one crystal with a wrong element."""
    changed = model.ircr.encode(model.prepared(data).crystals).double()
    blocks = model.ircr.blocks
    changed[:, blocks["L"]][:, 0] *= 1.1
    changed[:, blocks["L"]][:, 1] += 2.0
    changed[:, blocks["C"]] += 1.1
    elements = changed[:, blocks["E"]]
    total = int((elements.amax(1) > 0).sum())
    elements[0, :, 0] = 0.0
    elements[0, 91, 0] = 1.0
    monkeypatch.setattr(model, "matrices", lambda z: changed)
    found = reconstruction(model, data)
    assert found.length_percent == pytest.approx(10, abs=1e-4)
    assert found.angle == pytest.approx(2, abs=1e-4)
    assert found.coordinate == pytest.approx(0.1, abs=1e-6)
    assert found.elements == pytest.approx(1 - 1 / total)
    assert found.all_elements == pytest.approx(1 - 1 / len(data))


def test_fits_leave_unknown_labels_out() -> None:
    labels = torch.tensor([1.0, 2.0, 3.0, torch.nan])
    found = fit(torch.tensor([1.5, 2.0, 3.0, 9.0]), labels)
    assert found.labels == 3
    assert found.mae == pytest.approx(0.5 / 3)
    assert found.r2 == pytest.approx(1 - 0.25 / 2)
    assert found.trivial == pytest.approx(2 / 3)


def test_branches_are_judged_where_labels_are(model: MagGen, data: TrainingBatch) -> None:
    found = property_fits(model, data)
    assert found["formation_energy"].labels == len(data)
    assert found["saturation_magnetization"].labels == int(data.labels.mask["saturation_magnetization"].sum())
