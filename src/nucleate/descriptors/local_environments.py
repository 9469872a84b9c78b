"""Local environment diversity M_LED, and the structure fingerprint: order parameters of the sites, averaged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import reduced_cells, usable_cells
from nucleate.descriptors.neighbours import Surroundings, near_neighbors, solid_angles, surroundings
from nucleate.descriptors.order_parameters import MOTIF_NAMES, motif_fingerprints, motifs
from nucleate.errors import UserError
from nucleate.symmetry.space_group import symmetries

Variant = Literal["published", "paper"]

SIGMA = 10.0
"""Width of the Gaussians in slots (the public code; the paper says "carefully chosen")."""

ORBIT_TOLERANCE = 1e-4
"""Å; sites that are equivalent within it share one environment. Tight, since motifs change abruptly."""

FIRST_RADIUS, VORONOI_RADIUS, MAX_RADIUS = 7.0, 12.0, 30.0
"""Å; where the search for neighbours starts, what the Voronoi cell is built from, and where an atom is isolated."""

NEAREST = 0.01
"""Å; sites nearer than this are duplicates, and the crystal has no diversity."""

MAX_DENSITY = 2.0
"""Atoms per Å³, four times what counts as plausible; beyond it nothing is computed."""

PAPER_ELEMENTS = 85
"""Elements counted by the paper: Z = 1 to 85."""

SHELL_POINTS = 64
"""Neighbours kept for the motif; the shell that reaches twelve is shorter unless the crystal is degenerate."""

CHUNK_SITES = 4096


class Environments(NamedTuple):
    """Surroundings of S sites, one for each orbit.

    Attributes:
        crystal: Row of the crystal, shape (S,), int64.
        site: Site that stands for its orbit, shape (S,), int64.
        multiplicity: Sites in the orbit, shape (S,), int64.
        motif: Number of the coordination motif, shape (S,), int64; see
            :data:`~nucleate.descriptors.order_parameters.MOTIF_NAMES`.
        elements: True for the elements of the near neighbours, shape (S, 120), indexed by atomic number.
    """

    crystal: Tensor
    site: Tensor
    multiplicity: Tensor
    motif: Tensor
    elements: Tensor


def local_environment_diversity(crystals: Crystals, variant: Variant = "published") -> Tensor:
    """M_LED of each crystal in bits.

    Arguments:
        crystals: B crystals.
        variant: ``"published"`` (the authors' code) or ``"paper"`` (the definition in print).

    Returns:
        Shape (B,), float64. NaN where it is not defined: cells or coordinates that are not finite, no volume,
        duplicate sites, atoms with fewer than twelve neighbours within 30 Å, or no site of a counted element.

    Raises:
        UserError: The variant is not known.
    """
    if variant not in ("published", "paper"):
        raise UserError("variant", repr(variant), "'published' or 'paper'")
    found = local_environments(crystals)
    known = torch.zeros(len(crystals), dtype=torch.bool)
    known[found.crystal] = True
    count = _published if variant == "published" else _paper
    return torch.where(known, count(crystals.to("cpu"), found), torch.nan).to(crystals.frac.device)


def local_environments(crystals: Crystals) -> Environments:
    """Motif and neighbouring elements of one site for each orbit; crystals where they are not defined have none."""
    exact = crystals.to("cpu", torch.float64)
    parts: list[Environments] = []
    pending: list[tuple[int, NDArray[np.int64], NDArray[np.int64], _Sites]] = []
    size = 0
    for item in _usable(exact):
        pending.append(item)
        size += len(item[1])
        if size >= CHUNK_SITES:
            parts.append(_environments(pending))
            pending, size = [], 0
    parts.append(_environments(pending))
    return Environments(*(torch.cat(values) for values in zip(*parts, strict=True)))


class _Sites(NamedTuple):
    """Data of the representatives of one crystal: shells for the motif, and near neighbours' elements."""

    distances: NDArray[np.float64]
    vectors: NDArray[np.float64]
    angles: list[tuple[NDArray[np.float64], NDArray[np.int64]]]


def _usable(crystals: Crystals) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64], _Sites]]:
    """Row, representatives, multiplicities and surroundings of the crystals that have them."""
    density = crystals.n_atoms / crystals.volume
    usable = usable_cells(crystals) & (crystals.n_atoms > 0) & (density < MAX_DENSITY)
    usable &= ((crystals.numbers > 0) & (crystals.numbers < 120) | ~crystals.mask).all(1)
    rows = usable.nonzero().flatten()
    cells, changes = reduced_cells(crystals.lattice[rows])
    for row, cell, change, symmetry in zip(
        rows.tolist(), cells.numpy(), changes, symmetries(crystals[rows], ORBIT_TOLERANCE), strict=True
    ):
        n = int(crystals.n_atoms[row])
        orbits = np.arange(n) if symmetry is None else np.array(symmetry.orbits)
        chosen, multiplicity = np.unique(orbits, return_counts=True)
        numbers, frac, lattice = (value.numpy() for value in crystals.sites(row))
        found = _sites(numbers, frac @ np.linalg.inv(change.numpy()), cell, lattice, chosen)
        if found is not None:
            yield row, chosen, multiplicity, found


