"""A cheap energy of crystals of one protostructure: usual distances, no contacts, and the volume expected.

Sums over pairs run from one site of each orbit, so that the cost follows the orbits, not the atoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.crystal.elements import COVALENT_RADII
from nucleate.crystal.lattice import face_distances
from nucleate.crystal.periodic import image_offsets, minimum_image
from nucleate.descriptors.element_tables import cell_volume, pair_rows
from nucleate.descriptors.proxy_potentials import PotentialTable
from nucleate.descriptors.spp import shipped_table
from nucleate.search.cell_priors import separations
from nucleate.symmetry.wyckoff_parametrization import Layout

REACH = 6.0
"""Å; proxy potentials count up to here and fade out over the last ``FADE``."""

FADE = 1.5
SKIN = 1.0
"""Å by which pairs are listed farther, since sites move before the next listing."""

CONTACT_STIFFNESS = 60.0
"""kT/Å² of a pair closer than its smallest distance."""

VOLUME_SPREAD = 0.12
"""Deviation of the logarithm of the volume that costs half a kT an atom."""

STEP = 0.02
"""Å between the nodes of the curves that are looked up."""

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
    closer than `nucleate.search.cell_priors`, and a parabola in the logarithm of the volume over the expected one.

    Raises:
        UserError: There is no volume for one of the elements.
    """

    def __init__(self, layout: Layout, table: PotentialTable | None = None) -> None:
        self.layout = layout
        numbers = layout.numbers
        elements = numbers.unique()
        counts = {int(z): int((numbers == z).sum()) for z in elements}
        self.log_volume = float(torch.tensor(cell_volume(counts, "protostructure"), dtype=torch.float64).log())
        radii = torch.tensor(COVALENT_RADII, dtype=torch.float64)[numbers]
        self.radii = radii[:, None] + radii
        place = torch.searchsorted(elements, numbers)
        self._kind = place[:, None] * len(elements) + place
        self._cubics = _cubics(elements, counts, table or shipped_table())
        self._share = torch.zeros(len(numbers), dtype=torch.float64)
        self._share[layout.first] = 0.5 * layout.weight.double() / len(numbers)

    def pairs(self, free: Tensor, strain: Tensor, reach: float = REACH + SKIN) -> Pairs:
        """All pairs up to ``reach`` Å of crystals at free coordinates (D, F) and strains (D, K)."""
        frac, lattice = self.layout.frac(free), self.layout.lattice(strain)
        images = torch.ceil(reach / face_distances(lattice) + 0.5).clamp(1, MOST_IMAGES).long()
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
        x, y, z = ((vectors[..., k, None] + shifts[:, None, None, :, k]).square() for k in range(3))
        close = x.add_(y).add_(z) < reach**2
        home = (offsets == 0).all(-1)
        itself = torch.arange(frac.shape[1]) == first[:, None]
        close &= ~(itself[:, :, None] & home)
        draw, orbit, second, image = close.nonzero().unbind(1)
        whole = offsets.to(frac.dtype)[image] + (near - raw)[draw, orbit, second].round()
        return draw + offset, first[orbit], second, whole

    def closest(self, free: Tensor, strain: Tensor, pairs: Pairs) -> Tensor:
        """Smallest distance over the sum of covalent radii, shape (D,)."""
        _, _, length = self._vectors(self.layout.frac(free), self.layout.lattice(strain), pairs)
        contact = length / self.radii[pairs.first, pairs.second]
        return contact.new_full((len(free),), torch.inf).scatter_reduce(0, pairs.draw, contact, "amin")

    def gradient(self, free: Tensor, strain: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Energies (D,) and their derivatives in free coordinates and strains, shape (D, F + K)."""
        count, n = len(free), self.layout.n_sites
        with torch.enable_grad():
            shape = strain.detach().requires_grad_()
            cells = self.layout.lattice(shape)
        lattice = cells.detach()
        ends, vector, length = self._vectors(self.layout.frac(free), lattice, pairs)
        place = (length / STEP).clamp(max=self._cubics.shape[1] - 1e-6)
        left = place.long()
        t = place - left
        row = self._kind[pairs.first, pairs.second] * self._cubics.shape[1] + left
        c0, c1, c2, c3 = self._cubics.flatten(0, 1).index_select(0, row).unbind(1)
        share = self._share[pairs.first]
        energy = free.new_zeros(count).index_add(0, pairs.draw, share * (c0 + t * (c1 + t * (c2 + t * c3))))
        slope = share * (c1 + t * (2 * c2 + t * (3 * c3))) / STEP
        pull = (slope / length)[:, None] * vector
        by_lattice = lattice.new_zeros(count, 9).index_add(
            0, pairs.draw, (ends[:, :, None] * pull[:, None, :]).flatten(1)
        )
        by_site = pull.new_zeros(count * n, 3).index_add(0, pairs.draw * n + pairs.second, pull)
        by_site = by_site.index_add(0, pairs.draw * n + pairs.first, -pull).reshape(count, n, 3)
        by_free = torch.einsum("dni,nif->df", by_site @ lattice.mT, self.layout.matrix)
        excess = torch.linalg.det(lattice).abs().log() - self.log_volume
        total = energy + 0.5 * (excess / VOLUME_SPREAD).square()
        by_cell = (
            by_lattice.reshape(count, 3, 3) + (excess / VOLUME_SPREAD**2)[:, None, None] * torch.linalg.inv(lattice).mT
        )
        (by_strain,) = torch.autograd.grad(cells, shape, by_cell)
        return total, torch.cat([by_free, by_strain], 1)

    def _vectors(self, frac: Tensor, lattice: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """Listed pairs as fractional vectors (E, 3), in Å (E, 3), and their lengths (E,)."""
        n, flat = frac.shape[1], frac.reshape(-1, 3)
        ends = flat.index_select(0, pairs.draw * n + pairs.second) - flat.index_select(0, pairs.draw * n + pairs.first)
        ends = ends + pairs.image
        cells = lattice.index_select(0, pairs.draw)
        vector = ends[:, 0, None] * cells[:, 0] + ends[:, 1, None] * cells[:, 1] + ends[:, 2, None] * cells[:, 2]
        x, y, z = vector.unbind(1)
        return ends, vector, (x * x + y * y + z * z).clamp_min(1e-12).sqrt()


def _cubics(elements: Tensor, counts: dict[int, int], table: PotentialTable) -> Tensor:
    """Energy of a pair of elements as cubics between nodes from 0 to ``REACH``, zero in the last, (P, G, 4)."""
    first, second = elements.repeat_interleave(len(elements)), elements.repeat(len(elements))
    smallest = separations(counts)
    limit = torch.tensor(
        [smallest[min(a, b), max(a, b)] for a, b in zip(first.tolist(), second.tolist(), strict=True)],
        dtype=torch.float64,
    )[:, None]
    nodes = STEP * torch.arange(round(REACH / STEP) + 2, dtype=torch.float64)
    length = nodes.expand(len(first), -1).clone().requires_grad_()
    with torch.enable_grad():
        fade = 0.5 * (1 + torch.cos(torch.pi * ((length - REACH + FADE) / FADE).clamp(0, 1)))
        rows = pair_rows(first, second)[:, None].expand_as(length)
        # Below the smallest distance springs alone push: the core of the potential is too steep to step on.
        usual = table.energies(rows, torch.maximum(length, limit)) * fade
        value = usual + 0.5 * CONTACT_STIFFNESS * (limit - length).clamp_min(0).square()
        (slope,) = torch.autograd.grad(value.sum(), length)
    value, slope = value.detach(), STEP * slope
    v0, v1, s0, s1 = value[:, :-1], value[:, 1:], slope[:, :-1], slope[:, 1:]
    return torch.stack([v0, s0, 3 * (v1 - v0) - 2 * s0 - s1, 2 * (v0 - v1) + s0 + s1], -1)
