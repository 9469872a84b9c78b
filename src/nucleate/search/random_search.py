"""Random search: crystals drawn without a model, dense and spaced enough to be worth relaxing.

After C. J. Pickard and R. J. Needs, J. Phys.: Condens. Matter 23, 053201 (2011): random cells and positions with
sensible volumes and smallest distances, with and without symmetry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import parameters_to_matrix
from nucleate.errors import UserError
from nucleate.search.atomic_volumes import cell_volume
from nucleate.search.compositions import check_request, draw_composition
from nucleate.search.packing import TOLERANCE, clearance, spread
from nucleate.search.separations import separation_matrix
from nucleate.search.streams import crystal_stream
from nucleate.search.symmetric import VOLUME_SPREAD, symmetric_crystal

BATCH = 32
REDRAWS = 10


class RandomSearch:
    """Generator ``random``.

    A crystal is either filled into Wyckoff positions of a space group (PyXtal), or has a random cell and random
    positions pushed apart until no two atoms are too close. Compositions are charge-balanced where that is possible.

    Arguments:
        symmetric_share: Probability that a crystal is drawn with symmetry; a requested space group makes it 1.
    """

    name: Final = "random"

    def __init__(self, symmetric_share: float = 0.5) -> None:
        if not 0 <= symmetric_share <= 1:
            raise UserError("symmetric_share", repr(symmetric_share), "a number from 0 to 1")
        self.symmetric_share = symmetric_share

    def sample(
        self,
        n: int,
        where: Conditions | None = None,
        seed: int = 0,
        start: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Crystals:
        """Crystals number ``start`` to ``start + n - 1`` of the request; each depends only on (seed, number).

        Arguments:
            n: Number of crystals.
            where: Chemical system, composition, number of atoms and space group; elements outside
                ``DEFAULT_ELEMENTS`` are drawn only if asked for.
            seed: Seed of the request.
            start: Number of the first crystal.
            progress: Called with the number of crystals finished so far.

        Raises:
            UserError: The request holds what random search cannot aim at, or cannot be met.
        """
        where = where or Conditions()
        check_request(where, self.name)
        parts = []
        for first in range(start, start + n, BATCH):
            last = min(first + BATCH, start + n)
            parts.append(self._batch(range(first, last), where, seed))
            if progress is not None:
                progress(last - start)
        return Crystals.concatenate(parts)

    def _batch(self, indices: range, where: Conditions, seed: int) -> Crystals:
        streams = {i: crystal_stream(seed, i) for i in indices}
        done: dict[int, Crystals] = {}
        for i, rng in streams.items():
            if where.space_group is not None or rng.random() < self.symmetric_share:
                crystal = symmetric_crystal(rng, where)
                if crystal is not None:
                    done[i] = crystal
                elif where.space_group is not None:
                    raise UserError(
                        "conditions", _request(where), "atoms that the Wyckoff positions of the group can hold"
                    )
        for _ in range(REDRAWS):
            waiting = [i for i in indices if i not in done]
            if not waiting:
                break
            drawn, smallest = _random_starts([streams[i] for i in waiting], where)
            packed = spread(drawn, smallest)
            room = clearance(packed, smallest)
            for row, i in enumerate(waiting):
                if room[row] >= 1 - 1.5 * TOLERANCE:
                    done[i] = packed[row]
        missing = [i for i in indices if i not in done]
        if missing:
            raise UserError("conditions", f"{_request(where)}; crystal {missing[0]} cannot be packed", "fewer atoms")
        return Crystals.concatenate([done[i] for i in indices])


def _random_starts(streams: list[np.random.Generator], where: Conditions) -> tuple[Crystals, torch.Tensor]:
    """A random cell and random positions for each stream, and the smallest distances, shape (B, N, N)."""
    numbers, frac, shapes, volumes, limits = [], [], [], [], []
    for rng in streams:
        counts = draw_composition(rng, where)
        if counts is None:
            raise UserError("conditions", _request(where), "a request that some composition fits")
        sites = np.repeat(list(counts), list(counts.values()))
        numbers.append(sites.tolist())
        frac.append(rng.random((len(sites), 3)).tolist())
        shapes.append(np.concatenate([np.exp(rng.normal(0, 0.2, 3)), rng.uniform(60, 120, 3)]))
        volumes.append(cell_volume(counts) * float(np.exp(rng.normal(0, VOLUME_SPREAD))))
        limits.append(separation_matrix(sites, counts))
    shape = torch.from_numpy(np.array(shapes))
    # Angles that close no cell, or almost none, are drawn towards 90° until the cell has some depth.
    cells = parameters_to_matrix(shape[:, :3], shape[:, 3:])
    for _ in range(8):
        flat = ~(torch.linalg.det(cells) > 0.5 * shape[:, :3].prod(-1))
        shape[:, 3:] = torch.where(flat[:, None], 90 + 0.7 * (shape[:, 3:] - 90), shape[:, 3:])
        cells = parameters_to_matrix(shape[:, :3], shape[:, 3:])
    scale = (torch.tensor(volumes, dtype=torch.float64) / torch.linalg.det(cells)) ** (1 / 3)
    crystals = Crystals.from_lists(numbers, frac, cells * scale[:, None, None])
    n_max = crystals.numbers.shape[1]
    smallest = torch.zeros(len(streams), n_max, n_max, dtype=torch.float64)
    for row, limit in enumerate(limits):
        smallest[row, : len(limit), : len(limit)] = torch.from_numpy(limit)
    return crystals, smallest


def _request(where: Conditions) -> str:
    """The request in a few words, for messages."""
    parts = []
    if where.composition is not None:
        parts.append(f"composition {where.formula}")
    if where.chemical_system is not None:
        parts.append(f"a system of {len(where.chemical_system)} elements")
    if where.n_atoms is not None:
        parts.append(f"{where.n_atoms[0]} to {where.n_atoms[1]} atoms")
    if where.space_group is not None:
        parts.append(f"space group {where.space_group}")
    return ", ".join(parts) or "no conditions"
