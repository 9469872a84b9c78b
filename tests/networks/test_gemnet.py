import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from nucleate.guidance.adapters import MixIns
from nucleate.networks.gemnet import GemNet, GemNetConfig
from nucleate.networks.gemnet_layers import Scale

TINY = GemNetConfig(
    hidden=12, edge=10, triplet=4, bilinear=5, radial=3, circular=2, blocks=2, before_skip=1, after_skip=2,
    concatenated=1, site_layers=2, score_layers=2, degrees=4, n_radial=6, cutoff=3.2, neighbours=9, time_features=8,
    species_inputs=5, species_outputs=5,
)  # fmt: skip


def network(config=TINY, seed=0):
    torch.manual_seed(seed)
    return GemNet(config).double()


def batch(sizes=(2, 3), seed=0):
    generator = torch.Generator().manual_seed(seed)
    width = max(sizes)
    mask = torch.arange(width) < torch.tensor(sizes)[:, None]
    frac = torch.rand(len(sizes), width, 3, generator=generator, dtype=torch.float64) * mask[..., None]
    lattice = 2.6 * torch.eye(3, dtype=torch.float64) + 0.5 * torch.randn(
        len(sizes), 3, 3, generator=generator, dtype=torch.float64
    )
    kinds = torch.randint(0, 5, (len(sizes), width), generator=generator)
    species = F.one_hot(kinds, 5).double()
    time = torch.rand(len(sizes), generator=generator, dtype=torch.float64)
    return species, frac, lattice, time, mask


def rotation(seed=3):
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return q * torch.linalg.det(q).sign()


# The plain formulation: one crystal, lists of edges and triplets, loops, vectors joined before a layer.


def act(x):
    return F.silu(x) / 0.6


def plain_edges(frac, lattice, cutoff, neighbours):
    """(source, target, vector from source to target) of every edge, brute force over images of the cell as given."""
    n = len(frac)
    found = []
    images = torch.tensor(list(itertools.product(range(-6, 7), repeat=3))).double()
    for target, source in itertools.product(range(n), range(n)):
        vectors = (frac[target] - frac[source] - images) @ lattice
        for k in ((vectors.norm(dim=-1) < cutoff) & (vectors.norm(dim=-1) > 1e-2)).nonzero().flatten().tolist():
            found.append((source, target, tuple(images[k].int().tolist()), vectors[k]))
    limit = {}
    for site in range(n):
        lengths = sorted(float(v.norm()) for _, t, _, v in found if t == site)
        limit[site] = lengths[neighbours] if len(lengths) > neighbours else math.inf
    return [
        (s, t, image, v) for s, t, image, v in found if float(v.norm()) < min(limit[s], limit[t]) * (1 - 1e-4)
    ]  # fmt: skip


def plain_stack(x, module):
    if module.first is not None:
        x = act(x @ module.first.T)
    for one, two in () if module.weights is None else module.weights:
        x = (x + act(act(x @ one.T) @ two.T)) / math.sqrt(2)
    return x


