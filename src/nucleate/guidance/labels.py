"""Labels of a batch, any of which may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.diffusion.noise import Noise


@dataclass(frozen=True)
class Labels:
    """What is known, or asked, of B crystals.

    Attributes:
        values: Labels by the name of their condition, each of shape (B,) or (B, size).
        given: For the same names, which of them count, bool, shape (B,).
    """

    values: Mapping[str, Tensor]
    given: Mapping[str, Tensor]

    def to(self, device: torch.device) -> Labels:
        """The same on a device."""
        values, given = ({name: value.to(device) for name, value in part.items()} for part in (self.values, self.given))
        return Labels(values, given)

    def only(self, names: Iterable[str]) -> Labels:
        """The same with every other condition missing."""
        kept = set(names)
        given = {name: there if name in kept else torch.zeros_like(there) for name, there in self.given.items()}
        return Labels(self.values, given)

    def dropped(self, noise: Noise, each: float, everything: float) -> Labels:
        """With labels taken away by chance, crystal by crystal, so that a model learns to do without.

        Arguments:
            noise: Random numbers of the batch.
            each: Chance of a condition to go, independently of the others.
            everything: Chance that all go together.
        """
        if not self.given:
            return self
        size = len(next(iter(self.given.values())))
        left = noise.uniform("labels/everything", (size,)) >= everything
        given = {
            name: there & left & (noise.uniform(f"labels/{name}", (size,)) >= each)
            for name, there in self.given.items()
        }
        return Labels(self.values, given)

    def __add__(self, other: Labels) -> Labels:
        """The crystals of both, one after the other."""
        return Labels(
            {name: torch.cat([value, other.values[name]]) for name, value in self.values.items()},
            {name: torch.cat([there, other.given[name]]) for name, there in self.given.items()},
        )
