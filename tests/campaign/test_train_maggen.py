"""MagGen and the property network through the command that trains families."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

import nucleate
from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.files import write_structures


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 crystals of iron and oxygen with a label on each, and another on a few."""
    generator = torch.Generator().manual_seed(0)
    sizes = [2 + i % 3 for i in range(120)]
    crystals = Crystals.from_lists(
        [torch.tensor([26, 8])[torch.randint(2, (n,), generator=generator)] for n in sizes],
        [torch.rand(n, 3, generator=generator) for n in sizes],
        [3.5 * torch.eye(3) + 0.3 * torch.rand(3, 3, generator=generator) for _ in sizes],
    )
    labels = pd.DataFrame({
        "formation_energy": -torch.rand(120, generator=generator).numpy(),
        "magnetization": 0.1 * torch.rand(120, generator=generator).numpy(),
        "hardness": [1.0] * 20 + [float("nan")] * 100,
    })  # fmt: skip
    write_structures(crystals, tmp_path / "data.parquet", properties=labels)
    return tmp_path / "data.parquet"


def test_a_trained_model_designs_near_magnets(table: Path, tmp_path: Path) -> None:
    settings = {"epochs": "1", "max_atoms": "4", "dense": "16", "latent": "8"}
    folder = nucleate.train("maggen", table, tmp_path / "model", settings, device="cpu")
    where = {"saturation_magnetization": "0.2..2"}
    made = nucleate.generate(str(folder), 5, where, sampler="parents=asked,draws=1", device="cpu")
    assert len(made) == 5
    model = nucleate.load(str(folder), "cpu", "parents=asked")
    assert len(model.parents) == 108
    assert (model.parents.labels[made.crystal_fields["parent"], 1] >= 0.19).all()


def test_a_trained_network_predicts(table: Path, tmp_path: Path) -> None:
    settings = {"epochs": "1", "max_atoms": "4"}
    folder = nucleate.train("property-cnn", table, tmp_path / "model", settings, device="cpu")
    rows = nucleate.predict(str(folder), table, device="cpu")
    assert rows["status"].eq("ok").all()
    assert rows[["formation_energy", "saturation_magnetization"]].notna().all().all()


@pytest.mark.parametrize("family", ["maggen", "property-cnn"])
def test_a_column_with_few_labels_gets_no_branch(family: str, table: Path, tmp_path: Path) -> None:
    settings = {"conditions": "hardness,formation_energy"}
    with pytest.raises(UserError, match="hardness: found 20 labels; expected at least 100"):
        nucleate.train(family, table, tmp_path / "model", settings, device="cpu")