def _sites(
    numbers: NDArray[np.int64],
    frac: NDArray[np.float64],
    cell: NDArray[np.float64],
    lattice: NDArray[np.float64],
    chosen: NDArray[np.int64],
) -> _Sites | None:
    """Surroundings of the chosen sites of one crystal; None where they are not defined."""
    near = surroundings(frac, cell, chosen, FIRST_RADIUS)
    if near is None or near.distances.min(initial=np.inf) < NEAREST:
        return None
    shells = neighbour_shells(near, frac, cell, chosen)
    if shells is None:
        return None
    angles = []
    for i in range(len(chosen)):
        inside = near.distances[i] < np.inf
        value = solid_angles(near.vectors[i][inside], near.radius)
        sites = near.sites[i][inside]
        if value is None:
            value, sites = _wider_angles(frac, cell, lattice, chosen[i : i + 1])
        touching = value > 0
        angles.append((value[touching], numbers[sites[touching]]))
    return _Sites(*shells, angles)


def neighbour_shells(
    near: Surroundings, frac: NDArray[np.float64], cell: NDArray[np.float64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Neighbours within the smallest radius 7, 8, ... Å that holds twelve of each chosen site.

    Returns:
        Distances (k, n) and vectors (k, n, 3) in Å of the k chosen sites; None where no radius will do.
    """
    distances = np.full((len(chosen), SHELL_POINTS), np.inf)
    vectors = np.zeros((len(chosen), SHELL_POINTS, 3))
    for i, counted in enumerate((near.distances < np.inf).sum(1)):
        found, row = near, i
        radius = near.radius
        if counted < 12:
            far = surroundings(frac, cell, chosen[i : i + 1], MAX_RADIUS)
            if far is None or far.distances.shape[1] < 12:
                return None
            found, row = far, 0
            radius = max(math.ceil(far.distances[0, 11]), FIRST_RADIUS)
        count = min(int((found.distances[row] <= radius).sum()), SHELL_POINTS)
        distances[i, :count] = found.distances[row, :count]
        vectors[i, :count] = found.vectors[row, :count]
    return distances, vectors


def _wider_angles(
    frac: NDArray[np.float64], cell: NDArray[np.float64], lattice: NDArray[np.float64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Solid angles in porous crystals: from 12 Å on, doubled up to the cell's longest diagonal while it is open."""
    corners = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]) @ lattice
    longest = min(float(np.linalg.norm(corners, axis=1).max()) + 0.01, 2 * MAX_RADIUS)
    radius = VORONOI_RADIUS
    while (found := surroundings(frac, cell, chosen, radius)) is not None:
        value = solid_angles(found.vectors[0], radius, closed=True)
        if value is not None:
            return value, found.sites[0]
        if radius >= longest:
            break
        radius = min(2 * radius, longest + 0.001)
    return np.zeros(0), np.zeros(0, dtype=np.int64)


def _environments(items: list[tuple[int, NDArray[np.int64], NDArray[np.int64], _Sites]]) -> Environments:
    """Put the surroundings of several crystals into one batch of sites."""
    angles = [pair for item in items for pair in item[3].angles]
    rows = torch.tensor([row for row, chosen, _, _ in items for _ in chosen], dtype=torch.int64)
    elements = torch.zeros(len(rows), 120, dtype=torch.bool)
    if not len(rows):
        return Environments(rows, rows, rows, rows, elements)
    width = max(1, max(len(value) for value, _ in angles))
    padded, numbers = np.zeros((len(rows), width)), np.zeros((len(rows), width), dtype=np.int64)
    for i, (value, kinds) in enumerate(angles):
        padded[i, : len(value)], numbers[i, : len(value)] = value, kinds
    counted = torch.from_numpy(np.where(near_neighbors(padded), numbers, 0))
    elements = elements.scatter(1, counted, True)
    elements[:, 0] = False
    distances = torch.from_numpy(np.concatenate([item[3].distances for item in items]))
    vectors = torch.from_numpy(np.concatenate([item[3].vectors for item in items]))
    directions = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return Environments(
        rows,
        torch.from_numpy(np.concatenate([item[1] for item in items])),
        torch.from_numpy(np.concatenate([item[2] for item in items])),
        motifs(distances, directions),
        elements,
    )


