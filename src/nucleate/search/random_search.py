"""Random search: symmetric crystals drawn without a model, dense and spaced enough to be worth relaxing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from pyxtal import pyxtal
from torch import Tensor

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.lattice import parameters_to_matrix
from nucleate.crystal.periodic import image_offsets, minimum_distances, minimum_image
from nucleate.descriptors.element_tables import cell_volume
from nucleate.errors import UserError
from nucleate.search.cell_priors import Counts, check_request, crystal_stream, draw_composition, separation_matrix
from nucleate.symmetry.space_group import search, space_groups
from nucleate.symmetry.wyckoff import fits

STEPS = 300
EXPAND_EVERY = 25
"""Steps after which a crystal that still overlaps grows by ``EXPANSION`` in volume."""

EXPANSION = 1.04
RELAXATION = 0.55
"""Share of an overlap that one step removes; 0.5 for each atom would part a lone pair at once."""

TOLERANCE = 0.02
"""Overlaps below this share of the smallest distance are left."""


def spread(crystals: Crystals, smallest: Tensor) -> Crystals:
    """Move atoms, and grow cells where moving is not enough, until sites keep their distances.

    Each overlapping pair is moved apart along the line between its atoms (position-based relaxation of soft
    spheres); a crystal stops on its own once nothing overlaps, so none depends on its batch mates.

    Arguments:
        crystals: Batch of B crystals with cells that are neither flat nor skewed beyond 60° to 120°.
        smallest: Smallest distances in Å, shape (B, N, N).

    Returns:
        The moved crystals. Some may still overlap: see :func:`clearance`.
    """
    frac, lattice, mask = crystals.frac.clone(), crystals.lattice.clone(), crystals.mask
    b, n = crystals.numbers.shape
    offsets = image_offsets(1, frac.device).to(frac.dtype)
    pair = mask[:, :, None] & mask[:, None, :]
    itself = torch.eye(n, dtype=torch.bool, device=frac.device)
    active = torch.arange(b, device=frac.device)
    for step in range(1, STEPS + 1):
        cell, position, limit = lattice[active], frac[active], smallest[active]
        difference = minimum_image(position[:, None, :, :] - position[:, :, None, :])
        vector = (difference[:, :, :, None, :] + offsets) @ cell[:, None, None]
        distance = vector.norm(dim=-1)
        overlap = (limit[..., None] - distance).clamp_min(0)
        overlap = overlap.masked_fill(~pair[active][..., None], 0)
        overlap = overlap.masked_fill(itself[:, :, None] & (offsets == 0).all(-1), 0)
        crowded = (overlap > TOLERANCE * limit[..., None]).flatten(1).any(1)
        move = -RELAXATION * (overlap / distance.clamp_min(1e-6))[..., None] * vector
        frac[active] = torch.where(
            crowded[:, None, None], wrap(position + move.sum((2, 3)) @ torch.linalg.inv(cell)), position
        )
        active = active[crowded]
        if not len(active):
            break
        if step % EXPAND_EVERY == 0:
            lattice[active] = lattice[active] * EXPANSION ** (1 / 3)
    return Crystals(crystals.numbers, torch.where(mask[..., None], frac, 0.0), lattice, crystals.n_atoms)


def clearance(crystals: Crystals, smallest: Tensor) -> Tensor:
    """Smallest ratio of a periodic distance to the smallest one allowed, shape (B,); NaN for unusable cells."""
    return (minimum_distances(crystals) / smallest.clamp_min(1e-9)).flatten(1).amin(1)


GROUPS_TRIED = 12
"""Random groups looked at for one that can hold a composition."""

COINCIDENCE = 0.3
"""PyXtal's own smallest distances are cut to this share: atoms are pushed apart afterwards."""

EXACT, LOOSE = 1e-3, 0.1
"""Å; symmetry is standardised at the first tolerance and judged, as everywhere in evaluation, at the second."""


def symmetric_start(rng: np.random.Generator, where: Conditions) -> tuple[Counts, Crystals] | None:
    """Counts and a primitive cell in the space group asked for, or in a random one from 2 to 230.

    The volume is PyXtal's guess and atoms may still be too close. Returns None where this attempt fails.
    """
    asked = where.space_group
    counts = draw_composition(rng, where, None if asked is None else partial(fits, asked))
    groups = [asked] if asked is not None else rng.integers(2, 231, GROUPS_TRIED).tolist()
    group = next((number for number in groups if counts and fits(number, counts)), None)
    if counts is None or group is None:
        return None
    crystal = _filled(rng, group, counts)
    return None if crystal is None else (counts, crystal)


def space_group(crystal: Crystals) -> int:
    """Number of the space group of one crystal at ``LOOSE``; 0 where none is found."""
    return int(space_groups(crystal, LOOSE)[0])


def _filled(rng: np.random.Generator, group: int, counts: Counts) -> Crystals | None:
    """A primitive cell with Wyckoff positions of the group filled at random, or None where it fails a check."""
    filling = pyxtal()
    try:
        filling.from_random(
            3,
            group,
            [SYMBOLS[z] for z in counts],
            list(counts.values()),
            conventional=False,
            max_count=1,
            t_factor=COINCIDENCE,
            random_state=rng,
        )
    except Exception:  # noqa: BLE001  a filling that does not work out is only one attempt less
        return None
    if not filling.valid:
        return None
    structure = filling.to_pymatgen()
    filled = Crystals.from_lists(
        [structure.atomic_numbers], [structure.frac_coords.tolist()], [structure.lattice.matrix.tolist()]
    )
    primitive = next(search(filled, EXACT))
    if primitive is None or len(primitive.prim_std_cell.numbers) != sum(counts.values()):
        return None
    cell = primitive.prim_std_cell
    numbers = np.array(cell.numbers)
    order = np.argsort(numbers, kind="stable")
    return Crystals.from_lists(
        [numbers[order].tolist()], [np.array(cell.positions)[order].tolist()], [np.array(cell.basis).tolist()]
    )


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
