"""Second-order steps from the answers of two times: the multistep solver DPM-Solver++(2M) for every field.

In λ = log(signal/noise) the clean value behind an answer changes smoothly, so the last two are extrapolated to the
middle of the coming step (Lu et al., DPM-Solver++, 2022, Algorithm 2). It costs no further call of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.diffusion.schedule import expand_to
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess


@dataclass
class Multistep:
    """Answers of one walk, corrected by those of the step before.

    Attributes:
        frac: Process of the coordinates.
        cell: Process of the cells.
    """

    frac: WrappedNormalProcess
    cell: VariancePreservingProcess
    _before: tuple[Tensor, Tensor, Tensor] | None = None

    def corrected(
        self, frac: Tensor, cell: Tensor, answers: tuple[Tensor, Tensor], t: Tensor, s: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Answers for coordinates and cell that make a first-order step from t to s one of second order.

        Arguments:
            frac: Noisy coordinates at t, shape (B, N, 3).
            cell: Noisy cells at t, shape (B, F).
            answers: The network's answers for both.
            t: Where the step begins, shape (B,).
            s: Where it ends, shape (B,).
            mask: True on real sites, shape (B, N).
        """
        sigma = self.frac.sigma(t, mask, frac)
        place = frac + sigma**2 * self.frac.score(answers[0], t, mask)
        clean = self.cell.clean(cell, answers[1], t)
        before, self._before = self._before, (t, place, clean)
        # The last step goes to the clean value itself, where λ is infinite and an extrapolation means nothing.
        if before is None or bool((s <= 0).any()):
            return answers
        earlier, place_before, clean_before = before
        sigmas = [self.frac.schedule.sigma(time).log().neg() for time in (earlier, t, s)]
        ratios = [self._log_ratio(time) for time in (earlier, t, s)]
        moved = place - place_before
        place = place + expand_to(_share(*sigmas), frac) * (moved - moved.round())
        clean = clean + expand_to(_share(*ratios), cell) * (clean - clean_before)
        score = (place - frac) / sigma**2
        return score / self.frac.score_unit(sigma), self.cell.answer_for(clean, cell, t)

    def _log_ratio(self, t: Tensor) -> Tensor:
        alpha_bar = self.cell.schedule.alpha_bar(t)
        return 0.5 * (alpha_bar / (1 - alpha_bar)).log()


def _share(earlier: Tensor, now: Tensor, later: Tensor) -> Tensor:
    """Half the coming step in λ over the last one; at most 1, where the last step was tiny."""
    return (0.5 * (later - now) / (now - earlier).clamp_min(torch.finfo(now.dtype).tiny)).clamp_max(1.0)
