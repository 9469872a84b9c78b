"""GemNet-dT at the paper's size against the plain formulation: same weights, same graph, same outputs, one thread.

The plain network lists every triplet, joins vectors before a layer, adds up by index and lets autograd keep what it
likes, as the public code does. Each line is a process of its own, so that its peak of memory is its own.
Run: python benchmarks/gemnet.py [--rounds N]; the small configuration: python benchmarks/gemnet.py --small
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from nucleate.networks.gemnet import GemNet, GemNetConfig, _row_cosines
from nucleate.networks.gemnet_graph import Graph, periodic_graph
from nucleate.networks.gemnet_layers import EdgeScore, Residuals, zonal_harmonics

CRYSTALS, ATOMS = 16, 10
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def batch(crystals: int) -> Batch:
    """Random crystals of the density of known ones."""
    generator = torch.Generator().manual_seed(0)
    frac = torch.rand(crystals, ATOMS, 3, generator=generator)
    lattice = (ATOMS / 0.0577) ** (1 / 3) * torch.eye(3) + 0.4 * torch.randn(crystals, 3, 3, generator=generator)
    kinds = torch.randint(0, 100, (crystals, ATOMS), generator=generator)
    time_ = torch.rand(crystals, generator=generator)
    return F.one_hot(kinds, 101).float(), frac, lattice, time_, torch.ones(crystals, ATOMS, dtype=torch.bool)


def act(x: Tensor) -> Tensor:
    return F.silu(x) / 0.6


def stack(x: Tensor, module: Residuals) -> Tensor:
    if module.first is not None:
        x = act(F.linear(x, module.first))
    for one, two in () if module.weights is None else module.weights:
        x = (x + act(F.linear(act(F.linear(x, one)), two))) * 0.5**0.5
    return x


def head(module: EdgeScore, m: Tensor, radial: Tensor) -> Tensor:
    x = stack(m, module.layers)
    if module.linear is not None:
        x = module.linear(x)
    return module.out(x * module.radial(radial))[:, 0] * module.scale.factor


def triplets(graph: Graph) -> tuple[Tensor, Tensor, Tensor, int]:
    """Edges b -> a and c -> a of every triplet, the number of b among those of c -> a, and their most."""
    count = torch.bincount(graph.target, minlength=graph.n_sites)
    start = count.cumsum(0) - count
    each = count[graph.target]
    ca = torch.repeat_interleave(torch.arange(len(each)), each)
    ragged = torch.arange(len(ca)) - torch.repeat_interleave(each.cumsum(0) - each, each)
    ba = start[graph.target[ca]] + ragged
    keep = ba != ca
    ba, ca = ba[keep], ca[keep]
    ragged = torch.arange(len(ca)) - torch.repeat_interleave((each - 1).cumsum(0) - (each - 1), each - 1)
    return ba, ca, ragged, int(each.max()) - 1


def plain(
    net: GemNet, species: Tensor, frac: Tensor, lattice: Tensor, time_: Tensor, mask: Tensor
) -> tuple[Tensor, ...]:
    """The network's answers by lists of edges and triplets."""
    c = net.config
    b, n = mask.shape
    graph = periodic_graph(frac, lattice, mask, c.cutoff, c.neighbours)
    ba, ca, ragged, most = triplets(graph)
    basis = net.basis(graph.distance)
    cosine = (graph.direction[ca] * graph.direction[ba]).sum(-1).clamp(-1, 1)
    harmonics = basis.new_zeros(len(basis), most, c.degrees)
    harmonics[ca, ragged] = zonal_harmonics(cosine[:, None], c.degrees)[..., 0]
    circular = net.radial_circular(basis).unflatten(1, (c.circular, c.degrees))
    r3, rh, rs, rc = (
        layer(basis) for layer in (net.radial_triplet, net.radial_site, net.radial_score, net.radial_cell)
    )
    h = net.mix(torch.cat([net.embed_species(species), net.embed_time(time_)[:, None].expand(b, n, -1)], -1)).flatten(
        0, 1
    )
    m = act(F.linear(torch.cat([h[graph.source], h[graph.target], basis], -1), net.embed_edge.weight))
    m = net.embed_angles(torch.cat([m, _row_cosines(graph, lattice).to(m.dtype)], -1))
    along, strain = head(net.coordinate_scores[0], m, rs), head(net.cell_scores[0], m, rc)
    for k, block in enumerate(net.blocks):
        trip = block.triplets
        x = act(F.linear(m, trip.edge.weight)) * trip.radial(r3) * trip.scale_radial.factor
        x = act(F.linear(x, trip.down.weight))[ba]
        padded = x.new_zeros(len(basis), most, c.triplet)
        padded[ca, ragged] = x
        mixed = circular.to(x.dtype) @ (harmonics.mT.to(x.dtype) @ padded)
        weight = trip.bilinear.weight.view(c.bilinear, c.circular, c.triplet).permute(2, 1, 0)
        x = (mixed.permute(2, 0, 1) @ weight).sum(0) * trip.scale_sum.factor
        x3 = (act(F.linear(x, trip.up.weight)) + act(F.linear(x, trip.up_mirror.weight))[graph.reverse]) * 0.5**0.5
        x = stack((act(F.linear(m, block.skip.weight)) + x3) * 0.5**0.5, block.before)
        m = stack((m + x) * 0.5**0.5, block.after)
        product = m * block.site_update.radial(rh)
        told = product.new_zeros(b * n, c.edge).index_add(0, graph.target, product) * block.site_update.scale_sum.factor
        h = (h + stack(told, block.site_update.layers)) * 0.5**0.5
        joined = torch.cat([h[graph.source], h[graph.target], m], -1)
        m = (m + stack(act(F.linear(joined, block.concatenate.weight)), block.concatenated)) * 0.5**0.5
        along = along + head(net.coordinate_scores[k + 1], m, rs)
        strain = strain + head(net.cell_scores[k + 1], m, rc)
    pushed = along[:, None].float() * graph.direction
    coordinates = torch.zeros(b * n, 3).index_add(0, graph.target, pushed).unflatten(0, (b, n)) @ torch.linalg.inv(
        lattice
    )
    dyads = strain[:, None].float() * (graph.direction[:, :, None] * graph.direction[:, None, :]).flatten(1)
    cell = torch.zeros(b, 9).index_add(0, graph.crystal, dyads) / torch.bincount(graph.crystal)[:, None]
    return coordinates, cell.unflatten(1, (3, 3)), net.to_species(h).unflatten(0, (b, n))


