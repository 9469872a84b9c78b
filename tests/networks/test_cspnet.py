"""CSPNet against the paper written out pair by pair, and its symmetries."""

import pytest
import torch
from torch.nn import functional as F

from nucleate.networks.cspnet import CSPNet, CSPNetConfig, image_basis

SMALL = {"hidden": 16, "layers": 2, "frequencies": 5, "time_features": 8, "species_inputs": 7, "species_outputs": 6}
KINDS = {
    "paper": CSPNetConfig(**SMALL, cell_features=9),
    "distances": CSPNetConfig(**SMALL, cell_features=6, distance_basis=4),
}


@pytest.fixture(params=KINDS)
def network(request):
    torch.manual_seed(0)
    return CSPNet(KINDS[request.param]).double()


def batch(network, sizes=(4, 2, 1), seed=0):
    """Inputs of crystals of different sizes in one padded batch."""
    generator = torch.Generator().manual_seed(seed)
    b, n = len(sizes), max(sizes)
    mask = torch.arange(n) < torch.tensor(sizes)[:, None]
    real = {"generator": generator, "dtype": torch.float64}
    lattice = 4 * torch.eye(3, dtype=torch.float64) + 0.5 * torch.randn(b, 3, 3, **real)
    paper = network.config.cell_features == 9
    return {
        "species": torch.randn(b, n, 7, **real) * mask[..., None],
        "frac": torch.rand(b, n, 3, **real) * mask[..., None],
        "cell_features": (lattice @ lattice.mT).flatten(1) if paper else torch.randn(b, 6, **real),
        "lattice": lattice,
        "time": 1000 * torch.rand(b, **real),
        "mask": mask,
    }


def plain_cspnet(network, species, frac, cell_features, lattice, time, mask, basis=None):
    """The paper's network pair by pair, from the weights of the fast one.

    ``basis(difference, lattice)`` gives the distance features of a pair, if there are any.
    """
    k = torch.arange(network.config.frequencies, dtype=frac.dtype)
    coordinates, cells, logits = [], [], []
    for b in range(len(frac)):
        n = int(mask[b].sum())
        noise_level = network.embed_time(time[b])
        h = torch.stack([network.mix(torch.cat([network.embed_species(species[b, i]), noise_level])) for i in range(n)])
        for layer in network.layers:
            # One linear layer over [h_i, h_j, cell, sines, cosines], its columns put together from the parts.
            weight = torch.cat(
                [layer.sender.weight, layer.receiver.weight, layer.cell.weight, layer.odd.weight, layer.even.weight], 1
            )
            x = layer.norm(h)
            updated = []
            for i in range(n):
                messages = []
                for j in range(n):
                    phase = (2 * torch.pi * torch.remainder(frac[b, j] - frac[b, i], 1.0)[:, None] * k).flatten()
                    features = [x[i], x[j], cell_features[b], phase.sin(), phase.cos()]
                    if basis is not None:
                        features.append(basis(frac[b, j] - frac[b, i], lattice[b]))
                    hidden = F.silu(F.linear(torch.cat(features), weight, layer.sender.bias))
                    messages.append(F.silu(layer.message(hidden)))
                gathered = torch.stack(messages).mean(0)
                updated.append(h[i] + layer.update(torch.cat([x[i], gathered])))
            h = torch.stack(updated)
        h = network.norm(h)
        coordinates.append(network.to_coordinates(h))
        cells.append(network.to_cell(h.mean(0)))
        logits.append(network.to_species(h))
    return coordinates, cells, logits


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("sizes", [(4, 2, 1), (3, 3)], ids=["padded", "equal"])
def test_it_is_the_papers_network(network, sizes):
    inputs = batch(network, sizes)
    c = network.config

    def basis(difference, lattice):
        return image_basis(difference[None, None], lattice[None], c.distance_basis, c.distance_cutoff)[0, 0]

    with torch.no_grad():
        fast = network(**inputs)
        slow = plain_cspnet(network, **inputs, basis=basis if c.distance_basis else None)
    for i, n in enumerate(sizes):
        torch.testing.assert_close(fast.coordinates[i, :n], slow[0][i], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(fast.cell[i], slow[1][i], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(fast.species[i, :n], slow[2][i], atol=1e-6, rtol=1e-6)


def test_the_papers_size():
    """12,346,468: counted from the widths of the published code, layer by layer."""
    h, freq, time, z, cell = 512, 128, 256, 100, 9
    edge = (2 * h + cell + 2 * 3 * freq) * h + h + h * h + h
    node = 2 * h * h + h + h * h + h
    expected = (z * h + h) + ((h + time) * h + h) + 6 * (edge + node + 2 * h) + 2 * h + h * 3 + h * cell + h * z + z
    with torch.device("meta"):
        count = sum(p.numel() for p in CSPNet(CSPNetConfig()).parameters())
    assert count == expected == 12_346_468


def test_first_layer_is_drawn_as_one():
    """The parts of the split layer have the spread of one layer over all inputs."""
    torch.manual_seed(0)
    layer = CSPNet(CSPNetConfig(hidden=64, layers=1, frequencies=16)).layers[0]
    bound = (2 * 64 + 9 + 6 * 16) ** -0.5
    for part in (layer.sender, layer.receiver, layer.cell, layer.odd, layer.even):
        assert float(part.weight.abs().max()) <= bound
        assert float(part.weight.std()) == pytest.approx(bound / 3**0.5, rel=0.1)


def test_permutation_of_the_sites(network):
    inputs = batch(network, (4, 4))
    order = torch.tensor([2, 0, 3, 1])
    moved = {**inputs, "species": inputs["species"][:, order], "frac": inputs["frac"][:, order]}
    a, b = network(**inputs), network(**moved)
    close(a.coordinates[:, order], b.coordinates)
    close(a.species[:, order], b.species)
    close(a.cell, b.cell)


def test_translation_and_whole_cells(network):
    inputs = batch(network)
    shift = torch.tensor([0.21, 0.7, -0.4], dtype=torch.float64)
    whole = torch.tensor([2.0, -1.0, 5.0], dtype=torch.float64)
    for moved in (inputs["frac"] + shift, inputs["frac"] + whole):
        for a, b in zip(network(**inputs), network(**{**inputs, "frac": moved}), strict=True):
            shape = inputs["mask"][..., None] if a.dim() == 3 else 1
            close(a * shape, b * shape)


def test_rotation(network):
    inputs = batch(network)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    turned = inputs["lattice"] @ rotation
    moved = {**inputs, "lattice": turned}
    if network.config.cell_features == 9:
        moved["cell_features"] = (turned @ turned.mT).flatten(1)
    for a, b in zip(network(**inputs), network(**moved), strict=True):
        close(a, b)


def test_a_crystal_does_not_see_padding_or_batch_mates(network):
    inputs = batch(network)
    whole = network(**inputs)
    for i, n in enumerate((4, 2, 1)):
        one = network(**{k: v[i : i + 1, :n] if k in ("species", "frac", "mask") else v[i : i + 1]
                         for k, v in inputs.items()})  # fmt: skip
        close(whole.coordinates[i, :n], one.coordinates[0])
        close(whole.species[i, :n], one.species[0])
        close(whole.cell[i], one.cell[0])


def test_it_trains_after_it_was_used_for_inference():
    network = CSPNet(KINDS["distances"])
    inputs = {k: v.float() if v.is_floating_point() else v for k, v in batch(network, (5, 5)).items()}
    with torch.inference_mode():
        network(**inputs)
    sum(part.sum() for part in network(**inputs)).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())
