"""The worst baseline: any elements anywhere in a random cell, only not on top of each other.

What the PIGEN paper compares generators with (AIRSS with a smallest separation of 1 Å and nothing else; C. J. Pickard
and R. J. Needs, J. Phys.: Condens. Matter 23, 053201 (2011)). A measure of plausibility has to refuse it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import parameters_to_matrix
from nucleate.crystal.periodic import minimum_distances
from nucleate.errors import UserError
from nucleate.search.cell_priors import DEFAULT_ELEMENTS, check_request, crystal_stream

BATCH = 256
SEPARATION = 1.0
"""Å between any two atoms, images included."""

MAX_SIZE = 20
"""Atoms of a cell, 1 to this many, where the request says nothing."""

VOLUME_PER_ATOM = 13.5
"""Å³, whatever the element. The paper names no density; with this one as many crystals have a compactness of 0.55 to
0.85 as in its table (11.2 ± 0.6 %)."""

ATTEMPTS = 50
"""Cells drawn for one crystal."""

MOVES = 40
"""Rounds in which atoms of one cell that are too close are placed anew."""


class PseudoRandom:
    """Generator ``pseudo-random``: every site has a random element and a random place."""

    name: Final = "pseudo-random"

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
            where: Chemical system, composition and number of atoms.
            seed: Seed of the request.
            start: Number of the first crystal.
            progress: Called with the number of crystals finished so far.

        Raises:
            UserError: The request holds a space group or a property, or no number of atoms fits it.
        """
        where = where or Conditions()
        check_request(where, self.name)
        if where.space_group is not None:
            raise UserError("--where", f"space_group with '{self.name}'", "'random', which draws with symmetry")
        sizes = _sizes(where)
        parts = []
        for first in range(start, start + n, BATCH):
            last = min(first + BATCH, start + n)
            parts.append(_batch([crystal_stream(seed, i) for i in range(first, last)], where, sizes))
            if progress is not None:
                progress(last - start)
        return Crystals.concatenate(parts)


def _sizes(where: Conditions) -> list[int]:
    """Numbers of atoms to draw from, each as likely as the others."""
    if where.composition is not None and where.n_atoms is None:
        unit = sum(where.composition.values())
        return [unit * k for k in range(1, max(1, MAX_SIZE // unit) + 1)]
    low, high = where.n_atoms or (1, MAX_SIZE)
    least = 1 if where.chemical_system is None or where.allow_subsystems else len(where.chemical_system)
    found = [size for size in range(max(low, least), high + 1) if where.allows_size(size)]
    if not found:
        raise UserError("--where", "no number of atoms that fits them all", "a size that holds every element")
    return found


def _elements(rng: np.random.Generator, where: Conditions, size: int) -> np.ndarray:
    if where.composition is not None:
        times = size // sum(where.composition.values())
        return np.repeat(list(where.composition), [count * times for count in where.composition.values()])
    system = list(where.chemical_system or DEFAULT_ELEMENTS)
    drawn = rng.choice(system, size)
    if where.chemical_system is not None and not where.allow_subsystems:
        drawn[: len(system)] = system  # every element at least once
    return np.sort(drawn)


def _cell(rng: np.random.Generator, size: int) -> torch.Tensor:
    """A cell of random shape: lengths in proportions up to 1 : 3, angles of 60° to 120°, at the fixed density."""
    while True:
        lengths, angles = torch.from_numpy(rng.uniform(1, 3, 3)), torch.from_numpy(rng.uniform(60, 120, 3))
        cell = parameters_to_matrix(lengths, angles)
        volume = float(torch.linalg.det(cell).abs())
        if volume > 0.1 * float(lengths.prod()):  # also False where the angles close no cell
            return cell * (VOLUME_PER_ATOM * size / volume) ** (1 / 3)


def _batch(generators: list[np.random.Generator], where: Conditions, sizes: list[int]) -> Crystals:
    """Draw cells and atoms; place again whatever is too close, each crystal from its own stream."""
    numbers = [_elements(rng, where, int(rng.choice(sizes))) for rng in generators]
    done: dict[int, Crystals] = {}
    for _ in range(ATTEMPTS):
        waiting = [i for i in range(len(generators)) if i not in done]
        cells = {i: _cell(generators[i], len(numbers[i])) for i in waiting}
        places = {i: generators[i].random((len(numbers[i]), 3)) for i in waiting}
        for _ in range(MOVES):
            if not waiting:
                break
            crystals = Crystals.from_lists(
                [numbers[i].tolist() for i in waiting],
                [torch.from_numpy(places[i]) for i in waiting],
                [cells[i] for i in waiting],
            )
            close = minimum_distances(crystals) < SEPARATION
            # The later atom of a pair moves; an atom too close to its own image needs another cell.
            moves = close.tril(-1).any(2).numpy()
            flat = close.diagonal(dim1=1, dim2=2).any(1).tolist()
            settled = (~torch.from_numpy(moves).any(1)).tolist()
            done |= {i: crystals[k] for k, i in enumerate(waiting) if settled[k] and not flat[k]}
            for k, i in enumerate(waiting):
                chosen = moves[k, : len(numbers[i])]
                places[i][chosen] = generators[i].random((int(chosen.sum()), 3))
            waiting = [i for k, i in enumerate(waiting) if not settled[k] and not flat[k]]
        if len(done) == len(generators):
            return Crystals.concatenate([done[i] for i in range(len(generators))])
    raise UserError("--where", f"no crystal in {ATTEMPTS} cells", "a request that leaves more room")
