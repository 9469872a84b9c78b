"""Second-order steps from the predictions at two times: the multistep solver DPM-Solver++(2M) for coordinates and cell.

In λ = log(signal/noise) the clean value x_0 behind a prediction changes smoothly, so the last two are extrapolated to
the middle of the coming step (Lu et al., DPM-Solver++, 2022, Algorithm 2):

    D_i = (1 + 1/(2 r_i)) x_0(t_i) - 1/(2 r_i) x_0(t_{i-1}),   r_i = (λ_i - λ_{i-1}) / (λ_{i+1} - λ_i)

A first-order step with D_i in the place of x_0 is of second order. It costs no further call of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.diffusion.joint import Prediction, State
from nucleate.diffusion.schedule import expand_to
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess


@dataclass
class DpmSolver2M:
    """Extrapolation of the predictions of one sampling by those of the step before.

    Attributes:
        frac: Process of the coordinates.
        cell: Process of the cells.
    """

    frac: WrappedNormalProcess
    cell: VariancePreservingProcess
    _before: tuple[Tensor, Tensor, Tensor] | None = None

    def extrapolated(self, state: State, prediction: Prediction, t: Tensor, s: Tensor) -> Prediction:
        """The prediction, with coordinates and cell that make a first-order step from t to s one of second order.

        Arguments:
            state: Noisy crystals at t.
            prediction: The denoiser's for them.
            t: Where the step begins, shape (B,).
            s: Where it ends, shape (B,).
        """
        sigma = self.frac.sigma(t, state.mask, state.frac)
        place = state.frac + sigma**2 * self.frac.score(prediction.frac, t, state.mask)
        clean = self.cell.clean(state.cell, prediction.cell, t)
        before, self._before = self._before, (t, place, clean)
        # The last step goes to the clean value itself, where λ is infinite and an extrapolation means nothing.
        if before is None or bool((s <= 0).any()):
            return prediction
        earlier, place_before, clean_before = before
        sigmas = [self.frac.schedule.sigma(time).log().neg() for time in (earlier, t, s)]
        ratios = [self._log_ratio(time) for time in (earlier, t, s)]
        moved = place - place_before
        place = place + expand_to(_share(*sigmas), state.frac) * (moved - moved.round())  # D_i, to the nearest image
        clean = clean + expand_to(_share(*ratios), state.cell) * (clean - clean_before)  # D_i
        score = (place - state.frac) / sigma**2
        return prediction._replace(
            frac=score / self.frac.score_unit(sigma), cell=self.cell.prediction_for(clean, state.cell, t)
        )

    def _log_ratio(self, t: Tensor) -> Tensor:
        """λ of the cells at times t (B,), shape (B,)."""
        alpha_bar = self.cell.schedule.alpha_bar(t)
        return 0.5 * (alpha_bar / (1 - alpha_bar)).log()


def _share(earlier: Tensor, now: Tensor, later: Tensor) -> Tensor:
    """1/(2 r_i) from three λ (B,), shape (B,); at most 1, where the last step was tiny."""
    return (0.5 * (later - now) / (now - earlier).clamp_min(torch.finfo(now.dtype).tiny)).clamp_max(1.0)
