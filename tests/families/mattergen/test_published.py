import math
import sys
from pathlib import Path

import pytest
import torch

from nucleate.conditions.labels import Labels
from nucleate.conditions.request import Conditions
from nucleate.diffusion.joint import State
from nucleate.errors import UserError
from nucleate.families.joint_config import SamplerConfig
from nucleate.families.mattergen.model import MatterGen, MatterGenConfig
from nucleate.families.mattergen.published import (
    ELEMENTS,
    SIZES,
    PublishedCheckpoint,
    adapter_state,
    left_behind,
    model_of,
    network_state,
)
from nucleate.families.mattergen.published_names import Shape, expected, shape_of
from nucleate.networks.gemnet import GemNet, GemNetConfig

sys.path.insert(0, str(Path(__file__).parent))
import public_mattergen as public

TINY = Shape(
    hidden=10, edge=8, time=6, triplet=4, bilinear=5, radial=3, circular=2, degrees=4, n_radial=7, blocks=2,
    before_skip=1, after_skip=2, concatenated=1, site_layers=2,
)  # fmt: skip
ADAPTED = Shape(
    **{**TINY.__dict__, "adapters": ("chemical_system", "dft_mag_density", "ml_bulk_modulus", "space_group"),
       "kinds": ("multi_hot", "scalar", "scalar", "categorical")}
)  # fmt: skip
NETWORK = {"cutoff": 4.0, "max_neighbors": 7}


def imported(shape, seed=0):
    tensors = public.state_dict(shape, seed, torch.float64)
    return tensors, model_of(PublishedCheckpoint.checked(tensors, NETWORK, "x.ckpt"), {}, "mine").double()


