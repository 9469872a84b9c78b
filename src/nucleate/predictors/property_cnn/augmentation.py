"""Other descriptions of the same crystals, for a network that is not invariant by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.diffusion.noise import Noise
from nucleate.representations.site_order import shuffled

_AXES = torch.tensor(list(permutations(range(3))))


def redescribed(crystals: Crystals, noise: Noise, share: float) -> Crystals:
    """A share of the crystals with elements and sites in random order, axes exchanged and the origin moved.

    Exchanging two axes also mirrors a crystal where its cell was right-handed; no scalar property tells the two apart.
    """
    size = len(crystals)
    chosen = noise.uniform("augment", (size,)) < share
    mixed = shuffled(crystals, noise)
    pick = (noise.uniform("augment/axes", (size,)) * len(_AXES)).long().clamp_max(len(_AXES) - 1)
    axes = _AXES.to(pick.device)[pick]
    shift = noise.uniform("augment/origin", (size, 3)).to(crystals.frac.dtype)
    frac = wrap(mixed.frac + shift[:, None]).gather(2, axes[:, None].expand_as(mixed.frac))
    frac = torch.where(mixed.mask[..., None], frac, 0.0)
    lattice = mixed.lattice.gather(1, axes[:, :, None].expand_as(mixed.lattice))

    def either(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *([1] * (new.dim() - 1))), new, old)

    return replace(
        crystals,
        numbers=either(mixed.numbers, crystals.numbers),
        frac=either(frac, crystals.frac),
        lattice=either(lattice, crystals.lattice),
    )
