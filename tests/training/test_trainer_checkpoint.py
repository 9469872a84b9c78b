"""Resume state: there and back, and what is said of damage."""

import pytest
import torch
from torch import nn

from nucleate.errors import UserError
from nucleate.training.trainer import load_checkpoint, read_progress, save_checkpoint


def trained():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        model(torch.randn(5, 3)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def test_there_and_back(tmp_path):
    model, optimizer = trained()
    average = {name: value * 0 + 1 for name, value in model.state_dict().items()}
    save_checkpoint(tmp_path, model, average, optimizer, {"step": 3, "identity": {"a": [1, 2]}})
    fresh = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    again = torch.optim.Adam(fresh.parameters(), lr=0.01)
    loaded = load_checkpoint(tmp_path, fresh, again)
    assert read_progress(tmp_path) == {"step": 3, "identity": {"a": [1, 2]}}
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
        assert torch.equal(loaded[name], average[name])
    x = torch.randn(5, 3)
    for m, o in ((model, optimizer), (fresh, again)):  # the optimizer goes on as it would have
        m(x).square().mean().backward()
        o.step()
    for a, b in zip(model.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)


def test_no_checkpoint_is_no_progress(tmp_path):
    assert read_progress(tmp_path) is None


@pytest.mark.parametrize("damage", ["cut", "text", "version"])
def test_damage_is_named(tmp_path, damage):
    model, optimizer = trained()
    save_checkpoint(tmp_path, model, model.state_dict(), optimizer, {"step": 3})
    path = tmp_path / "checkpoint.safetensors"
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:200])
    elif damage == "text":
        path.write_bytes(b"not a checkpoint")
    else:
        path.write_bytes(data.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    with pytest.raises(UserError, match="checkpoint.safetensors"):
        read_progress(tmp_path)
