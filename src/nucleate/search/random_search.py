"""Random search: crystals drawn without a model, dense and spaced enough to be worth relaxing.

After C. J. Pickard and R. J. Needs, J. Phys.: Condens. Matter 23, 053201 (2011): random cells and positions with
sensible volumes and smallest distances, with and without symmetry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import parameters_to_matrix
from nucleate.errors import UserError
from nucleate.search.atomic_volumes import cell_volume
from nucleate.search.compositions import Counts, check_request, draw_composition
from nucleate.search.packing import TOLERANCE, clearance, spread
from nucleate.search.separations import separation_matrix
from nucleate.search.streams import crystal_stream
from nucleate.search.symmetric import space_group, symmetric_start

BATCH = 32
ATTEMPTS = 60
"""Draws of one crystal; attempts, not seconds, so that a seed means one crystal."""

SYMMETRIC_ATTEMPTS = 6
"""Draws with symmetry, where no space group is asked for, before the crystal is drawn without."""

VOLUME_SPREAD = 0.08
"""Standard deviation of the logarithm of the volume over the expected one."""

MAX_EXPANSION = 1.5
"""Largest growth in volume by which a crystal may reach its separations."""


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
        """Draw, push apart, check; what fails is drawn again, all that wait in one batch."""
        streams = {i: crystal_stream(seed, i) for i in indices}
        symmetric = {
            i: where.space_group is not None or rng.random() < self.symmetric_share for i, rng in streams.items()
        }
        done: dict[int, Crystals] = {}
        for attempt in range(ATTEMPTS):
            drawn: list[int] = []
            starts: list[_Start] = []
            for i in indices:
                if i not in done:
                    with_symmetry = where.space_group is not None or (symmetric[i] and attempt < SYMMETRIC_ATTEMPTS)
                    start = _symmetric(streams[i], where) if with_symmetry else _asymmetric(streams[i], where)
                    if start is not None:
                        drawn.append(i)
                        starts.append(start)
            if starts:
                done |= {
                    i: crystal for i, crystal in zip(drawn, _packed(starts, where), strict=True) if crystal is not None
                }
            if len(done) == len(indices):
                return Crystals.concatenate([done[i] for i in indices])
        missing = next(i for i in indices if i not in done)
        found = f"{_request(where)}; no crystal in {ATTEMPTS} attempts at number {missing}"
        raise UserError("--where", found, "a request that leaves more room, such as other sizes or no space group")


@dataclass(frozen=True)
class _Start:
    """A cell with atoms that may overlap, and the smallest distance of each pair of sites."""

    crystal: Crystals
    smallest: np.ndarray


def _symmetric(rng: np.random.Generator, where: Conditions) -> _Start | None:
    drawn = symmetric_start(rng, where)
    return None if drawn is None else _at_density(rng, *drawn)


def _asymmetric(rng: np.random.Generator, where: Conditions) -> _Start:
    counts = draw_composition(rng, where)
    if counts is None:
        raise UserError("--where", _request(where), "a request that some composition fits")
    lengths, angles = np.exp(rng.normal(0, 0.2, 3)), rng.uniform(60, 120, 3)
    cell = parameters_to_matrix(torch.from_numpy(lengths), torch.from_numpy(angles))
    while not float(torch.linalg.det(cell)) > 0.5 * lengths.prod():  # a flat cell, or none: turn it towards 90°
        angles = 90 + 0.7 * (angles - 90)
        cell = parameters_to_matrix(torch.from_numpy(lengths), torch.from_numpy(angles))
    numbers = np.repeat(list(counts), list(counts.values()))
    frac = rng.random((len(numbers), 3))
    return _at_density(rng, counts, Crystals.from_lists([numbers.tolist()], [frac.tolist()], [cell]))


def _at_density(rng: np.random.Generator, counts: Counts, crystal: Crystals) -> _Start:
    volume = cell_volume(counts) * float(np.exp(rng.normal(0, VOLUME_SPREAD)))
    cell = crystal.lattice * (volume / float(crystal.volume[0])) ** (1 / 3)
    scaled = Crystals(crystal.numbers, crystal.frac, cell, crystal.n_atoms)
    return _Start(scaled, separation_matrix(crystal.numbers[0].numpy(), counts))


def _packed(starts: list[_Start], where: Conditions) -> list[Crystals | None]:
    """Each start pushed apart, or None where it still overlaps, grew too much or lost the space group asked for."""
    crystals = Crystals.concatenate([start.crystal for start in starts])
    n_max = crystals.numbers.shape[1]
    smallest = torch.zeros(len(starts), n_max, n_max, dtype=torch.float64)
    for row, start in enumerate(starts):
        n = len(start.smallest)
        smallest[row, :n, :n] = torch.from_numpy(start.smallest)
    packed = spread(crystals, smallest)
    spaced = clearance(packed, smallest) >= 1 - 1.5 * TOLERANCE
    dense = packed.volume <= MAX_EXPANSION * crystals.volume
    group = where.space_group
    return [
        packed[row] if accepted and (group is None or space_group(packed[row]) == group) else None
        for row, accepted in enumerate((spaced & dense).tolist())
    ]


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
