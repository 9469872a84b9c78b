"""Classifier-free guidance: a denoiser made of a conditional one, with a user's strengths.

Ho & Salimans, Classifier-free diffusion guidance, 2022. For one condition c the prediction is
γ D(x | c) + (1 - γ) D(x) (MatterGen, Eq. B46; logits likewise). Several conditions enter one after the other:
D(x) + Σ_k γ_k (D(x | c_1 .. c_k) - D(x | c_1 .. c_{k-1})).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from nucleate.conditions.labels import Labels
from nucleate.errors import UserError

AnyState = TypeVar("AnyState", bound=Tensor | tuple[Any, ...])
AnyPrediction = TypeVar("AnyPrediction", bound=Tensor | tuple[Any, ...])


@dataclass(frozen=True)
class Guided(Generic[AnyState, AnyPrediction]):
    """A denoiser for one batch of B crystals.

    States and predictions are tensors (B, ...), or named tuples of such tensors.

    Attributes:
        denoiser: Predicts for states, times (B,) and labels.
        labels: Conditioning of the crystals.
        strengths: γ (dimensionless) of each condition, in the order in which they enter.
    """

    denoiser: Callable[[AnyState, Tensor, Labels], AnyPrediction]
    labels: Labels
    strengths: Mapping[str, float]

    def __call__(self, state: AnyState, t: Tensor) -> AnyPrediction:
        """The guided prediction at times t (B,); all calls of the denoiser are one batch."""
        weights = self._weights()
        size = len(t)
        parts = [self.labels.only(names) for names in weights]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined + part
        count = len(parts)
        prediction = self.denoiser(_each(partial(_repeated, count=count), state), t.repeat(count), joined)
        share = torch.tensor(list(weights.values()), device=t.device, dtype=torch.float64)
        return _each(partial(_combined, share=share, size=size), prediction)

    def _weights(self) -> dict[tuple[str, ...], float]:
        """Weight of the prediction for each set of conditions; they sum to 1."""
        weights: dict[tuple[str, ...], float] = {(): 1.0}
        names: tuple[str, ...] = ()
        for name, strength in self.strengths.items():
            longer = (*names, name)
            weights[names] -= strength
            weights[longer] = weights.get(longer, 0.0) + strength
            names = longer
        kept = {key: weight for key, weight in weights.items() if weight != 0.0}
        return kept or {(): 1.0}


AnyBatch = TypeVar("AnyBatch", bound=Tensor | tuple[Any, ...])


def _each(function: Callable[[Tensor], Tensor], batch: AnyBatch) -> AnyBatch:
    """The function of a tensor, or of each tensor of a named tuple."""
    if isinstance(batch, Tensor):
        return function(batch)  # type: ignore[return-value]
    return type(batch)(*(function(value) for value in batch))


def _repeated(value: Tensor, count: int) -> Tensor:
    return value.repeat(count, *([1] * (value.dim() - 1)))


def _combined(value: Tensor, share: Tensor, size: int) -> Tensor:
    """Weighted sum (B, ...) of the predictions (K B, ...) for K sets of conditions."""
    return torch.tensordot(share.to(value.dtype), value.unflatten(0, (len(share), size)), dims=1)


def parse_strengths(texts: Sequence[str]) -> float | Mapping[str, float] | None:
    """Strengths γ (dimensionless): one number for every condition, or ``NAME=γ`` for some; None without texts.

    Raises:
        UserError: A text is neither, or a number for all stands beside others.
    """
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return _number(texts[0], texts[0])
    strengths = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or name in strengths:
            raise UserError("--guidance", repr(text), "one number for all conditions, or NAME=NUMBER once for each")
        strengths[name] = _number(value, text)
    return strengths


def _number(value: str, text: str) -> float:
    try:
        strength = float(value)
    except ValueError:
        raise UserError("--guidance", repr(text), "a number, or NAME=NUMBER") from None
    if not 0 <= strength < float("inf"):
        raise UserError("--guidance", repr(text), "a strength of 0 or more")
    return strength