def _published(crystals: Crystals, found: Environments) -> Tensor:
    """Entropies as in the authors' code; see the module's text."""
    n_motifs, n_elements = 2 * len(MOTIF_NAMES), 85
    place = torch.full((120,), -1)  # tellurium has none, and elements beyond radon have none
    place[1:52], place[53:87] = torch.arange(51), torch.arange(51, n_elements)
    own = place[crystals.numbers[found.crystal, found.site]]
    counted = own >= 0
    crystal, own = found.crystal[counted], own[counted]
    counts = torch.zeros(len(crystals), n_motifs + n_elements, dtype=torch.float64)
    weight = found.multiplicity[counted].to(torch.float64)
    counts.index_put_((crystal, 2 * found.motif[counted]), weight, accumulate=True)
    counts.index_put_((crystal, n_motifs + own), weight, accumulate=True)
    site, z = found.elements[counted].nonzero().unbind(1)
    listed = place[z] >= 0
    site, z = site[listed], z[listed]
    counts.index_put_((crystal[site], n_motifs + place[z]), weight[site], accumulate=True)
    smoothed = (counts > 0).to(torch.float64) @ _gaussians(n_motifs + n_elements)
    return _entropy(smoothed, 1e-10).round(decimals=4) + _entropy(counts[:, :n_motifs], 1e-10).round(decimals=4)


def _paper(crystals: Crystals, found: Environments) -> Tensor:
    """Entropies as in the paper's Eqs. 4 to 6: sums over all sites of smoothed multi-hot vectors."""
    n_motifs = len(MOTIF_NAMES)
    elements = found.elements.clone()
    elements[torch.arange(len(elements)), crystals.numbers[found.crystal, found.site]] = True
    active = torch.cat(
        [
            torch.nn.functional.one_hot(found.motif, n_motifs).to(torch.bool).reshape(-1, n_motifs),
            elements[:, 1 : PAPER_ELEMENTS + 1],
        ],
        1,
    ).to(torch.float64)
    counts = torch.zeros(len(crystals), active.shape[1], dtype=torch.float64)
    counts.index_add_(0, found.crystal, active * found.multiplicity[:, None])
    return _entropy(counts @ _gaussians(counts.shape[1])) + _entropy(counts[:, :n_motifs] @ _gaussians(n_motifs))


def _gaussians(slots: int) -> Tensor:
    """Gaussian of height 1 about each slot, shape (slots, slots)."""
    x = torch.arange(slots, dtype=torch.float64)
    return (-(x[:, None] - x).square() / (2 * SIGMA**2)).exp()


def _entropy(weights: Tensor, least: float = 0.0) -> Tensor:
    """Shannon entropy in bits of each row after normalisation; NaN for a row of zeros.

    Probabilities below ``least`` are raised to it and normalised again.
    """
    p = (weights / weights.sum(1, keepdim=True)).clamp(least, 1.0)
    p = p / p.sum(1, keepdim=True)
    return -torch.special.xlogy(p, p).sum(1) / math.log(2)


SITES_AT_ONCE = 4096


def structure_fingerprints(crystals: Crystals) -> Tensor:
    """How much of each coordination motif a crystal holds, whatever its elements: shape (B, 37), float64.

    The order parameters of :mod:`~nucleate.descriptors.order_parameters` at every site, averaged over the sites. NaN
    where they are not defined: cells or coordinates that are not finite, no volume, duplicate sites, atoms with
    fewer than twelve neighbours within 30 Å.
    """
    exact = crystals.to("cpu", torch.float64)
    usable = usable_cells(exact) & (exact.n_atoms > 0) & (exact.n_atoms / exact.volume < MAX_DENSITY)
    rows = usable.nonzero().flatten()
    cells, changes = reduced_cells(exact.lattice[rows])
    fingerprints = torch.full((len(crystals), len(MOTIF_NAMES)), torch.nan, dtype=torch.float64)
    found: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
    size = 0
    for row, cell, change, symmetry in zip(
        rows.tolist(), cells.numpy(), changes, symmetries(exact[rows], ORBIT_TOLERANCE), strict=True
    ):
        orbits = np.arange(int(exact.n_atoms[row])) if symmetry is None else np.array(symmetry.orbits)
        chosen, multiplicity = np.unique(orbits, return_counts=True)
        frac = exact.sites(row)[1].numpy() @ np.linalg.inv(change.numpy())
        near = surroundings(frac, cell, chosen, FIRST_RADIUS)
        if near is None or near.distances.min(initial=np.inf) < NEAREST:
            continue
        shells = neighbour_shells(near, frac, cell, chosen)
        if shells is not None:
            found.append((row, multiplicity, *shells))
            size += len(chosen)
        if size >= SITES_AT_ONCE:
            _average(found, fingerprints)
            found, size = [], 0
    _average(found, fingerprints)
    return fingerprints


def _average(found: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]], fingerprints: Tensor) -> None:
    """Write the averages over the sites of some crystals into their rows."""
    if not found:
        return
    rows = torch.tensor([row for row, multiplicity, _, _ in found for _ in multiplicity])
    weights = torch.from_numpy(np.concatenate([multiplicity / multiplicity.sum() for _, multiplicity, _, _ in found]))
    distances = torch.from_numpy(np.concatenate([item[2] for item in found]))
    vectors = torch.from_numpy(np.concatenate([item[3] for item in found]))
    directions = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    values = motif_fingerprints(distances, directions) * weights[:, None]
    fingerprints[rows.unique()] = 0.0
    fingerprints.index_add_(0, rows, values)
