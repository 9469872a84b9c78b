"""Classifier-free guidance (Ho & Salimans, 2022): a denoiser made of a conditional one, with a user's strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from nucleate.conditions.labels import Labels
from nucleate.errors import UserError

AnyState = TypeVar("AnyState", bound=tuple[Any, ...])
AnyAnswer = TypeVar("AnyAnswer", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Guided(Generic[AnyState, AnyAnswer]):
    """A denoiser for one batch of crystals; states and answers are named tuples of tensors, crystal by crystal.

    Attributes:
        denoiser: Answers for given labels.
        labels: What is asked of the crystals.
        strengths: γ of each condition asked, in the order in which they enter.
    """

    denoiser: Callable[[AnyState, Tensor, Labels], AnyAnswer]
    labels: Labels
    strengths: Mapping[str, float]

    def __call__(self, state: AnyState, t: Tensor) -> AnyAnswer:
        """The guided answer; all calls of the denoiser are one batch."""
        weights = self._weights()
        size = len(t)
        parts = [self.labels.only(names) for names in weights]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined + part
        count = len(parts)
        repeated = type(state)(*(_repeated(value, count) for value in state))
        answer = self.denoiser(repeated, t.repeat(count), joined)
        share = torch.tensor(list(weights.values()), device=t.device, dtype=torch.float64)
        return type(answer)(*(_combined(value, share, size) for value in answer))

    def _weights(self) -> dict[tuple[str, ...], float]:
        """Weight of the answer for each set of conditions; they sum to 1."""
        weights: dict[tuple[str, ...], float] = {(): 1.0}
        names: tuple[str, ...] = ()
        for name, strength in self.strengths.items():
            longer = (*names, name)
            weights[names] -= strength
            weights[longer] = weights.get(longer, 0.0) + strength
            names = longer
        kept = {key: weight for key, weight in weights.items() if weight != 0.0}
        return kept or {(): 1.0}


def _repeated(value: Tensor, count: int) -> Tensor:
    return value.repeat(count, *([1] * (value.dim() - 1)))


def _combined(value: Tensor, share: Tensor, size: int) -> Tensor:
    """Weighted sum of the answers (K B, ...) for K sets of conditions."""
    return torch.tensordot(share.to(value.dtype), value.unflatten(0, (len(share), size)), dims=1)


def parse_strengths(texts: Sequence[str]) -> float | Mapping[str, float] | None:
    """γ from texts: one number for every condition, or ``NAME=γ`` for some; None where nothing is said.

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
