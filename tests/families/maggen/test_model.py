"""Laws of the model: batch equals single, seeds, what a request rules out, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.errors import UserError
from nucleate.families.maggen import SPEC
from nucleate.families.maggen.config import SamplerConfig
from nucleate.families.maggen.model import MagGen
from nucleate.symmetry.space_group import space_groups
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import ModelFacts, halved, write_model

NARROW = {"maggen": {}, "maggen-paper": {"channels": (8, 8, 16, 16)}}
EVERY = SamplerConfig(parents="all", scale=0.3)


def test_the_paper_s_model_has_its_size() -> None:
    made = SPEC.build({"preset": "maggen-paper"})
    assert sum(p.numel() for p in made.parameters()) == 11_441_541
    assert (made.ircr.length, made.ircr.width) == (144, 3)


@pytest.mark.parametrize("preset", ["maggen", "maggen-paper"])
def test_losses_fall_and_every_part_learns(preset: str, data: TrainingBatch) -> None:
    torch.manual_seed(0)
    made = SPEC.build(
        {"preset": preset, "max_atoms": 6, "dense": 64, "latent": 16, "divergence": 1e-4, **NARROW[preset]}
    )
    train = made.fit(data)
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    totals = []
    for _ in range(20):
        losses = made(train, noise)
        assert all(value.shape == (len(train),) for value in losses.values())
        optimizer.zero_grad()
        losses["total"].mean().backward()
        optimizer.step()
        totals.append(float(losses["total"].detach().mean()))
    assert totals[-1] < 0.8 * totals[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


def test_missing_labels_teach_nothing(data: TrainingBatch) -> None:
    made = SPEC.build({"max_atoms": 6, "dense": 8, "latent": 8})
    train = made.fit(data)
    losses = made(train, GeneratorNoise(torch.Generator().manual_seed(0)))
    missing = ~train.labels.mask["saturation_magnetization"]
    assert (losses["saturation_magnetization"][missing] == 0).all()
    assert (losses["saturation_magnetization"][~missing] > 0).all()


def test_crystals_are_encoded_alone_and_in_any_order_of_sites(model: MagGen, crystals: Crystals) -> None:
    together = model.encode(crystals)
    alone = torch.cat([model.encode(one) for one in crystals])
    assert torch.allclose(together, alone, atol=1e-5)
    turned = Crystals.from_lists(
        [crystals.sites(i)[0].flip(0) for i in range(len(crystals))],
        [crystals.sites(i)[1].flip(0) for i in range(len(crystals))],
        crystals.lattice,
    )
    assert torch.allclose(together, model.encode(turned), atol=1e-5)


def test_no_noise_gives_the_parent_s_reconstruction(model: MagGen) -> None:
    made = model.sample(6, seed=1, sampler=EVERY.model_copy(update={"scale": 0.0}))
    parents = model.decoded(model.parents.points[made.crystal_fields["parent"]])
    assert torch.equal(made.numbers, parents.numbers)
    for name in model.properties:
        said = made.crystal_fields[f"predicted/{name}"]
        assert torch.allclose(said, parents.crystal_fields[f"predicted/{name}"])


def test_cells_stay_in_the_range_of_the_training_data(model: MagGen) -> None:
    low, high = (end[model.ircr.blocks["L"]] for end in (model.scaling.low, model.scaling.high))
    cells = model.matrices(100 * torch.randn(50, 12))[:, model.ircr.blocks["L"]]
    assert (cells >= low[:, None] - 1e-3).all()
    assert (cells <= high[:, None] + 1e-3).all()


def test_targets_choose_parents_by_their_labels(model: MagGen, crystals: Crystals) -> None:
    where = Conditions.parse(["saturation_magnetization=0.5..9", "formation_energy=-9..0"])
    made = model.sample(20, where, sampler=EVERY.model_copy(update={"parents": "asked"}))
    labels = model.parents.labels[made.crystal_fields["parent"]]
    assert (labels[:, 1] >= 0.5).all()
    sizes = model.sample(20, Conditions.parse(["n_atoms=3"]), sampler=EVERY).crystal_fields["parent"]
    assert (model.parents.sizes[sizes] == 3).all()


def test_a_chemical_system_lets_no_other_element_in(model: MagGen) -> None:
    made = model.sample(20, Conditions.parse(["chemical_system=Co-O"]), sampler=EVERY)
    assert set(made.numbers.unique().tolist()) <= {0, 8, 27}
    free = model.sample(20, sampler=EVERY)
    assert set(free.numbers.unique().tolist()) - {0, 8, 27}


@pytest.mark.parametrize("method", ["local", "slerp", "global"])
def test_every_method_makes_crystals(model: MagGen, method: str) -> None:
    made = model.sample(5, sampler=SamplerConfig(method=method, parents="all", draws=2))  # type: ignore[arg-type]
    assert len(made) == 5


def test_a_folder_gives_the_same_crystals(model: MagGen, tmp_path: Path) -> None:
    weights = halved(model.state_dict())
    model.load_state_dict(weights)
    config = model.config.model_dump(mode="json")
    write_model(tmp_path, weights, ModelFacts("maggen", "small", "a small one", config))
    back = SPEC.load(tmp_path, "scale=0.2,parents=all")
    assert back.config.sampler == SamplerConfig(scale=0.2, parents="all", draws=50, symmetry="templates")
    first, second = (m.sample(5, seed=2, sampler=EVERY) for m in (model, back))
    assert torch.equal(first.numbers, second.numbers)
    assert torch.allclose(first.lattice, second.lattice, atol=1e-5, equal_nan=True)


def test_bad_requests_are_one_line(model: MagGen, data: TrainingBatch, tmp_path: Path) -> None:
    for text, found in (
        ("band_gap=1", "--where: found band_gap; expected conditions of this model: formation_energy"),
        ("composition=FeO", "--where: found composition"),
        ("space_group=225", "--where: found space_group"),
    ):
        with pytest.raises(UserError, match=found):
            model.sample(1, Conditions.parse([text]), sampler=EVERY)
    where = Conditions.parse(["saturation_magnetization=50"])
    with pytest.raises(UserError, match="no asked parent among 40 training crystals"):
        model.sample(1, where, sampler=EVERY.model_copy(update={"parents": "asked"}))
    with pytest.raises(UserError, match="no parents"):
        SPEC.build({"max_atoms": 6}).sample(1)
    with pytest.raises(UserError, match="none of which the matrix holds"):
        SPEC.build({"max_atoms": 1}).fit(data)
    with pytest.raises(UserError, match="--guidance"):
        model.sample(1, guidance=2.0)
    (tmp_path / "config.json").write_text('{"family": "maggen", "config": {}}')
    with pytest.raises(UserError, match="--sampler"):
        SPEC.load(tmp_path, "scal=2")


def test_any_column_can_have_a_branch(data: TrainingBatch) -> None:
    volume = data.crystals.volume
    labels = {**data.labels.values, "hardness": volume}
    made = SPEC.build({"max_atoms": 6, "dense": 8, "latent": 8, "conditions": ["formation_energy", "hardness"]})
    train = made.fit(TrainingBatch.of(data.crystals, labels))
    made.finished(train)
    assert made.properties == ("formation_energy", "hardness")
    assert made.config.conditions[1].mean == pytest.approx(float(volume.mean()), rel=1e-5)
    assert made.predicted(made.encode(train.crystals)).shape == (len(train), 2)


def salts() -> Crystals:
    """Caesium-chloride cells of several sizes."""
    numbers = [[a, b] for a in (3, 11, 19, 37, 55) for b in (9, 17, 35)]
    cells = [torch.eye(3, dtype=torch.float64) * (3.0 + 0.1 * i) for i in range(len(numbers))]
    return Crystals.from_lists(numbers, [[[0.0, 0, 0], [0.5, 0.5, 0.5]]] * len(numbers), cells)


def test_crystals_take_the_symmetry_of_their_parents() -> None:
    torch.manual_seed(0)
    made = SPEC.build({"max_atoms": 6, "dense": 32, "latent": 12, "branch": (8,), "conditions": ()})
    train = made.fit(TrainingBatch.of(salts()))
    optimizer, noise = torch.optim.Adam(made.parameters(), lr=3e-3), GeneratorNoise(torch.Generator().manual_seed(0))
    for _ in range(150):
        optimizer.zero_grad()
        made(train, noise)["total"].mean().backward()
        optimizer.step()
    made.finished(train)
    how = SamplerConfig(parents="all", scale=0.1)
    free = made.sample(12, seed=0, sampler=how)
    moved = made.sample(12, seed=0, sampler=how.model_copy(update={"symmetry": "templates"}))
    marked = moved.crystal_fields["on_template"]
    assert marked.sum() >= 6
    assert (space_groups(moved[marked], 1e-3) == 221).all()
    assert (space_groups(free, 1e-3) < 221).sum() >= 9
    assert torch.equal(free.numbers, moved.numbers)
    assert torch.equal(free.frac[~marked], moved.frac[~marked])


@pytest.mark.parametrize("system", ["Am-Cm", "Co-Am", "He-Ne"])
def test_elements_that_no_parent_has_are_named(model: MagGen, system: str) -> None:
    with pytest.raises(UserError, match="elements that the model was trained on"):
        model.sample(2, Conditions.parse([f"chemical_system={system}"]), sampler=EVERY)
