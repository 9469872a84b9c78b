"""A cheap energy of crystals of one protostructure: usual distances, no contacts, and the volume expected.

Sums over pairs run from one site of each orbit, so that the cost follows the orbits, not the atoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.crystal.elements import COVALENT_RADII
from nucleate.crystal.lattice import heights
from nucleate.crystal.periodic import image_offsets, minimum_image
from nucleate.descriptors.element_pairs import pair_rows
from nucleate.descriptors.potential_table import PotentialTable
from nucleate.descriptors.spp import shipped_table
from nucleate.search.atomic_volumes import cell_volume
from nucleate.search.layout import Layout
from nucleate.search.separations import separations

REACH = 6.0
"""Å; proxy potentials count up to here and fade out over the last ``FADE``."""

FADE = 1.5
SKIN = 1.0
"""Å by which pairs are listed farther, since sites move before the next listing."""

CONTACT_STIFFNESS = 60.0
"""kT/Å² of a pair closer than its smallest distance."""

VOLUME_SPREAD = 0.12
"""Deviation of the logarithm of the volume that costs ``VOLUME_WEIGHT`` / 2 kT an atom."""

VOLUME_WEIGHT = 1.0
MOST_IMAGES = 8
PAIRS_AT_ONCE = 3_000_000


@dataclass(frozen=True)
class Pairs:
    """E directed pairs from the sites that stand for orbits.

    Attributes:
        draw: Crystal of each pair, shape (E,).
        first, second: Sites, shape (E,).
        image: Cell of the second site relative to its unwrapped coordinates, shape (E, 3).
    """

    draw: Tensor
    first: Tensor
    second: Tensor
    image: Tensor


class ProxyEnergy:
    """Energy in kT an atom of crystals of one layout, and its gradient.

    The proxy potentials of D. Antypov et al. (see `nucleate.descriptors.spp`) up to 6 Å, springs against contacts
    closer than `nucleate.search.separations`, and a parabola in the logarithm of the volume over the expected one.

    Raises:
        UserError: There is no volume for one of the elements.
    """

    def __init__(self, layout: Layout, table: PotentialTable | None = None) -> None:
        self.layout = layout
        self.table = table or shipped_table()
        numbers = layout.numbers
        counts = {int(z): int((numbers == z).sum()) for z in numbers.unique()}
        self.log_volume = float(torch.tensor(cell_volume(counts, "protostructure")).log())
        smallest = separations(counts)
        self.smallest = torch.tensor(
            [[smallest[min(a, b), max(a, b)] for b in numbers.tolist()] for a in numbers.tolist()],
            dtype=torch.float64,
        )
        radii = torch.tensor(COVALENT_RADII, dtype=torch.float64)[numbers]
        self.radii = radii[:, None] + radii
        self.rows = pair_rows(numbers[:, None], numbers[None, :].expand(len(numbers), -1))
        self.share = torch.zeros(len(numbers), dtype=torch.float64)
        self.share[layout.first] = 0.5 * layout.weight.double() / len(numbers)

    def pairs(self, free: Tensor, strain: Tensor, reach: float = REACH + SKIN) -> Pairs:
        """All pairs up to ``reach`` Å of crystals at free coordinates (D, F) and strains (D, K)."""
        frac, lattice = self.layout.frac(free), self.layout.lattice(strain)
        images = torch.ceil(reach / heights(lattice) + 0.5).clamp(1, MOST_IMAGES).long()
        per_draw = len(self.layout.first) * self.layout.n_sites * (2 * images.amax(0) + 1).prod().item()
        step = max(1, int(PAIRS_AT_ONCE / per_draw))
        parts = [
            self._pairs(frac[at : at + step], lattice[at : at + step], reach, images[at : at + step].amax(0), at)
            for at in range(0, len(frac), step)
        ]
        return Pairs(*(torch.cat(values) for values in zip(*parts, strict=True)))

    def _pairs(
        self, frac: Tensor, lattice: Tensor, reach: float, images: Tensor, offset: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a, b, c = images.tolist()
        offsets = image_offsets((a, b, c))
        first = self.layout.first
        raw = frac[:, None, :, :] - frac[:, first, None, :]
        near = minimum_image(raw)
        vectors = near @ lattice[:, None]
        shifts = offsets.to(frac.dtype) @ lattice
        squared = sum((vectors[..., k, None] + shifts[:, None, None, :, k]).square() for k in range(3))
        close = squared < reach**2
        home = (offsets == 0).all(-1)
        itself = torch.arange(frac.shape[1]) == first[:, None]
        close &= ~(itself[:, :, None] & home)
        draw, orbit, second, image = close.nonzero().unbind(1)
        whole = offsets.to(frac.dtype)[image] + (near - raw)[draw, orbit, second].round()
        return draw + offset, first[orbit], second, whole

    def lengths(self, frac: Tensor, lattice: Tensor, pairs: Pairs) -> Tensor:
        """Distances in Å of listed pairs, shape (E,)."""
        n = frac.shape[1]
        flat = frac.reshape(-1, 3)
        ends = flat.index_select(0, pairs.draw * n + pairs.second) - flat.index_select(0, pairs.draw * n + pairs.first)
        vectors = ((ends + pairs.image)[:, :, None] * lattice.index_select(0, pairs.draw)).sum(1)
        return vectors.square().sum(-1).clamp_min(1e-12).sqrt()

    def energy(self, free: Tensor, strain: Tensor, pairs: Pairs) -> Tensor:
        """Energies in kT an atom, shape (D,); differentiable."""
        lattice = self.layout.lattice(strain)
        length = self.lengths(self.layout.frac(free), lattice, pairs)
        smallest = self.smallest[pairs.first, pairs.second]
        inside = length < REACH
        fade = 0.5 * (1 + torch.cos(torch.pi * ((length - REACH + FADE) / FADE).clamp(0, 1)))
        usual = self.table.energies(self.rows[pairs.first, pairs.second], torch.maximum(length, smallest)) * fade
        contact = 0.5 * CONTACT_STIFFNESS * (smallest - length).clamp_min(0).square()
        values = torch.where(inside, usual, 0.0) + contact
        total = values.new_zeros(len(free)).index_add(0, pairs.draw, values * self.share[pairs.first])
        excess = torch.linalg.det(lattice).abs().log() - self.log_volume
        return total + 0.5 * VOLUME_WEIGHT * (excess / VOLUME_SPREAD).square()

    def gradient(self, free: Tensor, strain: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """Energies (D,) and derivatives in the free coordinates (D, F) and strains (D, K)."""
        with torch.enable_grad():
            u, c = free.detach().requires_grad_(), strain.detach().requires_grad_()
            energy = self.energy(u, c, pairs)
            by_u, by_c = torch.autograd.grad(energy.sum(), (u, c), allow_unused=True)
        return energy.detach(), by_u if by_u is not None else torch.zeros_like(u), by_c