def plain(net, species, frac, lattice, time, context=None, mix=None):
    c = net.config
    edges = plain_edges(frac, lattice, c.cutoff, c.neighbours)
    mirror = []
    for s, t, image, _ in edges:
        other = (t, s, tuple(-k for k in image))
        mirror.append(next(i for i, (a, b, im, _) in enumerate(edges) if (a, b, im) == other))
    units = [v / v.norm() for *_, v in edges]
    d = torch.stack([v.norm() for *_, v in edges]) / c.cutoff
    centres = torch.linspace(0, 1, c.n_radial, dtype=torch.float64)
    gauss = torch.exp(-0.5 / (centres[1] - centres[0]) ** 2 * (d[:, None] - centres) ** 2)
    rbf = (1 - 21 * d**5 + 35 * d**6 - 15 * d**7)[:, None] * gauss
    steps = torch.arange(c.time_features // 2, dtype=torch.float64)
    angle = time * 10_000.0 ** (-2 * steps / c.time_features)
    h = species @ net.embed_species.weight.T
    told = [angle.sin(), angle.cos()] + ([] if context is None else [context])
    h = net.mix(torch.cat([h, torch.cat(told).expand(len(h), -1)], -1))

    def joined(h, known, layer):
        return torch.stack(
            [act(torch.cat([h[s], h[t], known[i]]) @ layer.weight.T) for i, (s, t, *_) in enumerate(edges)]
        )

    m = joined(h, rbf, net.embed_edge)
    rows = lattice / lattice.norm(dim=-1, keepdim=True)
    m = net.embed_angles(torch.cat([m, torch.stack([rows @ u for u in units])], -1))
    r3, rh = rbf @ net.radial_triplet.weight.T, rbf @ net.radial_site.weight.T
    rs, rc = rbf @ net.radial_score.weight.T, rbf @ net.radial_cell.weight.T
    circular = (rbf @ net.radial_circular.weight.T).reshape(-1, c.circular, c.degrees)

    def head(module, radial, m):
        x = plain_stack(m, module.layers)
        if module.linear is not None:
            x = x @ module.linear.weight.T
        return ((x * (radial @ module.radial.weight.T)) @ module.out.weight.T)[:, 0] * module.scale.factor

    forces = head(net.coordinate_scores[0], rs, m)
    strain = head(net.cell_scores[0], rc, m)
    for k, block in enumerate(net.blocks):
        if mix is not None:
            h = h + mix(k, h)
        trip = block.triplets
        x = act(m @ trip.edge.weight.T) * (r3 @ trip.radial.weight.T) * trip.scale_radial.factor
        x = act(x @ trip.down.weight.T)
        w = trip.bilinear.weight.reshape(c.bilinear, c.circular, c.triplet)
        out = torch.zeros(len(edges), c.bilinear, dtype=torch.float64)
        for ca, ba in itertools.product(
            range(len(edges)), repeat=2
        ):  # triplets b -> a <- c, b may be c in another cell
            if ca == ba or edges[ca][1] != edges[ba][1]:
                continue
            cosine = float(units[ca] @ units[ba])
            p = [1.0, cosine]
            for l in range(2, c.degrees):
                p.append(((2 * l - 1) * cosine * p[-1] - (l - 1) * p[-2]) / l)
            y = torch.tensor(
                [math.sqrt((2 * l + 1) / (4 * math.pi)) * p[l] for l in range(c.degrees)], dtype=torch.float64
            )
            out[ca] += (w * (circular[ca] @ y)[:, None] * x[ba]).sum((1, 2))
        out = out * trip.scale_sum.factor
        up, mirrored = act(out @ trip.up.weight.T), act(out @ trip.up_mirror.weight.T)
        x3 = (up + mirrored[mirror]) / math.sqrt(2)
        x = plain_stack((act(m @ block.skip.weight.T) + x3) / math.sqrt(2), block.before)
        m = plain_stack((m + x) / math.sqrt(2), block.after)
        told_sites = torch.zeros(len(h), c.edge, dtype=torch.float64)
        for i, (_, t, *_) in enumerate(edges):
            told_sites[t] += m[i] * (rh[i] @ block.site_update.radial.weight.T)
        told_sites = told_sites * block.site_update.scale_sum.factor
        h = (h + plain_stack(told_sites, block.site_update.layers)) / math.sqrt(2)
        m = (m + plain_stack(joined(h, m, block.concatenate), block.concatenated)) / math.sqrt(2)
        forces = forces + head(net.coordinate_scores[k + 1], rs, m)
        strain = strain + head(net.cell_scores[k + 1], rc, m)
    cart, cell = torch.zeros(len(h), 3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for i, (_, t, *_) in enumerate(edges):
        cart[t] += forces[i] * units[i]
        cell += strain[i] / len(edges) * torch.outer(units[i], units[i])
    return cart @ torch.linalg.inv(lattice), cell, net.to_species(h)


@torch.no_grad()
def test_equals_the_plain_formulation_edge_by_edge():
    net = network()
    species, frac, lattice, time, mask = batch()
    net.fit_scales(species, frac, lattice, time, mask)
    out = net(species, frac, lattice, time, mask)
    for b in range(2):
        n = int(mask[b].sum())
        coordinates, cell, logits = plain(net, species[b, :n], frac[b, :n], lattice[b], time[b])
        torch.testing.assert_close(out.coordinates[b, :n], coordinates, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(out.cell[b], cell, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(out.species[b, :n], logits, rtol=1e-6, atol=1e-9)
    assert not out.coordinates[~mask].any()


@pytest.mark.slow
@torch.no_grad()
def test_equals_the_plain_formulation_with_fifty_neighbours():
    config = TINY.model_copy(update={"cutoff": 7.0, "neighbours": 50, "blocks": 1, "degrees": 7})
    net = network(config)
    species, frac, lattice, time, mask = batch((2,))
    out = net(species, frac, lattice, time, mask)
    coordinates, cell, _ = plain(net, species[0], frac[0], lattice[0], time[0])
    torch.testing.assert_close(out.coordinates[0], coordinates, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(out.cell[0], cell, rtol=1e-6, atol=1e-9)


@torch.no_grad()
def test_rotations_turn_the_heads_with_the_crystal():
    net, (species, frac, lattice, time, mask), r = network(), batch(), rotation()
    a, b = net(species, frac, lattice, time, mask), net(species, frac, lattice @ r.T, time, mask)
    torch.testing.assert_close(b.coordinates @ (lattice @ r.T), a.coordinates @ lattice @ r.T)
    torch.testing.assert_close(b.cell, r @ a.cell @ r.T)
    torch.testing.assert_close(b.species, a.species)
    torch.testing.assert_close(a.cell, a.cell.mT)


@torch.no_grad()
def test_translations_and_whole_cells_change_nothing():
    net, (species, frac, lattice, time, mask) = network(), batch()
    shift = torch.tensor([[0.3, -0.8, 0.11]], dtype=torch.float64)
    a, b = net(species, frac, lattice, time, mask), net(species, frac + shift, lattice, time, mask)
    c = net(species, frac + torch.tensor([1.0, -2.0, 3.0]).double(), lattice, time, mask)
    for other in (b, c):
        for x, y in zip(a, other, strict=True):
            torch.testing.assert_close(x if x is a.cell else x[mask], y if x is a.cell else y[mask])


@torch.no_grad()
def test_permutations_of_sites_permute_the_answers():
    net, (species, frac, lattice, time, mask) = network(), batch((4,))
    order = torch.tensor([2, 0, 3, 1])
    a = net(species, frac, lattice, time, mask)
    b = net(species[:, order], frac[:, order], lattice, time, mask)
    torch.testing.assert_close(b.coordinates, a.coordinates[:, order])
    torch.testing.assert_close(b.species, a.species[:, order])
    torch.testing.assert_close(b.cell, a.cell)


@torch.no_grad()
def test_without_angles_to_rows_the_choice_of_the_cell_changes_nothing():
    net, (species, frac, lattice, time, mask) = network(), batch()
    net.embed_angles[0].weight[:, -3:] = 0  # cosines with the rows of the cell know which cell was chosen
    change = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 1.0]]).double()
    a = net(species, frac, lattice, time, mask)
    b = net(species, frac @ torch.linalg.inv(change), change @ lattice, time, mask)
    torch.testing.assert_close(b.coordinates @ (change @ lattice), a.coordinates @ lattice)
    torch.testing.assert_close(b.cell, a.cell)
    torch.testing.assert_close(b.species[mask], a.species[mask])


@torch.no_grad()
def test_a_crystal_is_answered_alike_alone_and_in_a_batch():
    net, (species, frac, lattice, time, mask) = network(), batch((2, 5, 1, 3))
    together = net(species, frac, lattice, time, mask)
    for b, n in enumerate((2, 5, 1, 3)):
        alone = net(
            species[b : b + 1, :n], frac[b : b + 1, :n], lattice[b : b + 1], time[b : b + 1], mask[b : b + 1, :n]
        )
        torch.testing.assert_close(together.coordinates[b, :n], alone.coordinates[0])
        torch.testing.assert_close(together.species[b, :n], alone.species[0])
        torch.testing.assert_close(together.cell[b], alone.cell[0])


def test_gradients_are_those_of_differences():
    net = network(TINY.model_copy(update={"blocks": 1}))
    values = batch((2,))
    net.fit_scales(*values)
    out = net(*values)
    loss = out.coordinates.square().sum() + out.cell.square().sum() + out.species.square().sum()
    loss.backward()

    @torch.no_grad()
    def at():
        out = net(*values)
        return out.coordinates.square().sum() + out.cell.square().sum() + out.species.square().sum()

    generator = torch.Generator().manual_seed(5)
    for name, parameter in net.named_parameters():
        step = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        assert parameter.grad is not None, name
        with torch.no_grad():
            parameter += 1e-6 * step
            above = at()
            parameter -= 2e-6 * step
            below = at()
            parameter += 1e-6 * step
        expected = float((above - below) / 2e-6)
        assert float((parameter.grad * step).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-5), name


@torch.no_grad()
def test_fitted_scales_bring_values_to_variance_one():
    net, values = network(), batch((4, 4, 4))
    seen = {}
    for name, module in net.named_modules():
        if isinstance(module, Scale):
            module.register_forward_hook(lambda m, args, out, name=name: seen.update({name: float(out.std())}))
    net.fit_scales(*values)
    assert len(seen) == 2 * 3 + 2 * 3
    net(*values)
    assert all(value == pytest.approx(1.0, abs=1e-6) for value in seen.values())
    assert {f"{name}.factor" for name in seen} <= set(net.state_dict())


@torch.no_grad()
def test_adapters_change_no_bit_before_they_are_trained():
    net, values = network(), batch()
    torch.manual_seed(1)
    adapters = MixIns(["band_gap", "space_group"], 12, 6, 2).double()
    told = {name: torch.randn(2, 6, dtype=torch.float64) for name in ("band_gap", "space_group")}
    given = {"band_gap": torch.tensor([True, False]), "space_group": torch.tensor([True, True])}
    a, b = net(*values), net(*values, mix=adapters(told, given))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    for parameter in adapters.parameters():
        parameter += 0.1
    c = net(*values, mix=adapters(told, {"band_gap": given["band_gap"], "space_group": torch.zeros(2).bool()}))
    assert not torch.allclose(a.species[0], c.species[0])
    assert torch.equal(a.species[1], c.species[1])


@torch.no_grad()
def test_context_and_mix_enter_as_in_the_plain_formulation():
    net = network(TINY.model_copy(update={"condition_features": 3}))
    species, frac, lattice, time, mask = batch((3,))
    context = torch.randn(1, 3, dtype=torch.float64)
    mix = lambda k, h: 0.3 * (k + 1) * h.sin()  # noqa: E731
    out = net(species, frac, lattice, time, mask, context, mix=mix)
    coordinates, cell, logits = plain(net, species[0], frac[0], lattice[0], time[0], context[0], mix)
    torch.testing.assert_close(out.coordinates[0], coordinates)
    torch.testing.assert_close(out.cell[0], cell)
    torch.testing.assert_close(out.species[0], logits)


@torch.no_grad()
def test_crystals_without_neighbours_are_answered():
    net, (species, frac, _, time, mask) = network(), batch((1, 2))
    out = net(species, frac, torch.stack([50 * torch.eye(3), 60 * torch.eye(3)]).double(), time, mask)
    assert all(value.isfinite().all() for value in out)
    assert not out.coordinates[0].any()
    assert not out.cell[0].any()


@pytest.mark.slow
def test_the_paper_size_counts_the_parameters_of_the_public_base_model():
    net = GemNet(GemNetConfig())
    count = sum(parameter.numel() for parameter in net.parameters())
    energy_heads = 5 * (16 * 512 + 512 * 512 + 3 * 2 * 512 * 512 + 512)  # never read by the score network
    assert count + energy_heads == 44_562_021
