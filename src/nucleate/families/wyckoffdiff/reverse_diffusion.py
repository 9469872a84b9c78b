"""Reverse diffusion of all positions together, step by step in time: WyckoffDiff's own sampler.

From t to s < t each variable is drawn from p(x_s | x_t) ∝ Σ_x0 q(x_s, x_t | x_0) p(x_0 | x_t) (Austin et al.,
Structured denoising diffusion models in discrete state-spaces, 2021, Eq. 4), with p(x_0 | x_t) the network's softmax.
"""

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
def reverse_diffusion(
    processes: tuple[CategoricalProcess, CategoricalProcess],
    settings: SamplerConfig,
    limits: Limits,
    group: Tensor,
    denoiser: Guided[Occupations, Logits],
    noise: KeyedNoise,
    stays: bool,
) -> Occupations:
    """Occupations of B crystals of space groups ``group``, drawn backwards from t = 1 in equal steps.

    Arguments:
        processes: Of fixed positions and of counts on free ones.
        settings: Steps and temperature.
        limits: What may be drawn.
        group: Space groups, shape (B,).
        denoiser: Predicts for a state and times (B,).
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
        new = Occupations(  # Eq. 4
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
