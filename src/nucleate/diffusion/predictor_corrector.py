"""Predictor-corrector sampling of joint diffusion: Langevin corrections at a time, then a step to the next.

Song et al., Score-based generative modeling through stochastic differential equations, 2021, Algorithm 1; for crystals
DiffCSP (Jiao et al., 2023), Algorithm 1, and MatterGen, whose public codes correct before they predict. One step of
the predictor from t to s < t draws each field from its posterior given the denoiser's prediction:

    species      p(x_s | x_t) ∝ Σ_x0 q(x_s, x_t | x_0) p(x_0 | x_t)         Austin et al., 2021, Eq. 4
    coordinates  x_s = x_t + (σ_t² - σ_s²) ∇log p + σ_s √(1 - σ_s²/σ_t²) z    DiffCSP, Algorithm 1
    cell         x_s = √ᾱ_s x_0 + √(1 - ᾱ_s - η²ς²) ε + η ς z                 Song et al., DDIM, 2021, Eq. 12

and one of the corrector is x + δ ∇log p + √(2δ) z at constant t (:mod:`nucleate.diffusion.langevin`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nucleate.diffusion.dpm_solver import DpmSolver2M
from nucleate.diffusion.joint import Denoiser, JointProcess, Prediction, State
from nucleate.diffusion.langevin import FixedSize, SignalToNoise
from nucleate.diffusion.noise import KeyedNoise
from nucleate.diffusion.schedule import Step


@dataclass(frozen=True)
class PredictorCorrector:
    """Sampler from noise to crystals.

    Attributes:
        steps: Number of predictor steps.
        corrector_steps: Langevin steps before each predictor step (the published order).
        corrector: Their kind: "fixed" moves coordinates alone by a size that grows with the noise (DiffCSP), "snr"
            coordinates and cell by sizes that keep a signal-to-noise ratio (MatterGen).
        corrector_size: Fixed size δ at the smallest noise.
        corrector_below: Correct only at times below this.
        snr: Signal-to-noise ratios of coordinates and cell.
        batch_means: Those ratios are the batch's, not each crystal's.
        churn: Share η of the ancestral noise, 0 (probability flow) to 1 (published).
        order: 1, or 2 for predictor steps of second order (:mod:`nucleate.diffusion.dpm_solver`).
        spacing: Times are (1 - i/steps) to this power: above 1 steps grow smaller towards the crystal.
        temperature: Of the species' distribution.
    """

    steps: int = 1000
    corrector_steps: int = 1
    corrector: Literal["fixed", "snr"] = "fixed"
    corrector_size: float = 5e-6
    corrector_below: float = 1.0
    snr: tuple[float, float] = (0.4, 0.2)
    batch_means: bool = False
    churn: float = 1.0
    order: int = 1
    spacing: float = 1.0
    temperature: float = 1.0

    def sample(
        self,
        process: JointProcess,
        denoiser: Denoiser,
        start: State,
        fixed: Tensor,
        allowed: Tensor,
        noise: KeyedNoise,
        progress: Callable[[int], None] | None = None,
    ) -> State:
        """The state at t = 0.

        Arguments:
            process: The processes of the fields.
            denoiser: Predicts at any time.
            start: State at t = 1.
            fixed: True at sites that keep the species of ``start``, shape (B, N).
            allowed: Species that may be drawn, bool, shape (B, n_species).
            noise: Random numbers of these crystals.
            progress: Called with the number of steps done.
        """
        grid = torch.linspace(1.0, 0.0, self.steps + 1, device=start.frac.device, dtype=start.frac.dtype)
        grid = grid**self.spacing
        state, size = start, len(start.frac)
        solver = DpmSolver2M(process.frac, process.cell) if self.order == 2 else None
        for i in range(self.steps):
            t, s = grid[i].expand(size), grid[i + 1].expand(size)
            if grid[i] <= self.corrector_below:
                for j in range(self.corrector_steps):
                    drawn = noise.at(i * (self.corrector_steps + 1) + j)
                    state = self._corrected(process, state, denoiser(state, t), t, s, drawn)
            prediction = denoiser(state, t)
            if solver is not None:
                prediction = solver.extrapolated(state, prediction, t, s)
            drawn = noise.at(i * (self.corrector_steps + 1) + self.corrector_steps)
            step = Step(t, s, drawn, self.churn, self.temperature)
            species = process.species.step(state.species, prediction.species, step, state.mask, allowed)
            keep = fixed.reshape(*fixed.shape, *([1] * (species.dim() - 2)))
            state = State(
                torch.where(keep, state.species, species),
                process.frac.step(state.frac, prediction.frac, step, state.mask),
                process.cell.step(state.cell, prediction.cell, step),
                state.mask,
            )
            if progress is not None:
                progress(i + 1)
        return state

    def _corrected(
        self, process: JointProcess, state: State, prediction: Prediction, t: Tensor, s: Tensor, noise: KeyedNoise
    ) -> State:
        """The state after a Langevin step at t, before the step to s, both of shape (B,)."""
        frac, cell = process.frac, process.cell
        if self.corrector == "fixed":
            rule = FixedSize(self.corrector_size)
            return state._replace(frac=frac.correct(state.frac, prediction.frac, t, state.mask, noise, rule))
        of_frac = SignalToNoise(self.snr[0], 1.0, self.batch_means)
        # The cell's steps are damped by ᾱ_t/ᾱ_s, as MatterGen's public code has it; there is no damping of the last.
        alpha_bar = cell.schedule.alpha_bar
        damping = alpha_bar(t) / torch.where(s > 0, alpha_bar(s), torch.ones_like(s))
        of_cell = SignalToNoise(self.snr[1], damping, self.batch_means, cell.entries)
        return state._replace(
            frac=frac.correct(state.frac, prediction.frac, t, state.mask, noise, of_frac),
            cell=cell.correct(state.cell, prediction.cell, t, noise, of_cell),
        )
