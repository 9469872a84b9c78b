"""What all joint families share."""

import torch
from hypothesis import given
from hypothesis.strategies import floats

from nucleate.families.joint_model import bounded


@given(floats(0, 1e30), floats(0.1, 100))
def test_a_bounded_loss_rises_without_a_step(value, above):
    loss = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    found = bounded(loss, above)
    (slope,) = torch.autograd.grad(found, loss)
    assert torch.isclose(slope, torch.tensor(min(1.0, above / max(value, 1e-300)), dtype=torch.float64))
    assert (found == loss) if value <= above else (above < found < loss)


def test_without_a_bound_nothing_changes():
    loss = torch.tensor([0.1, 1e9])
    assert bounded(loss, None) is loss
