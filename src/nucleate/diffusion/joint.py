"""Joint diffusion of species, coordinates and cell under one clock, and the walk back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from nucleate.diffusion.langevin import FixedSize, SignalToNoise
from nucleate.diffusion.multistep import Multistep
from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.diffusion.species import SpeciesProcess
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess


class State(NamedTuple):
    """A noisy batch.

    Attributes:
        species: In the form of its process, shape (B, N, ...).
        frac: Fractional coordinates, shape (B, N, 3).
        cell: The cell as a vector, shape (B, F).
        mask: True on real sites, shape (B, N).
    """

    species: Tensor
    frac: Tensor
    cell: Tensor
    mask: Tensor


class Answer(NamedTuple):
    """What a denoiser says of a state: one answer for each field, in the form its process asks for."""

    species: Tensor
    frac: Tensor
    cell: Tensor


class Denoiser(Protocol):
    """Anything that answers for all fields at once; guidance wraps one and is one."""

    def __call__(self, state: State, t: Tensor) -> Answer:
        """Answer for a batch at times t (B,)."""


@dataclass(frozen=True)
class JointProcess:
    """One process for each field."""

    species: SpeciesProcess
    frac: WrappedNormalProcess
    cell: VariancePreservingProcess

    def corrupt(
        self, numbers: Tensor, frac: Tensor, cell: Tensor, mask: Tensor, t: Tensor, t_species: Tensor, noise: Noise
    ) -> tuple[State, Answer]:
        """Noisy state and the targets of a denoiser; species may run on a clock of their own."""
        species, species_target = self.species.corrupt(numbers, t_species, noise)
        noisy_frac, frac_target = self.frac.corrupt(frac, t, mask, noise)
        noisy_cell, cell_target = self.cell.corrupt(cell, t, noise)
        return State(species, noisy_frac, noisy_cell, mask), Answer(species_target, frac_target, cell_target)

    def losses(self, answer: Answer, target: Answer, state: State, t_species: Tensor) -> Answer:
        """Loss of each field for each crystal, each of shape (B,)."""
        return Answer(
            self.species.loss(answer.species, target.species, state.species, state.mask, t_species),
            self.frac.loss(answer.frac, target.frac, state.mask),
            self.cell.loss(answer.cell, target.cell),
        )


@dataclass(frozen=True)
class Sampler:
    """A walk from noise to crystals.

    Attributes:
        steps: Number of predictor steps.
        corrector_steps: Langevin steps before each predictor step (the published order).
        corrector: Their kind: "fixed" moves coordinates alone by a size that grows with the noise (DiffCSP), "snr"
            coordinates and cell by sizes that keep a signal-to-noise ratio (MatterGen).
        corrector_size: Fixed size at the smallest noise.
        corrector_below: Correct only at times below this.
        snr: Signal-to-noise ratios of coordinates and cell.
        batch_means: Those ratios are the batch's, not each crystal's.
        churn: Share of the ancestral noise, 0 (probability flow) to 1 (published).
        order: 1, or 2 for steps that use the answer before as well (:mod:`nucleate.diffusion.multistep`).
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

    def walk(
        self,
        process: JointProcess,
        denoiser: Denoiser,
        start: State,
        pinned: Tensor,
        allowed: Tensor,
        noise: KeyedNoise,
        progress: Callable[[int], None] | None = None,
    ) -> State:
        """Carry a prior state to t = 0.

        Arguments:
            process: The processes of the fields.
            denoiser: Answers at any time.
            start: State at t = 1.
            pinned: Sites whose species are given and stay, shape (B, N).
            allowed: Species that may be drawn, shape (B, n_species).
            noise: Random numbers of these crystals.
            progress: Called with the number of steps done.
        """
        grid = torch.linspace(1.0, 0.0, self.steps + 1, device=start.frac.device, dtype=start.frac.dtype)
        grid = grid**self.spacing
        state, size = start, len(start.frac)
        multistep = Multistep(process.frac, process.cell) if self.order == 2 else None
        for i in range(self.steps):
            t, s = grid[i].expand(size), grid[i + 1].expand(size)
            if grid[i] <= self.corrector_below:
                for j in range(self.corrector_steps):
                    answer = denoiser(state, t)
                    drawn = noise.at(i * (self.corrector_steps + 1) + j)
                    state = self._corrected(process, state, answer, t, s, drawn)
            answer = denoiser(state, t)
            frac_answer, cell_answer = answer.frac, answer.cell
            if multistep is not None:
                both = (frac_answer, cell_answer)
                frac_answer, cell_answer = multistep.corrected(state.frac, state.cell, both, t, s, state.mask)
            drawn = noise.at(i * (self.corrector_steps + 1) + self.corrector_steps)
            species = process.species.step(
                state.species, answer.species, t, s, state.mask, drawn, allowed, self.temperature
            )
            keep = pinned.reshape(*pinned.shape, *([1] * (species.dim() - 2)))
            state = State(
                torch.where(keep, state.species, species),
                process.frac.step(state.frac, frac_answer, t, s, state.mask, drawn, self.churn),
                process.cell.step(state.cell, cell_answer, t, s, drawn, self.churn),
                state.mask,
            )
            if progress is not None:
                progress(i + 1)
        return state

    def _corrected(
        self, process: JointProcess, state: State, answer: Answer, t: Tensor, s: Tensor, noise: Noise
    ) -> State:
        """The state after a Langevin step at t, before the step to s."""
        if self.corrector == "fixed":
            rule = FixedSize(self.corrector_size)
            return state._replace(frac=process.frac.correct(state.frac, answer.frac, t, state.mask, noise, rule))
        of_frac = SignalToNoise(self.snr[0], 1.0, self.batch_means)
        alpha_bar = process.cell.schedule.alpha_bar
        damping = alpha_bar(t) / torch.where(s > 0, alpha_bar(s), torch.ones_like(s))
        of_cell = SignalToNoise(self.snr[1], damping, self.batch_means, process.cell.entries)
        return state._replace(
            frac=process.frac.correct(state.frac, answer.frac, t, state.mask, noise, of_frac),
            cell=process.cell.correct(state.cell, answer.cell, t, noise, of_cell),
        )
