"""The fingerprint of a structure: the order parameters of its sites, averaged."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import reduced_cells, usable_cells
from nucleate.descriptors.local_environment_diversity import (
    FIRST_RADIUS,
    MAX_DENSITY,
    NEAREST,
    ORBIT_TOLERANCE,
    neighbour_shells,
)
from nucleate.descriptors.motifs import motif_fingerprints
from nucleate.descriptors.order_parameters import MOTIF_NAMES
from nucleate.descriptors.surroundings import surroundings
from nucleate.symmetry.space_group import symmetries

SITES_AT_ONCE = 4096


def structure_fingerprints(crystals: Crystals) -> Tensor:
    """How much of each coordination motif a crystal holds, whatever its elements: shape (B, 37), float64.

    The order parameters of :mod:`~nucleate.descriptors.motifs` at every site, averaged over the sites. NaN where they
    are not defined: cells or coordinates that are not finite, no volume, duplicate sites, atoms with fewer than twelve
    neighbours within 30 Å.
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
