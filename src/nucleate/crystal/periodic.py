"""Periodic distances and neighbours, of batches and of single crystals, exact for any cell shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import face_distances

MAX_IMAGES = 12
"""Largest number of cells searched in each direction; flatter cells are treated as degenerate."""

_AT_ONCE = 8_000_000  # vectors between sites


class Neighbors(NamedTuple):
    """Directed pairs within a cutoff, sorted by crystal, then by first site.

    Attributes:
        crystal: Index of the crystal, shape (E,).
        first: Site at the centre, shape (E,).
        second: Neighbouring site, shape (E,).
        image: Cell of the neighbour as whole lattice vectors relative to the stored coordinates, shape (E, 3).
        distance: Length in Å, shape (E,).
    """

    crystal: Tensor
    first: Tensor
    second: Tensor
    image: Tensor
    distance: Tensor


def image_offsets(n: int | tuple[int, int, int], device: torch.device | None = None) -> Tensor:
    """Whole-number cell offsets up to n cells each way, shape (K, 3), int64; the home cell is included."""
    reach = (n, n, n) if isinstance(n, int) else n
    axes = [torch.arange(-k, k + 1, device=device) for k in reach]
    return torch.cartesian_prod(*axes)


def minimum_image(difference: Tensor) -> Tensor:
    """Fractional differences (..., 3) moved by whole cells into [-0.5, 0.5)."""
    return difference - torch.floor(difference + 0.5)


def pair_differences(frac: Tensor) -> Tensor:
    """Fractional vectors from site i to site j in [-0.5, 0.5), shape (B, N, N, 3)."""
    return minimum_image(frac[:, None, :, :] - frac[:, :, None, :])


def minimum_distances(crystals: Crystals) -> Tensor:
    """Shortest periodic distance between every pair of sites.

    Returns:
        Distances in Å, shape (B, N, N); on the diagonal the shortest lattice translation. Infinite at
        padding; NaN for a crystal whose cell or coordinates are not finite or whose cell is degenerate.
    """
    usable = usable_cells(crystals)
    b, n = crystals.numbers.shape
    result = crystals.frac.new_full((b, n, n), torch.nan)
    index = usable.nonzero().flatten()
    cells, change = reduced_cells(crystals.lattice[index])
    frac = crystals.frac[index] @ torch.linalg.inv(change)
    # Crystals of equal size go together, so that no arithmetic is spent on padding.
    for size in crystals.n_atoms[index].unique().tolist():
        members = (crystals.n_atoms[index] == size).nonzero().flatten()
        x, cell = frac[members, :size], cells[members]
        distance = _shortest(x, cell, (1, 1, 1))
        # An image k cells away lies beyond k - 1/2 heights, so only long distances need more, and along short axes.
        longest = distance.flatten(1).amax(1) if size else distance.new_zeros(len(members))
        reach = torch.floor(longest[:, None] / face_distances(cell) + 0.5).clamp(1, MAX_IMAGES).to(torch.int64)
        kinds, kind = torch.unique(reach, dim=0, return_inverse=True)
        for k, (along_a, along_b, along_c) in enumerate(kinds.tolist()):
            if max(along_a, along_b, along_c) > 1:
                distance[kind == k] = _shortest(x[kind == k], cell[kind == k], (along_a, along_b, along_c))
        result[index[members], :size, :size] = distance
    pair = crystals.mask[:, :, None] & crystals.mask[:, None, :]
    return result.masked_fill(~pair, torch.inf)


def reduced_cells(lattice: Tensor) -> tuple[Tensor, Tensor]:
    """Short, nearly orthogonal vectors that span the same lattices, by pairwise size reduction.

    Arguments:
        lattice: Cells as rows in Å, shape (B, 3, 3).

    Returns:
        The reduced cells R and integer matrices M with R = M L, both of shape (B, 3, 3).
    """
    change = torch.eye(3, dtype=lattice.dtype, device=lattice.device).expand_as(lattice).clone()
    cell = lattice.clone()
    for _ in range(100):  # each pass shortens a vector; real cells need two or three passes
        moved = False
        for i, j in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)):
            times = torch.round((cell[:, i] * cell[:, j]).sum(-1) / cell[:, j].square().sum(-1).clamp_min(1e-18))
            # At exactly one half the vector does not become shorter, only another one of equal length.
            shorter = (cell[:, i] - times[:, None] * cell[:, j]).norm(dim=-1) < cell[:, i].norm(dim=-1) * (1 - 1e-9)
            times = torch.where(shorter, times, torch.zeros_like(times))
            cell[:, i] -= times[:, None] * cell[:, j]
            change[:, i] -= times[:, None] * change[:, j]
            moved = moved or bool(times.any())
        if not moved:
            break
    return cell, change


def usable_cells(crystals: Crystals) -> Tensor:
    """True where cell and coordinates are finite and no pair of faces is closer than 1e-3 Å, shape (B,)."""
    finite = crystals.lattice.isfinite().flatten(1).all(1) & crystals.frac.isfinite().flatten(1).all(1)
    safe = torch.where(finite[:, None, None], crystals.lattice, torch.eye(3, dtype=crystals.lattice.dtype))
    flat = torch.linalg.det(safe).abs() < 1e-9
    safe = torch.where(flat[:, None, None], torch.eye(3, dtype=safe.dtype), safe)
    return finite & ~flat & (face_distances(safe).amin(-1) > 1e-3)


def _shortest(frac: Tensor, lattice: Tensor, reach: tuple[int, int, int]) -> Tensor:
    """Minimum over all cells within ``reach`` along each vector, in slices that keep memory near 200 MB."""
    b, n, _ = frac.shape
    offsets = image_offsets(reach, frac.device).to(frac.dtype)
    home = (offsets == 0).all(-1)
    itself = torch.eye(n, dtype=torch.bool, device=frac.device)
    step = max(1, _AT_ONCE // max(1, n * n * len(offsets)))
    cells_at_once = max(1, _AT_ONCE // max(1, n * n))  # of one crystal, where even that is too much
    parts = []
    for start in range(0, b, step):
        cell = lattice[start : start + step]
        pairs = pair_differences(frac[start : start + step]) @ cell[:, None]
        shifts = offsets @ cell
        least = [
            squared_lengths(pairs, some).masked_fill(itself[:, :, None] & at_home, torch.inf).amin(-1)
            for some, at_home in zip(shifts.split(cells_at_once, dim=1), home.split(cells_at_once), strict=True)
        ]
        parts.append(torch.stack(least).amin(0).sqrt())
    return torch.cat(parts) if parts else frac.new_zeros(0, n, n)


def squared_lengths(pairs: Tensor, shifts: Tensor) -> Tensor:
    """Squared length of every pair's vector (B, N, N, 3) moved by every shift (B, K, 3), shape (B, N, N, K)."""
    # Component by component: a sum over an axis of three is several times slower than three additions.
    x, y, z = ((pairs[..., a, None] + shifts[:, None, None, :, a]).square() for a in range(3))
    return x.add_(y).add_(z)


