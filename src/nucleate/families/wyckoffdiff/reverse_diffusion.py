"""All positions walked back together, step by step in time (WyckoffDiff's own sampler)."""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.diffusion.categorical import CategoricalProcess
from nucleate.diffusion.noise import KeyedNoise
from nucleate.families.wyckoffdiff.config import N_ELEMENTS, SamplerConfig
from nucleate.families.wyckoffdiff.constraints import Limits
from nucleate.guidance.classifier_free import Guided
from nucleate.networks.wyckoff_gnn import Logits
from nucleate.representations.wyckoff import Occupations, Orbits


@torch.inference_mode()
def walk_by_time(
    processes: tuple[CategoricalProcess, CategoricalProcess],
    settings: SamplerConfig,
    limits: Limits,
    group: Tensor,
    denoiser: Guided[Occupations, Logits],
    noise: KeyedNoise,
    stays: bool,
) -> Occupations:
    """Occupations of space groups ``group`` (B,), walked back from t = 1 in equal steps.

    Arguments:
        processes: Of fixed positions and of counts on free ones.
        settings: Steps and temperature.
        limits: What may be drawn.
        group: Space groups, shape (B,).
        denoiser: Answers for a state and times (B,).
        noise: Of these crystals.
        stays: What is placed stays, so that it has to fit at once.
    """
    none = Orbits(group, torch.zeros(len(group), 1).long(), torch.zeros(len(group), 1).long())
    empty = none.occupations(N_ELEMENTS)
    tied, free = empty.n_free == 0, (empty.n_free > 0)[..., None]
    of_fixed, of_counts = processes
    state = Occupations(
        group,
        torch.where(tied, of_fixed.draw_prior(noise, tuple(empty.fixed.shape)), 0),
        torch.where(free, of_counts.draw_prior(noise, tuple(empty.counts.shape)), 0),
    )
    grid = torch.linspace(1.0, 0.0, settings.steps + 1)
    for i in range(settings.steps):
        t, s = grid[i].expand(len(group)), grid[i + 1].expand(len(group))
        logits = limits.masked(denoiser(state, t), state)
        fixed, counts = (torch.softmax(part / settings.temperature, -1) for part in logits)
        drawn = noise.at(i)
        new = Occupations(
            group,
            torch.where(tied, of_fixed.step(state.fixed, fixed, t, s, drawn), 0),
            torch.where(free, of_counts.step(state.counts, counts, t, s, drawn), 0),
        )
        if stays:
            order = drawn.uniform("order", (*state.fixed.shape, N_ELEMENTS + 1))
            new = limits.kept(state, new, order)
        state = new
    order = noise.uniform("order", (*state.fixed.shape, N_ELEMENTS + 1))
    state = limits.kept(empty, state, order)
    return limits.occupied(state, fixed, counts, noise.uniform("rescue", (len(group),)))
