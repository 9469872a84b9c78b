"""Neighbour graphs of batches of periodic crystals, every image counted, without a loop over crystals.

Each site keeps its ``neighbours`` nearest within the cutoff, and an edge stays when both of its ends keep it. Where
the last one to keep and the first one to leave are equally far, the whole shell goes: which of equal
neighbours stays may not hang on the order of sites or on the orientation. So the graph is the same for any
order, translation and rotation, no site has more than ``neighbours`` edges, and every edge has its mirror image.

MatterGen's public code keeps one direction of a directed list and mirrors it: of two sites the later one decides, by
its own ``neighbours`` nearest. That graph hangs on the order of sites and may exceed the limit; ``mirrored`` makes
it, for weights that were trained on it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.crystal.lattice import face_distances
from nucleate.crystal.periodic import image_offsets, minimum_image, reduced_cells

MAX_IMAGES = 5
"""Cells searched in each direction of the reduced cell."""
SHELL = 1e-4
"""Distances that differ by less, relatively, belong to one shell."""
CLOSEST = 1e-2
"""Å; sites closer than this have no direction."""
AT_ONCE = 4_000_000
"""Distances computed in one go, which keeps memory near 100 MB."""


class Graph(NamedTuple):
    """Directed edges of B crystals padded to N sites, sorted by target.

    Attributes:
        source: Site an edge comes from as b N + i, shape (E,).
        target: Site it goes to, shape (E,).
        crystal: Index b, shape (E,).
        direction: Unit vector from source to target, shape (E, 3).
        distance: Length in Å, shape (E,).
        reverse: Where the mirrored edge stands, shape (E,).
        slot: Place of each edge in a table of B N rows of ``width`` places, shape (E,).
        width: Most edges at a site, at least 1.
        n_sites: B N.
    """

    source: Tensor
    target: Tensor
    crystal: Tensor
    direction: Tensor
    distance: Tensor
    reverse: Tensor
    slot: Tensor
    width: int
    n_sites: int

    def table(self, values: Tensor) -> Tensor:
        """Values (E, C) of edges as a table (B N, width, C) of the edges of each site, zero where there is none."""
        shape = (self.n_sites, self.width, values.shape[-1])
        if len(values) == self.n_sites * self.width:
            return values.reshape(shape)
        empty = values.new_zeros(self.n_sites * self.width, values.shape[-1])
        return empty.index_copy(0, self.slot, values).reshape(shape)

    def edges(self, table: Tensor) -> Tensor:
        """The rows (E, ...) of a table (B N, width, ...) that are edges."""
        flat = table.flatten(0, 1)
        return flat if len(flat) == len(self.slot) else flat.index_select(0, self.slot)


@torch.no_grad()
def periodic_graph(
    frac: Tensor, lattice: Tensor, mask: Tensor, cutoff: float, neighbours: int, mirrored: bool = False
) -> Graph:
    """The graph of a batch; cells flatter than the cutoff over five images lose their farthest images.

    Arguments:
        frac: Fractional coordinates, shape (B, N, 3).
        lattice: Cells as rows in Å, shape (B, 3, 3).
        mask: True on real sites, shape (B, N).
        cutoff: In Å.
        neighbours: Most edges at a site, or that the later of two sites keeps.
        mirrored: Make the graph of MatterGen's public code; see the module.
    """
    b, n = mask.shape
    i, j, vector, distance = _candidates(frac, lattice, mask, cutoff)
    if mirrored:
        keep = _kept_by_later(i, j, distance, b * n, neighbours)
    else:
        limit = _reach(torch.cat([i, j]), torch.cat([distance, distance]), b * n, neighbours)
        keep = distance < torch.minimum(limit[i], limit[j]) * (1 - SHELL)
    i, j, vector, distance = i[keep], j[keep], vector[keep], distance[keep]
    half = len(i)
    target, source = torch.cat([i, j]), torch.cat([j, i])
    direction = vector / distance[:, None]
    # Nearest first, so that the order at a site does not hang on the order of images.
    order = torch.argsort(torch.cat([distance, distance]), stable=True)
    order = order[torch.argsort(target[order], stable=True)]
    place = torch.empty_like(order)
    place[order] = torch.arange(2 * half, device=order.device)
    target = target[order]
    count = torch.bincount(target, minlength=b * n)
    width = max(1, int(count.max())) if half else 1
    rank = torch.arange(2 * half, device=order.device) - (count.cumsum(0) - count)[target]
    return Graph(
        source[order],
        target,
        target // n if n else target,
        torch.cat([-direction, direction])[order],  # the vector goes from target to source in the first half
        torch.cat([distance, distance])[order],
        place[(order + half) % (2 * half)] if half else order,
        target * width + rank,
        width,
        b * n,
    )


def _candidates(frac: Tensor, lattice: Tensor, mask: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every pair within the cutoff once: sites (H,) as b N + i, vectors (H, 3) from first to second, lengths (H,)."""
    b, n = mask.shape
    cell, change = reduced_cells(lattice)
    near = frac @ torch.linalg.inv(change)
    # An image k cells away lies beyond k - 1/2 heights.
    reach = torch.floor(cutoff / face_distances(cell).clamp_min(1e-3) + 0.5).clamp(1, MAX_IMAGES)
    top = int(reach.max()) if b else 1
    offsets = image_offsets(top, frac.device).to(frac.dtype)
    ahead = offsets @ offsets.new_tensor([10_000.0, 100.0, 1.0])  # of an image and its mirror, one is positive
    offsets = offsets[ahead >= 0]
    offsets = offsets[torch.argsort(offsets.abs().sum(-1), stable=True)]  # the home cell first
    crystal, image = (offsets.abs() <= reach[:, None]).all(-1).nonzero().unbind(1)
    shift = (offsets[image][:, None] @ cell[crystal])[:, 0]
    difference = minimum_image(near[:, None] - near[:, :, None]) @ cell[:, None]
    upper = torch.ones(n, n, dtype=torch.bool, device=frac.device).triu(1)
    # minimum_image is odd save at exactly one half, where i - j and j - i fall on the same side.
    difference = torch.where(upper[..., None], difference, -difference.transpose(1, 2))
    pair = mask[:, :, None] & mask[:, None]
    firsts, seconds, vectors, lengths = [], [], [], []
    for rows in torch.arange(len(crystal), device=frac.device).split(max(1, AT_ONCE // max(1, n * n))):
        of, moved = crystal[rows], shift[rows]
        vector = difference[of] + moved[:, None, None]
        squared = vector[..., 0].square() + vector[..., 1].square() + vector[..., 2].square()
        # In the home cell each pair is there twice; in the others i to j and j to i are different edges.
        wanted = pair[of] & (upper | (image[rows] > 0)[:, None, None])
        row, i, j = (wanted & (squared < cutoff**2) & (squared > CLOSEST**2)).nonzero().unbind(1)
        firsts.append(of[row] * n + i)
        seconds.append(of[row] * n + j)
        vectors.append(vector[row, i, j])
        lengths.append(squared[row, i, j].sqrt())
    if not firsts:
        none = torch.zeros(0, dtype=torch.int64, device=frac.device)
        return none, none, frac.new_zeros(0, 3), frac.new_zeros(0)
    return torch.cat(firsts), torch.cat(seconds), torch.cat(vectors), torch.cat(lengths)


def _reach(site: Tensor, distance: Tensor, n_sites: int, neighbours: int) -> Tensor:
    """Distance of the first neighbour that is one too many for each site, infinite where there is none."""
    order, count = _sorted(site, distance, n_sites)
    place = count.cumsum(0) - count + neighbours
    over = count > neighbours
    limit = distance.new_full((n_sites,), torch.inf)
    limit[over] = distance[order[place[over]]]
    return limit


def _sorted(site: Tensor, distance: Tensor, n_sites: int) -> tuple[Tensor, Tensor]:
    """The order of edges by site, then by distance, then as they came; and how many each site has."""
    order = torch.argsort(distance, stable=True)
    return order[torch.argsort(site[order], stable=True)], torch.bincount(site, minlength=n_sites)


def _kept_by_later(i: Tensor, j: Tensor, distance: Tensor, n_sites: int, neighbours: int) -> Tensor:
    """Which pairs are among the ``neighbours`` nearest of the later of their two sites, shape (H,).

    A site and its own image come twice in its list, once in each direction; the first of the two decides.
    """
    site, both = torch.cat([i, j]), torch.cat([distance, distance])
    order, count = _sorted(site, both, n_sites)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - (count.cumsum(0) - count)[site[order]]
    of_first, of_second = rank.tensor_split(2)
    return torch.where(j > i, of_second, of_first) < neighbours