def neighbors(crystals: Crystals, cutoff: float) -> Neighbors:
    """All directed pairs closer than ``cutoff`` Å, every image counted.

    Crystals whose cell is not usable (see :func:`usable_cells`) have no neighbours.
    """
    found = []
    rows = usable_cells(crystals).nonzero().flatten()
    cells, changes = reduced_cells(crystals.lattice[rows])
    for b, lattice, change in zip(rows.tolist(), cells, changes, strict=True):  # image counts differ from cell to cell
        frac = crystals.sites(b)[1] @ torch.linalg.inv(change)
        reach = torch.ceil(cutoff / face_distances(lattice) + 0.5).clamp(1, MAX_IMAGES).to(torch.int64).tolist()
        offsets = image_offsets((reach[0], reach[1], reach[2]), frac.device)
        raw = frac[None, :, :] - frac[:, None, :]
        near = minimum_image(raw)
        offsets = offsets.to(frac.dtype)
        distance = ((near[:, :, None, :] + offsets) @ lattice).norm(dim=-1)
        keep = (distance < cutoff) & (distance > 1e-8)
        i, j, k = keep.nonzero().unbind(1)
        image = torch.round((offsets[k] + torch.round(near - raw)[i, j]) @ change).to(torch.int64)
        found.append((torch.full_like(i, b), i, j, image, distance[i, j, k]))
    if not found:
        empty = torch.zeros(0, dtype=torch.int64)
        return Neighbors(empty, empty, empty, empty.reshape(0, 3), crystals.frac.new_zeros(0))
    return Neighbors(*(torch.cat(parts) for parts in zip(*found, strict=True)))


Indices = NDArray[np.int64]
Array = NDArray[np.float64]
COINCIDENT = 1e-6
"""Atoms closer than this, in Å, are one point; such pairs have no direction and are left out."""


def pairs_within(cart: Array, lattice: Array, cutoff: float) -> tuple[Indices, Indices, Array, Array]:
    """All ordered pairs up to ``cutoff`` (Å), images of an atom itself included.

    Arguments:
        cart: Positions in Å, shape (n, 3).
        lattice: Rows in Å, shape (3, 3).
        cutoff: In Å.

    Returns:
        First atoms (P,), second atoms (P,), vectors from first to second in Å (P, 3), lengths in Å (P,).
    """
    i, j, image, length = _search(cart, lattice, cutoff)
    apart = length > COINCIDENT
    i, j = i[apart], j[apart]
    return i, j, cart[j] + image[apart] @ lattice - cart[i], length[apart]


def bonds_within(cart: Array, lattice: Array, cutoff: float) -> tuple[Indices, Indices, Array]:
    """The same pairs, each once and coincident ones included.

    Returns:
        First atoms (P,), second atoms (P,) and the vectors between them in Å, shape (P, 3).
    """
    i, j, image, _ = _search(cart, lattice, cutoff)
    whole = image.astype(np.int64)
    # Of a pair found from both ends, keep i < j; of an atom and its own images, the positive half space.
    leading = whole[:, 0] * 1_000_000 + whole[:, 1] * 1_000 + whole[:, 2]
    kept = (i < j) | ((i == j) & (leading > 0))
    i, j = i[kept], j[kept]
    return i, j, cart[j] + image[kept] @ lattice - cart[i]


def _search(cart: Array, lattice: Array, cutoff: float) -> tuple[Indices, Indices, Array, Array]:
    from pymatgen.optimization.neighbors import find_points_in_spheres

    cart, lattice = np.ascontiguousarray(cart), np.ascontiguousarray(lattice)
    found: tuple[Indices, Indices, Array, Array] = find_points_in_spheres(
        cart, cart, cutoff, np.ones(3, dtype=np.int64), lattice, 1e-8
    )
    return found
