"""CSPNet at the paper's size against the plain formulation: same weights, same outputs, one thread.

The plain network joins [h_i, h_j, L Lᵀ, ψ(f_j - f_i)] for each of the n² pairs and sends it through one linear
layer, as in the paper and its public code. Run: python benchmarks/cspnet.py [--rounds N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.networks.cspnet import CSPNet, CSPNetConfig, PairLayer, Prediction

CRYSTALS, ATOMS = 16, 10


class PlainLayer(nn.Module):
    """A message-passing layer whose pair MLP sees everything joined."""

    def __init__(self, layer: PairLayer) -> None:
        super().__init__()
        parts = [layer.sender, layer.receiver, layer.cell, layer.odd, layer.even]
        self.norm, self.message, self.update = layer.norm, layer.message, layer.update
        self.first = nn.Linear(sum(part.in_features for part in parts), layer.sender.out_features)
        self.first.weight.data = torch.cat([part.weight.data for part in parts], 1)
        self.first.bias.data = layer.sender.bias.data

    def forward(self, h: Tensor, cell: Tensor, pair: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Update site vectors (S, H) of all crystals from their edges (E,)."""
        x = self.norm(h)
        messages = torch.cat([x[first], x[second], cell, pair], 1)
        messages = F.silu(self.message(F.silu(self.first(messages))))
        total = torch.zeros_like(x).index_add_(0, first, messages)
        mean = total / torch.bincount(first, minlength=len(x))[:, None]
        return h + self.update(torch.cat([x, mean], 1))


class PlainCSPNet(nn.Module):
    """The network on lists of sites and edges."""

    def __init__(self, network: CSPNet) -> None:
        super().__init__()
        self.network = network
        self.layers = nn.ModuleList(PlainLayer(layer) for layer in network.layers)

    def forward(
        self,
        species: Tensor,
        frac: Tensor,
        cell_features: Tensor,
        lattice: Tensor,  # noqa: ARG002
        time: Tensor,
        mask: Tensor,  # noqa: ARG002
    ) -> Prediction:
        """As :meth:`CSPNet.forward`, for crystals of one size."""
        net, (b, n, _) = self.network, frac.shape
        crystal, i, j = torch.cartesian_prod(torch.arange(b), torch.arange(n), torch.arange(n)).unbind(1)
        sites = frac.flatten(0, 1)
        first, second = crystal * n + i, crystal * n + j
        k = torch.arange(net.config.frequencies)
        phase = (2 * torch.pi * torch.remainder(sites[second] - sites[first], 1)[..., None] * k).flatten(1)
        pair = torch.cat([phase.sin(), phase.cos()], 1)
        h = net.embed_species(species.flatten(0, 1))
        h = net.mix(torch.cat([h, net.embed_time(time).repeat_interleave(n, 0)], 1))
        for layer in self.layers:
            h = layer(h, cell_features[crystal], pair, first, second)
        h = net.norm(h)
        pooled = h.unflatten(0, (b, n)).mean(1)
        return Prediction(net.to_coordinates(h).unflatten(0, (b, n)), net.to_cell(pooled),
                          net.to_species(h).unflatten(0, (b, n)))  # fmt: skip


def inputs() -> dict[str, Tensor]:
    """Noisy crystals of one size."""
    generator = torch.Generator().manual_seed(0)
    lattice = 6 * torch.eye(3) + torch.randn(CRYSTALS, 3, 3, generator=generator)
    return {
        "species": torch.randn(CRYSTALS, ATOMS, 100, generator=generator),
        "frac": torch.rand(CRYSTALS, ATOMS, 3, generator=generator),
        "cell_features": (lattice @ lattice.mT).flatten(1),
        "lattice": lattice,
        "time": torch.full((CRYSTALS,), 500.0),
        "mask": torch.ones(CRYSTALS, ATOMS, dtype=torch.bool),
    }


def deviation(found: Prediction, expected: Prediction) -> float:
    """Largest difference, relative to the largest output of each field."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True))


def timed(calls: dict[str, Callable[[], Prediction]], rounds: int) -> dict[str, float]:
    """Median seconds of processor time; the calls take turns, so that all see the machine in the same state."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn:  # the first turn warms up
                seconds[name].append(time.process_time() - start)
    return {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}


@torch.inference_mode()
def main() -> None:
    """Check the outputs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = CSPNet(CSPNetConfig()).eval()
    plain, batch = PlainCSPNet(network), inputs()

    def half() -> Prediction:
        with torch.autocast("cpu", torch.bfloat16):
            return network(**batch)

    expected = plain(**batch)
    deviations = {
        "plain": 0.0,
        "split": deviation(network(**batch), expected),
        "split, bf16": deviation(half(), expected),
    }
    assert deviations["split"] < 1e-4, deviations
    seconds = timed({"plain": lambda: plain(**batch), "split": lambda: network(**batch), "split, bf16": half}, rounds)
    parameters = sum(p.numel() for p in network.parameters())
    print(
        f"CSPNet 6 x 512, {parameters:,} parameters; {CRYSTALS} crystals of {ATOMS} atoms; one thread,"
        f" {torch.backends.cpu.get_cpu_capability()}"
    )
    print(f"{'formulation':<14}{'ms':>8}{'ratio':>8}{'largest relative deviation':>28}")
    for name, value in seconds.items():
        print(f"{name:<14}{1000 * value:>8.0f}{seconds['plain'] / value:>8.2f}{deviations[name]:>28.1e}")


if __name__ == "__main__":
    main()