def measured(call: Callable[[], object], rounds: int) -> float:
    """Least processor seconds of a call, the first left out."""
    call()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def products(net: GemNet, values: Batch, precision: str) -> float:
    """Processor seconds that the matrix products of one evaluation take."""
    c = net.config
    edges = len(periodic_graph(values[1], values[2], values[4], c.cutoff, c.neighbours).source)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x, w = torch.randn(edges, c.edge, dtype=dtype), torch.randn(c.edge, c.edge, dtype=dtype)
    with torch.inference_mode():
        seconds = measured(lambda: [F.linear(x, w) for _ in range(10)], 5) / 10
        with FlopCounterMode(display=False) as counter:
            net(*values)
    return seconds * counter.get_total_flops() / (2 * edges * c.edge**2)


def one(kind: str, precision: str, what: str, small: bool, rounds: int) -> None:
    """Measure one case and print its line."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = GemNet(GemNetConfig.small() if small else GemNetConfig())
    crystals = 64 if small else CRYSTALS
    values = batch(crystals)
    net.fit_scales(*batch(2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")

    def call() -> None:
        with half, torch.inference_mode(what == "evaluation"):
            out = net(*values)[:3] if kind == "ours" else plain(net, *values)
            loss = sum(value.float().square().mean() for value in out)
        if what == "training":
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    if kind == "ours" and what == "evaluation" and precision == "float32":
        with torch.inference_mode():
            pairs = zip(net(*values)[:3], plain(net, *values), strict=True)
            worst = max(float((x - y).abs().max() / y.abs().max()) for x, y in pairs)
        print(f"largest relative difference of the two formulations {worst:.1e}")
    seconds = measured(call, rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    each = 1e3 * seconds / crystals
    if kind == "ours" and what == "evaluation":
        print(f"products alone {products(net, values, precision):.3f} s")
    print(f"{kind:6s}{precision:9s}{what:11s}{seconds:8.3f} s{each:9.1f} ms a crystal, peak {peak:.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--case", nargs=3)
    arguments = parser.parse_args()
    if arguments.case:
        one(*arguments.case, arguments.small, arguments.rounds)
        return
    net = GemNet(GemNetConfig.small() if arguments.small else GemNetConfig())
    values = batch(CRYSTALS)
    graph = periodic_graph(values[1], values[2], values[4], net.config.cutoff, net.config.neighbours)
    count, edges = sum(p.numel() for p in net.parameters()), len(graph.source) / graph.n_sites
    print(f"{count / 1e6:.2f} M parameters, {edges:.1f} edges a site")
    for what in ("evaluation", "training"):
        for precision in ("float32", "bf16"):
            for kind in ("plain", "ours"):
                case = [sys.executable, __file__, "--case", kind, precision, what, "--rounds", str(arguments.rounds)]
                subprocess.run(case + ["--small"] * arguments.small, check=True)


if __name__ == "__main__":
    main()
