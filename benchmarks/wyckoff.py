"""One denoising step of WyckoffDiff for 16 crystals: this package's, and a plain formulation of the published one.

The plain formulation is what the equations say: every pair of a padded batch through the scoring network, transitions
as K x K matrices, posteriors as a table over x_s and x_0. Both have the published sizes (3 layers of 256, counts up to
54 of 100 elements) and the same weights, and answer for the same states; one thread, processor time.

    python benchmarks/wyckoff.py [--crystals 16] [--rounds 5] [--seed 0] [--model wyckoffdiff-mp]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nucleate.diffusion.categorical import CategoricalProcess, drawn, uniform_prior
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.networks.wyckoff_gnn import WyckoffGNN, WyckoffGNNConfig
from nucleate.representations.wyckoff import Occupations, Orbits

# Space groups of 2,000 structures of the Materials Project (CC BY 4.0), the commonest and their counts.
COMMON = {62: 178, 225: 143, 12: 124, 139: 103, 194: 102, 14: 95, 166: 93, 221: 92, 227: 57, 63: 56, 2: 55, 15: 49,
          123: 47, 216: 46, 164: 45, 140: 44, 71: 40, 129: 39, 65: 37, 191: 36, 148: 34, 136: 28, 47: 6}  # fmt: skip


def published_step(net: WyckoffGNN, process: Sequence[CategoricalProcess], state: Occupations,
                   t: Tensor, s: Tensor) -> list[Tensor]:  # fmt: skip
    """Posteriors of one step with matrices and a padded N x N scoring network."""
    mask = state.n_free >= 0
    h = torch.where((state.n_free == 0)[..., None], net.embed_fixed(state.fixed),
                    net.mix_counts(net.embed_count(state.counts)[..., 0]))  # fmt: skip
    places = torch.arange(mask.shape[1]).expand_as(mask)
    side = (
        net.embed_free(state.n_free.clamp_min(0)) + net.embed_place(places) + net.embed_multiplicity(state.multiplicity)
    )
    side = side + (net.embed_group(state.group) + net.embed_time(t))[:, None]
    layers: list[Any] = list(net.layers)
    for layer in layers:
        z = torch.cat([h, side], -1)
        n = z.shape[1]
        pairs = torch.cat([z[:, :, None].expand(-1, n, n, -1), z[:, None].expand(-1, n, n, -1)], -1)
        joint = torch.cat([layer.receiver.weight, layer.sender.weight], 1)
        score = layer.score(F.linear(pairs, joint, layer.receiver.bias))[..., 0]
        share = torch.softmax(score.masked_fill(~mask[:, None], -torch.inf), -1)
        h = F.silu(h + share @ layer.message(z))
    fixed = torch.softmax(net.head_fixed(h), -1)
    counts = torch.softmax(net.head_counts(h).unflatten(-1, (net.config.n_elements, -1)), -1)
    return [table_posterior(p, x, y, t, s) for p, x, y in zip(process, (fixed, counts), state[1:3], strict=True)]


def table_posterior(process: CategoricalProcess, probabilities: Tensor, noisy: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """Σ over x_0 of p(x_0) q(x_s | x_t, x_0), q as a table (..., x_0, x_s)."""
    size = probabilities.shape[-1]
    late, early = process.alpha_bar(t), process.alpha_bar(s)
    eye, prior = torch.eye(size), process.prior.expand(size, -1)

    def matrix(alpha: Tensor) -> Tensor:
        return alpha[:, None, None] * eye + (1 - alpha[:, None, None]) * prior

    step, first, both = matrix(late / early), matrix(early), matrix(late)
    row = torch.arange(len(t)).reshape(-1, *([1] * (noisy.dim() - 1))).expand_as(noisy)
    towards = step.mT[row, noisy]  # q(x_t | x_s)
    table = towards[..., None, :] * first[row]
    table = table / both.mT[row, noisy][..., None].clamp_min(1e-6)
    return (probabilities[..., None] * table).sum(-2)


def states(count: int, generator: torch.Generator, width: int) -> list[Occupations]:
    """Noisy states of ``count`` crystals, groups as they are common."""
    groups = torch.tensor(list(COMMON))
    weights = torch.tensor(list(COMMON.values()), dtype=torch.float32)
    found = []
    for _ in range(8):
        group = groups[torch.multinomial(weights, count, replacement=True, generator=generator)]
        none = torch.zeros(count, 1, dtype=torch.int64)
        empty = Orbits(group, none, none).occupations(100)
        counts = torch.randint(0, width, empty.counts.shape, generator=generator)
        fixed = torch.randint(0, 101, empty.fixed.shape, generator=generator)
        free = empty.n_free > 0
        found.append(
            Occupations(group, torch.where(empty.n_free == 0, fixed, 0), torch.where(free[..., None], counts, 0))
        )
    return found


def timed(call: Callable[[Occupations], object], batches: list[Occupations], rounds: int) -> float:
    """Median processor seconds of a call over rounds of the batches."""
    seconds = []
    call(batches[0])
    for _ in range(rounds):
        for batch in batches:
            begun = time.process_time()
            call(batch)
            seconds.append(time.process_time() - begun)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crystals", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="folder or name of a model whose own sampler is timed as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(options.seed)
    torch.manual_seed(options.seed)
    net = WyckoffGNN(WyckoffGNNConfig())
    process = tuple(CategoricalProcess(uniform_prior(k), "cos", name) for k, name in ((101, "fixed"), (55, "counts")))
    batches = states(options.crystals, generator, 55)
    t, s = torch.full((options.crystals,), 0.5), torch.full((options.crystals,), 0.499)
    noise = GeneratorNoise(generator)

    @torch.inference_mode()
    def plain(state: Occupations) -> list[Tensor]:
        found = published_step(net, process, state, t, s)
        return [drawn(p, noise.uniform("", tuple(p.shape[:-1]))) for p in found]

    @torch.inference_mode()
    def ours(state: Occupations) -> list[Tensor]:
        answer = net(state.fixed, state.counts, state.group, state.multiplicity, state.n_free, t)
        return [
            p.step(x, torch.softmax(y, -1), t, s, noise) for p, x, y in zip(process, state[1:], answer, strict=True)
        ]

    with torch.inference_mode():
        answer = net(*batches[0][1:], batches[0].group, batches[0].multiplicity, batches[0].n_free, t)
        close = [
            (mine.posterior(torch.softmax(logits, -1), x, t, s), table, where)
            for mine, logits, x, table, where in zip(
                process, answer, batches[0][1:], published_step(net, process, batches[0], t, s),
                (batches[0].n_free == 0, batches[0].n_free > 0), strict=True,
            )
        ]  # fmt: skip
        apart = max(float((a - b / b.sum(-1, keepdim=True))[where].abs().max()) for a, b, where in close)
    seconds = {"plain formulation": timed(plain, batches, options.rounds), "ours": timed(ours, batches, options.rounds)}
    print(
        f"{options.crystals} crystals, one thread, published sizes; largest difference of probabilities {apart:.1e}\n"
    )
    print("| step | s | ratio |\n|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.3f} | {seconds['plain formulation'] / value:.1f} |")
    if options.model:
        walk(options.model, options.crystals)


def walk(name: str, crystals: int) -> None:
    """Processor seconds of protostructures by a model's own sampler."""
    from nucleate.families.registry import load_generator
    from nucleate.families.wyckoffdiff import SPEC
    from nucleate.families.wyckoffdiff.model import WyckoffDiff

    folder = Path(name)
    model = SPEC.load(folder) if folder.is_dir() else load_generator(name)
    if not isinstance(model, WyckoffDiff):
        raise SystemExit(f"{name} is no model of this family")
    for count in (1, crystals, 64):
        begun = time.process_time()
        model.sample_protostructures(count, seed=1)
        print(f"\n{count} protostructures at once: {(time.process_time() - begun) / count:.3f} s each")


if __name__ == "__main__":
    main()