def loaded(shape, seed):
    """In double precision from the start, so that the state dict is not rounded."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return imported(shape, seed)
    finally:
        torch.set_default_dtype(before)


def crystal(model, numbers, seed):
    """A noisy crystal: masked sites are 0, and the cell is symmetric, as noise makes it."""
    generator = torch.Generator().manual_seed(seed)
    n = len(numbers)
    frac = torch.rand(1, n, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    lattice = (3.1 * torch.eye(3, dtype=torch.float64) + 0.3 * (noise + noise.T))[None]
    cell = model.cells.encode(lattice, torch.tensor([n]))
    return State(torch.tensor([numbers]), frac, cell, torch.ones(1, n, dtype=torch.bool)), lattice


def voigt(matrix):
    return torch.stack([matrix[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))])


@pytest.mark.parametrize(("numbers", "seed"), [([8], 1), ([0, 13], 2), ([3, 0, 27], 3)])
def test_an_imported_network_answers_as_the_public_one(numbers, seed):
    tensors, model = loaded(TINY, seed)
    state, lattice = crystal(model, numbers, seed)
    answer = model.denoise(state, torch.tensor([0.37], dtype=torch.float64))
    theirs = [number or 101 for number in numbers]
    edges = public.graph(state.frac[0], lattice[0], cutoff=4.0, most=7)
    uncut = public.graph(state.frac[0], lattice[0], cutoff=4.0, most=1000)
    assert 0 < len(edges) < len(uncut)  # the limit is felt
    displacement, score, logits = public.forward(tensors, TINY, theirs, state.frac[0], lattice[0], 0.37, NETWORK)
    assert torch.allclose(answer.frac[0], displacement, rtol=1e-8, atol=1e-9)
    assert torch.allclose(answer.cell[0], -voigt(score), rtol=1e-8, atol=1e-9)  # our network says the noise
    assert torch.allclose(answer.species[0], logits, rtol=1e-8, atol=1e-9)
    assert min(float(part.detach().abs().max()) for part in answer) > 1e-3


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"dft_mag_density": 0.15},
        {"chemical_system": (3, 8), "ml_bulk_modulus": 210.0},
        {"space_group": 166, "dft_mag_density": -0.02, "ml_bulk_modulus": 3.5, "chemical_system": (8,)},
    ],
)
def test_imported_adapters_answer_as_the_public_ones(asked):
    tensors, model = loaded(ADAPTED, 4)
    state, lattice = crystal(model, [0, 8], 5)
    hot = torch.zeros(1, 100, dtype=torch.float64)
    hot[0, torch.tensor(asked.get("chemical_system", (1,))) - 1] = 1.0
    values = {
        "chemical_system": hot,
        "magnetic_density": torch.tensor([asked.get("dft_mag_density", math.nan)], dtype=torch.float64),
        "bulk_modulus": torch.tensor([asked.get("ml_bulk_modulus", math.nan)], dtype=torch.float64),
        "space_group": torch.tensor([float(asked.get("space_group", math.nan))], dtype=torch.float64),
    }
    ours = {"dft_mag_density": "magnetic_density", "ml_bulk_modulus": "bulk_modulus"}
    there = {ours.get(name, name) for name in asked}
    labels = Labels(values, {name: torch.tensor([name in there]) for name in values})
    answer = model.denoise(state, torch.tensor([0.8], dtype=torch.float64), labels)
    found = public.forward(tensors, ADAPTED, [101, 8], state.frac[0], lattice[0], 0.8, NETWORK, asked)
    assert torch.allclose(answer.frac[0], found[0], rtol=1e-7, atol=1e-8)
    assert torch.allclose(answer.cell[0], -voigt(found[1]), rtol=1e-7, atol=1e-8)
    assert torch.allclose(answer.species[0], found[2], rtol=1e-7, atol=1e-8)


def test_every_public_tensor_is_used_or_known_to_be_left():
    """A change of any one tensor changes the model, or it is one of those that the public code does not read."""
    tensors = public.state_dict(ADAPTED, 0)

    def told(tensors):
        published = PublishedCheckpoint.checked(tensors, NETWORK, "x")
        return published.config({}).adapters, network_state(published) | adapter_state(published)

    adapters, state = told(tensors)
    for name, value in tensors.items():
        if left_behind(name) and not name.endswith((".means", ".stds")):
            continue
        changed = dict(tensors)
        changed[name] = value + 0.5
        read, after = told(changed)
        assert read != adapters or not all(torch.equal(one, state[key]) for key, one in after.items()), name


def test_names_and_counts_of_the_published_model():
    names = expected(Shape())
    assert len(names) == 281
    trained = [name for name in names if name not in names.constants and not name.endswith("scale_factor")]
    single = [name for name in trained if ".seq_energy." not in name]
    assert sum(math.prod(names[name]) for name in single) == 44_562_021  # of the public base model, docs/gemnet.md
    for name, size in {
        "gemnet.atom_emb.embeddings.weight": (101, 512),
        "gemnet.atom_latent_emb.weight": (512, 1024),
        "gemnet.out_blocks.0.dense_rbf.linear.weight": (512, 16),
        "gemnet.out_blocks.4.layers.0.linear.weight": (512, 512),
        "gemnet.int_blocks.3.trip_interaction.mlp_cbf.weight": (64, 16, 64),
        "noise_level_encoding.div_term": (256,),
        "fc_atom.bias": (101,),
    }.items():
        assert names[name] == size


def test_the_published_shapes_fit_our_network(monkeypatch):
    monkeypatch.setattr(torch.nn.init, "orthogonal_", lambda weight: weight)  # slow, and shapes do not hang on it
    with torch.device("meta"):
        tensors = {name: torch.empty(size) for name, size in expected(Shape()).items()}
        ours = GemNet(GemNetConfig()).state_dict()
        found = network_state(PublishedCheckpoint(tensors, shape_of(tensors), {}))
    assert shape_of(tensors) == Shape()
    assert {name: value.shape for name, value in found.items()} == {name: value.shape for name, value in ours.items()}
    read = sum(value.numel() for name, value in tensors.items() if not left_behind(name))
    scales = sum(1 for name in found if name.startswith("cell_scores") and name.endswith("scale.factor"))
    assert sum(value.numel() for value in found.values()) == read + scales


def test_settings_are_the_published_ones():
    tensors = public.state_dict(ADAPTED, 0)
    config = model_of(PublishedCheckpoint.checked(tensors, NETWORK, "x"), {"dft_mag_density": True}, "x").config
    paper = MatterGenConfig.paper()
    assert config.model_copy(update={"gemnet": paper.gemnet, "adapters": (), "published_labels": False}) == paper
    assert (config.gemnet.edges, config.gemnet.cutoff, config.gemnet.neighbours) == ("mirrored", 4.0, 7)
    _, magnetic, bulk, _ = config.adapters
    assert (magnetic.name, magnetic.unit, magnetic.log) == ("magnetic_density", "µB/Å³", True)
    assert (bulk.name, bulk.log) == ("bulk_modulus", True)
    assert bulk.mean == pytest.approx(float(tensors["property_embeddings_adapt.ml_bulk_modulus.scaler.means"]))
    assert len(ELEMENTS) == 76
    assert sum(SIZES) == pytest.approx(1, abs=1e-5)


def test_an_imported_model_samples():
    _, model = imported(ADAPTED)
    walk = SamplerConfig(steps=4, corrector="snr", corrector_steps=1)
    where = Conditions.parse(["chemical_system=Li-O", "magnetic_density=0.1", "n_atoms=3"])
    crystals = model.sample(3, where, seed=1, sampler=walk, guidance=2.0)
    assert (crystals.n_atoms == 3).all()
    assert set(crystals.numbers[crystals.mask].tolist()) == {3, 8}
    assert bool(crystals.lattice.isfinite().all())
    again = model.sample(1, where, seed=1, start=2, sampler=walk, guidance=2.0)
    assert torch.allclose(again.frac[0], crystals.frac[2], atol=1e-5)


def broken(change):
    tensors = public.state_dict(TINY, 0)
    change(tensors)
    return tensors


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda at: at.pop("fc_atom.bias"), "no tensor fc_atom.bias"),
        (lambda at: [at.pop(name) for name in list(at) if "seq_energy" in name], r"no tensors .*seq_energy.*\(15 in"),
        (lambda at: at.update({"fc_bond.weight": torch.zeros(2)}), "unknown tensor fc_bond.weight"),
        (lambda at: at.update({"fc_atom.weight": torch.zeros(100, 10)}), "fc_atom.weight of shape 100 x 10; .* 101 x"),
        (lambda at: at["fc_atom.bias"].fill_(math.nan), "fc_atom.bias without finite"),
        (lambda at: at["noise_level_encoding.div_term"].add_(1), "other values of noise_level_encoding"),
        (lambda at: at["gemnet.radial_basis.rbf.offset"].mul_(2), "other values of gemnet.radial_basis"),
        (lambda at: at.update({"property_embeddings.space_group.x": torch.zeros(1)}), "conditioned on space_group"),
        (lambda at: at.clear(), r"no tensors fc_atom.bias, .*\(281 in all\)"),
        (lambda at: at.update({"gemnet.int_blocks.7.dense_ca.linear.weight": torch.zeros(8, 8)}), "no tensors gemnet"),
    ],
)
def test_other_tensors_are_refused_in_one_line(change, found):
    with pytest.raises(UserError, match=found) as caught:
        PublishedCheckpoint.checked(broken(change), NETWORK, "x.ckpt")
    assert str(caught.value).startswith("x.ckpt: ")
    assert "\n" not in str(caught.value)


def test_a_tuned_copy_of_an_imported_model_keeps_the_public_reading():
    _, model = imported(ADAPTED)
    assert MatterGen(model.config, "copy").state_dict().keys() == model.state_dict().keys()
