"""The loop: it learns, and a killed training goes on to the same curve."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.training.batch import TrainingBatch
from nucleate.training.model import TrainConfig
from nucleate.training.trainer import NAME, History, Trainer, _schedule, read_progress

CONFIG = TrainConfig(
    epochs=4, batch=(4, 4), warmup=5, learning_rate=1e-2, validate_every=3, checkpoint_seconds=1e-3, ema=0.9
)


class Volume(nn.Module):
    """Learns the volume of noisy cells."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(9, 8), nn.SiLU(), nn.Linear(8, 1))

    def forward(self, batch, noise):
        crystals = batch.crystals
        noisy = crystals.lattice + 0.1 * noise.normal("cell", (len(crystals), 3, 3))
        error = (self.net(noisy.flatten(1))[:, 0] - crystals.volume).square()
        return {"total": error, "half": error / 2}


def data(size=30):
    generator = torch.Generator().manual_seed(0)
    lattice = torch.eye(3) + 0.2 * torch.randn(size, 3, 3, generator=generator)
    sizes = [1 + i % 2 for i in range(size)]
    crystals = Crystals.from_lists([[1] * n for n in sizes], [torch.rand(n, 3) for n in sizes], lattice, torch.float32)
    return TrainingBatch.of(crystals)


@pytest.fixture(autouse=True)
def quick_checkpoints(monkeypatch):
    """Checkpoints are written after every step here; pictures and a busy disk would take most of the test's time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(History, "_picture", lambda self: b"a picture")


def trainer(folder, config=CONFIG, identity=None):
    torch.manual_seed(0)
    return Trainer(Volume(), config, folder, identity or {"data": "cells"})


def same_averages(one, other):
    """Whether two checkpoints hold the same averaged weights."""
    first, second = (load_file(folder / NAME) for folder in (one, other))
    names = [name for name in first if name.startswith("average/")]
    return bool(names) and all(torch.equal(first[name], second[name]) for name in names)


def train(folder, pause=0.0, progress=None):
    def slow(step, total, loss):
        time.sleep(pause)
        if progress is not None:
            progress(step, total, loss)

    run = trainer(folder)
    run.fit(data(), data(9), slow)
    return run


def curve(folder):
    rows = read_progress(folder)["history"]["rows"]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_it_learns_and_leaves_its_curve(tmp_path):
    steps = []
    run = train(tmp_path, progress=lambda step, total, loss: steps.append((step, total)))
    total = 4 * (4 + 4)  # 15 crystals of each size in batches of 4
    assert steps == [(i + 1, total) for i in range(total)]
    validation = [row for row in curve(tmp_path) if row["split"] == "validation"]
    assert [row["step"] for row in validation] == [24, 32]
    assert validation[-1]["total"] < validation[0]["total"]
    assert validation[-1]["half"] == pytest.approx(validation[-1]["total"] / 2)
    assert (tmp_path / "losses.csv").exists()
    assert (tmp_path / "losses.png").exists()
    assert run.validate(data(9)) == {k: validation[-1][k] for k in ("total", "half")}


@pytest.mark.parametrize("stop", [1, 8, 31])
def test_a_stopped_training_goes_on_to_the_same_curve_and_weights(tmp_path, stop):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole)

    class StoppedError(Exception):
        pass

    def interrupt(step, total, loss):
        if step == stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(parts, progress=interrupt)
    train(parts)
    assert curve(parts) == curve(whole)
    assert same_averages(parts, whole)


def test_a_killed_process_goes_on_to_the_same_curve_and_weights(tmp_path):
    """SIGKILL at a moment that nobody chose, in the middle of steps and of writing files."""
    script = (
        "import importlib.util, sys; from pathlib import Path\n"
        f"spec = importlib.util.spec_from_file_location('loop', {str(Path(__file__))!r})\n"
        "loop = importlib.util.module_from_spec(spec); spec.loader.exec_module(loop)\n"
        "loop.History._picture = lambda self: b'a picture'; loop.os.fsync = lambda _: None\n"
        f"loop.train(Path({str(tmp_path / 'parts')!r}), pause=0.02, progress=lambda *a: print(a[0], flush=True))\n"
    )
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script], stdout=subprocess.PIPE)
    for _ in range(random.randint(2, 20)):  # steps done before the kill
        process.stdout.readline()
    time.sleep(random.random() * 0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = read_progress(tmp_path / "parts")
    assert left is None or left["step"] < 32
    train(tmp_path / "parts")
    train(tmp_path / "whole")
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    assert same_averages(tmp_path / "parts", tmp_path / "whole")


def test_a_finished_training_is_left_as_it_is(tmp_path):
    first = train(tmp_path)
    again = trainer(tmp_path)
    weights = again.fit(data(), data(9))
    assert again.step == first.step
    assert all(torch.equal(value, first.average[name]) for name, value in weights.items())


@pytest.mark.parametrize("change", [{"config": CONFIG.model_copy(update={"seed": 1})}, {"identity": {"data": "other"}}])
def test_another_training_in_the_folder_is_refused(tmp_path, change):
    train(tmp_path)
    with pytest.raises(UserError, match="other settings or data"):
        trainer(tmp_path, **change).fit(data())


def test_a_damaged_checkpoint_is_refused(tmp_path):
    train(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="damaged"):
        train(tmp_path)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    run = trainer(tmp_path)
    run.model.net[0].weight.data.fill_(torch.nan)
    with pytest.raises(UserError, match="step 0"):
        run.fit(data())


def test_seeds_of_any_size_are_told_apart(tmp_path):
    draws = []
    for seed in (0, 1, 2**42, 2**63 - 1):
        run = trainer(tmp_path, CONFIG.model_copy(update={"seed": seed}))
        draws.append(run._noise(0).normal("a", (4,)).tolist())
    assert len({json.dumps(d) for d in draws}) == 4


def test_the_rate_rises_then_falls_to_a_hundredth():
    rates = [_schedule(step, 10, 100) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11, rel=0.01)
    assert max(rates) == pytest.approx(1, abs=0.05)
    assert rates[-1] == pytest.approx(0.01)
    assert sorted(rates[10:], reverse=True) == rates[10:]


def test_settings_are_checked():
    for wrong in ({"epochs": 0}, {"seed": -1}, {"speed": 1}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            TrainConfig.checked(wrong)
