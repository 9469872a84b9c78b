"""Laws of the property network, and its way through a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import matrix_to_parameters
from nucleate.crystal.periodic import minimum_distances
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.errors import UserError
from nucleate.predictors.property_cnn import SPEC, PropertyCNN, redescribed
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import ModelFacts, write_model

SMALL = {"max_atoms": 5, "channels": (4, 6), "kernels": (5, 3), "strides": (2, 2), "dense": (16,), "head": (8,)}


def data(count: int = 24) -> TrainingBatch:
    generator = torch.Generator().manual_seed(0)
    sizes = [2 + i % 4 for i in range(count)]
    pool = torch.tensor([8, 26, 28])
    made = Crystals.from_lists(
        [pool[torch.randint(3, (n,), generator=generator)] for n in sizes],
        [torch.rand(n, 3, generator=generator) for n in sizes],
        [4 * torch.eye(3) + torch.rand(3, 3, generator=generator) for _ in sizes],
    )
    iron = (made.numbers == 26).sum(1) / made.n_atoms
    second = torch.where(torch.arange(count) % 2 == 0, torch.nan, iron)
    return TrainingBatch.of(made, {"formation_energy": -iron, "saturation_magnetization": second})


def crystals() -> Crystals:
    return data().crystals


def noise(seed: int = 0) -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(seed))


def fitted() -> PropertyCNN:
    torch.manual_seed(0)
    model = SPEC.build(SMALL)
    model.fit(data())
    return model


def test_a_prediction_depends_on_its_crystal_alone_and_not_on_the_order_of_its_sites() -> None:
    model, some = fitted(), crystals()
    together = model.predict(some, "formation_energy")
    alone = torch.cat([model.predict(one, "formation_energy") for one in some])
    assert torch.allclose(together, alone, atol=1e-5)
    sites = [some.sites(i) for i in range(len(some))]
    turned = Crystals.from_lists([s[0].flip(0) for s in sites], [s[1].flip(0) for s in sites], some.lattice)
    assert torch.allclose(together, model.predict(turned, "formation_energy"), atol=1e-5)


def test_it_learns() -> None:
    model = SPEC.build({**SMALL, "dropout": 0.0, "augment": 0.0})
    train = model.fit(data())
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        model(train, noise())["total"].mean().backward()
        optimizer.step()
    for name in model.columns:
        labels = train.labels.values[name]
        off = (model.predict(train.crystals, name) - labels)[labels.isfinite()]
        spread = labels[labels.isfinite()].std()
        assert float(off.abs().mean()) < 0.5 * float(spread)


def test_other_descriptions_are_of_the_same_crystals() -> None:
    some = crystals()
    other = redescribed(some, noise(), 1.0)
    assert not torch.equal(some.frac, other.frac)
    assert torch.allclose(some.volume, other.volume)
    assert torch.equal(some.numbers.sort(1).values, other.numbers.sort(1).values)
    lengths = [matrix_to_parameters(c.lattice)[0].sort(1).values for c in (some, other)]
    assert torch.allclose(*lengths)
    apart = [minimum_distances(c).nan_to_num(posinf=99.0).flatten(1).sort(1).values for c in (some, other)]
    assert torch.allclose(*apart, atol=1e-5)
    assert torch.equal(redescribed(some, noise(), 0.0).frac, some.frac)


def test_what_the_matrix_cannot_hold_is_unknown_not_wrong() -> None:
    large = Crystals.from_lists([[26] * 6, [26]], [torch.rand(6, 3), torch.rand(1, 3)], [4 * torch.eye(3)] * 2)
    found = fitted().predict(large, "formation_energy")
    assert found[0].isnan()
    assert found[1].isfinite()


def test_a_folder_gives_the_same_predictions(tmp_path: Path) -> None:
    model = fitted()
    config = model.config.model_dump(mode="json")
    write_model(tmp_path, model.state_dict(), ModelFacts("property_cnn", "small", "a small one", config))
    back = SPEC.load(tmp_path)
    assert dict(back.columns) == {"formation_energy": "eV/atom", "saturation_magnetization": "T"}
    for name in back.columns:
        assert torch.equal(model.predict(crystals(), name), back.predict(crystals(), name))


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no 'band_gap'; expected one of formation_energy"):
        fitted().predict(crystals(), "band_gap")
    with pytest.raises(UserError, match="none of which the matrix holds"):
        SPEC.build({**SMALL, "max_atoms": 1}).fit(data())
    with pytest.raises(UserError, match="--set"):
        SPEC.build({"layers": 3})
    with pytest.raises(UserError, match="No such file"):
        SPEC.load(tmp_path)
    (tmp_path / "config.json").write_text('{"family": "pigen"}')
    with pytest.raises(UserError, match="family 'pigen'"):
        SPEC.load(tmp_path)
