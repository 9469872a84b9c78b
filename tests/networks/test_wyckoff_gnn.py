"""WyckoffGNN against a plain formulation, crystal by crystal."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nucleate.networks.wyckoff_gnn import Positions, WyckoffGNN, WyckoffGNNConfig
from nucleate.representations.wyckoff import Orbits
from nucleate.symmetry.protostructure import Protostructure

SMALL = {"hidden": 16, "layers": 2, "side": 8, "head": 12, "max_count": 6, "heads": 4}
CONFIGS = {
    "published": WyckoffGNNConfig(**SMALL, time_steps=50),
    "fast": WyckoffGNNConfig(**SMALL, attention="dot", factored=5, time_steps=0),
}


def batch(dtype=torch.float64):
    labels = ["A2BC4_cF56_227_c_b_e:Al-Mg-O", "A2B_aP6_2_2i_i:O-Zr", "A2B_tP6_136_f_a:O-Ti", "A_cF4_225_a:Cu"]
    occupations = Orbits.of([Protostructure.parse(label) for label in labels]).occupations(100)
    t = torch.tensor([0.1, 0.9, 0.5, 1.0], dtype=dtype)
    return (
        occupations.fixed, occupations.counts, occupations.group, occupations.multiplicity, occupations.n_free, t,
    )  # fmt: skip


def network(name):
    torch.manual_seed(0)
    net = WyckoffGNN(CONFIGS[name]).double()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    return net


def plain(net, fixed, counts, group, multiplicity, n_free, t):
    """The published equations for one crystal, position by position and pair by pair."""
    places = [p for p in range(len(fixed)) if n_free[p] >= 0]
    h, side = [], []
    for p in places:
        if n_free[p] == 0:
            h.append(net.embed_fixed(fixed[p]))
        else:
            h.append(net.mix_counts(net.embed_count(counts[p])[:, 0]))
        side.append(
            net.embed_free(n_free[p]) + net.embed_place(torch.tensor(p)) + net.embed_group(group)
            + net.embed_multiplicity(multiplicity[p]) + net.embed_time(t[None])[0]
        )  # fmt: skip
    for layer in net.layers:
        z = [torch.cat([a, b]) for a, b in zip(h, side, strict=True)]
        joint = torch.cat([layer.receiver.weight, layer.sender.weight], 1)
        new = []
        for i in range(len(z)):
            scores = [layer.score(F.linear(torch.cat([z[i], z[j]]), joint, layer.receiver.bias)) for j in range(len(z))]
            share = torch.softmax(torch.cat(scores), 0)
            new.append(F.silu(h[i] + sum(share[j] * layer.message(z[j]) for j in range(len(z)))))
        h = new
    for p, vector in zip(places, h, strict=True):
        yield p, net.head_fixed(vector) if n_free[p] == 0 else net.head_counts(vector).view(100, -1)


def test_the_published_network_equals_its_plain_formulation():
    net, inputs = network("published"), batch()
    found = net(*inputs)
    for row in range(len(inputs[0])):
        for place, expected in plain(net, *(value[row] for value in inputs)):
            logits = found.fixed[row, place] if expected.dim() == 1 else found.counts[row, place]
            assert torch.allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize("name", CONFIGS)
def test_batch_equals_single(name):
    net, inputs = network(name), batch()
    every = net(*inputs)
    for row in range(len(inputs[0])):
        width = int((inputs[4][row] >= 0).sum())
        alone = net(*(value[row : row + 1, :width] if value.dim() > 1 else value[row : row + 1] for value in inputs))
        assert torch.allclose(alone.fixed[0], every.fixed[row, :width], atol=1e-9)
        assert torch.allclose(alone.counts[0], every.counts[row, :width], atol=1e-9)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_list_is_the_padded_answer(name):
    net, inputs = network(name), batch()
    positions = Positions.of(inputs[4])
    padded, listed = net(*inputs), net.listed(positions, *inputs)
    assert torch.equal(padded.fixed[positions.row, positions.place][~positions.free], listed.fixed)
    assert torch.equal(padded.counts[positions.row, positions.place][positions.free], listed.counts)
    assert (padded.counts[inputs[4] <= 0] == 0).all()
    assert (padded.fixed[inputs[4] != 0] == 0).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_context_and_adapters(name):
    net, inputs = network(name), batch()
    width = CONFIGS[name].hidden
    told = net(*inputs, torch.zeros(4, width), lambda _, h: torch.zeros_like(h))
    assert torch.equal(told.counts, net(*inputs).counts)
    assert not torch.allclose(net(*inputs, torch.randn(4, width).double()).counts, told.counts)
    assert not torch.allclose(net(*inputs, None, lambda number, h: (number + 1) * h.flip(-1)).counts, told.counts)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_parameter_has_a_gradient(name):
    net = network(name)
    answer = net(*batch())
    (answer.fixed.square().sum() + answer.counts.square().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_published_size():
    """Sizes by the table of the paper: embeddings, three layers, two heads."""
    net = WyckoffGNN(WyckoffGNNConfig())

    def mlp(inputs, hidden, outputs):
        return inputs * hidden + hidden + 2 * (hidden * hidden + hidden) + hidden * outputs + outputs

    side = (4 + 27 + 231 + 1000 + 193) * 16
    nodes = 101 * 256 + 55 + 100 * 256 + 256
    layers = 3 * (mlp(2 * 272, 544, 1) + mlp(272, 544, 256))
    heads = mlp(256, 512, 101) + mlp(256, 512, 5500)
    assert sum(p.numel() for p in net.parameters()) == side + nodes + layers + heads


def test_counts_start_mostly_empty():
    for config in CONFIGS.values():
        torch.manual_seed(0)
        logits = WyckoffGNN(config)(*batch(torch.float32)).counts.detach()
        occupied = 1 - torch.softmax(logits, -1)[..., 0]
        assert float(occupied[batch()[4] > 0].mean()) < 0.1
