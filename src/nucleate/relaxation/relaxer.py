"""The contract of relaxers: protocol, outcome, which crystals are worth relaxing, and lost symmetry found again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import face_distances
from nucleate.crystal.periodic import bonds_within, minimum_distances, pairs_within, reduced_cells
from nucleate.errors import Status
from nucleate.symmetry.space_group import space_groups, symmetrized

Array = NDArray[np.float64]

MIN_DISTANCE = 0.5
"""Closer atoms, in Å, are not worth relaxing."""
MAX_VOLUME_PER_ATOM, MIN_VOLUME_PER_ATOM = 400.0, 1.0
"""Bounds in Å³ beyond which a crystal has exploded or collapsed."""
CONTACT = 6.0
"""An atom without a neighbour at this distance in Å is not part of the crystal."""
RATTLE_POSITION, RATTLE_STRAIN = 0.03, 0.01
"""Standard deviations of displacements in Å an axis and of strains, dimensionless."""
TOLERANCES = (0.2, 0.1)
"""Tolerances in Å within which a relaxed crystal is moved onto a symmetry, the widest first."""
OF_CONTACT = 0.1
"""Part of the shortest distance that no tolerance exceeds: a wide one ties different sites together, and the search for
symmetry may not end."""
MOST_ELONGATED = 10.0
"""Longest edge over smallest spacing of the reduced cell above which nothing is tried: on needles of 16 and more the
search for symmetry took minutes and gigabytes."""
PRICE = 1e-3
"""eV an atom by which the crystal may then lie higher; less is noise of a relaxation."""


@dataclass(frozen=True)
class RelaxProtocol:
    """When a relaxation ends.

    Attributes:
        name: What reports call it.
        fmax: Largest force in eV/Å on an atom, or on a row of the cell's unknowns, at convergence.
        max_steps: Most evaluations of the potential.
        max_seconds: Most seconds of processor time for a crystal, so that a busy machine changes no outcome.
        symmetrize: Symmetrize a relaxed crystal where that costs no energy (:func:`symmetrize`).
    """

    name: str = "relax-v1"
    fmax: float = 0.05
    max_steps: int = 500
    max_seconds: float = 60.0
    symmetrize: bool = True


RELAX_V1 = RelaxProtocol()


@dataclass(frozen=True)
class Relaxed:
    """The outcome for one crystal of n sites; without a relaxed one, the crystal as it was given.

    Attributes:
        status: OK, or why there is no relaxed crystal.
        reason: The same in words; empty where all went well.
        numbers: Atomic numbers, shape (n,).
        frac: Relaxed fractional coordinates in [0, 1), shape (n, 3).
        lattice: Relaxed lattice, rows in Å, shape (3, 3).
        energy_per_atom: In eV/atom; NaN where there is none.
        initial_energy_per_atom: Before relaxation (and after the rattle), in eV/atom; NaN where there is none.
        n_steps: Evaluations of the potential.
        seconds: Processor time it took.
    """

    status: Status
    reason: str
    numbers: NDArray[np.int64]
    frac: Array
    lattice: Array
    energy_per_atom: float = float("nan")
    initial_energy_per_atom: float = float("nan")
    n_steps: int = 0
    seconds: float = 0.0


class Relaxer(Protocol):
    """Relaxes batches of crystals; one for a graphics card may keep them together, this machine's takes them apart."""

    def relax(
        self, crystals: Crystals, rattle_seed: int | None = None, indices: Sequence[int] | None = None
    ) -> Iterator[tuple[int, Relaxed]]:
        """Yield (index, outcome) of B crystals as they finish; a crystal that fails is an outcome with its reason.

        Arguments:
            crystals: B crystals to relax.
            rattle_seed: Displace atoms by 0.03 Å and strain cells by 1 % first; crystal i draws from (seed, i).
            indices: Numbers of the crystals in the request they belong to, for their draws; 0, 1, ... by default.

        Raises:
            UserError: There is no such potential or interpreter.
        """


def fault_of(frac: Array, lattice: Array) -> tuple[Status, str] | None:
    """Status and reason of a crystal that no potential should evaluate, or None.

    Arguments:
        frac: Fractional coordinates, shape (n, 3).
        lattice: Cell as rows in Å, shape (3, 3).
    """
    if len(frac) == 0:
        return Status.INVALID_GEOMETRY, "no atoms"
    if not (np.isfinite(frac).all() and np.isfinite(lattice).all()):
        return Status.NOT_FINITE, "coordinates or lattice are not finite"
    volume = abs(np.linalg.det(lattice)) / len(frac)
    if not MIN_VOLUME_PER_ATOM <= volume <= MAX_VOLUME_PER_ATOM:
        return Status.INVALID_GEOMETRY, f"{volume:.2f} Å³ an atom"
    spacings = volume * len(frac) / np.linalg.norm(np.cross(lattice[[1, 2, 0]], lattice[[2, 0, 1]]), axis=1)
    if spacings.min() < MIN_DISTANCE:
        return Status.INVALID_GEOMETRY, f"a cell only {spacings.min():.2f} Å high"
    i, j, vectors = bonds_within(frac @ lattice, lattice, MIN_DISTANCE)
    distance = np.linalg.norm(vectors, axis=1)
    if len(distance):
        k = int(distance.argmin())
        return Status.INVALID_GEOMETRY, f"sites {i[k]} and {j[k]} are {distance[k]:.2f} Å apart"
    return None


def has_loose_atom(frac: Array, lattice: Array) -> bool:
    return len(set(pairs_within(frac @ lattice, lattice, CONTACT)[0].tolist())) < len(frac)


def rattled(frac: Array, lattice: Array, rattle: tuple[int, int]) -> tuple[Array, Array]:
    """Coordinates (n, 3) and lattice (3, 3) in Å after a rattle, drawn from a seed and the number of the crystal.

    Atoms are displaced by 0.03 Å (standard deviation an axis), and the cell is strained by 1 % an element.
    """
    generator = np.random.default_rng(rattle)
    strain = RATTLE_STRAIN * generator.standard_normal((3, 3))
    strained = lattice @ (np.eye(3) + 0.5 * (strain + strain.T))
    moved = frac @ strained + RATTLE_POSITION * generator.standard_normal(frac.shape)
    displaced = np.asarray(np.linalg.solve(strained.T, moved.T).T, dtype=np.float64)
    return displaced, strained


def symmetric_starts(relaxed: Relaxed) -> Iterator[tuple[Array, Array]]:
    """Fractional coordinates (n, 3) and lattice (3, 3) in Å of a crystal on each symmetry that it nearly has.

    The symmetry within the widest tolerance comes first; none of them is P1.
    """
    crystal = Crystals.from_lists(
        [relaxed.numbers.tolist()], [torch.from_numpy(relaxed.frac)], [torch.from_numpy(relaxed.lattice)]
    )
    reduced = reduced_cells(crystal.lattice)[0]
    if float(torch.linalg.vector_norm(reduced, dim=-1).max()) > MOST_ELONGATED * float(face_distances(reduced).min()):
        return
    contact = float(minimum_distances(crystal).min())
    tried = {0, 1}
    for tolerance in TOLERANCES:
        within = min(tolerance, OF_CONTACT * contact)
        group = int(space_groups(crystal, within)[0])
        if group not in tried:
            tried.add(group)
            _, frac, lattice = (part.numpy() for part in symmetrized(crystal, within).sites(0))
            yield frac, lattice


def symmetrize(relaxed: Relaxed, relax_on: Callable[[Array, Array], Relaxed]) -> Relaxed:
    """A relaxed crystal on the symmetry of the widest tolerance that costs no energy, or as it is.

    A relaxation that ends at forces of 0.05 eV/Å does not undo a rattle to the end, so that half of the known crystals
    come out of it without their space group. Whether a symmetry is real is a question to the energy: the crystal is
    moved onto it and relaxed on, which keeps it. Where it then lies no higher than before, the rattle has found nothing
    better.

    Arguments:
        relaxed: A relaxed crystal.
        relax_on: Relaxes the same sites from fractional coordinates (n, 3) and a lattice (3, 3) in Å.

    Returns:
        The crystal with the steps and seconds of all its relaxations.
    """
    for frac, lattice in symmetric_starts(relaxed):
        taken, relaxed = lower_of(relaxed, relax_on(frac, lattice))
        if taken:
            break
    return relaxed


def lower_of(relaxed: Relaxed, symmetric: Relaxed) -> tuple[bool, Relaxed]:
    """Whether a relaxation from a symmetric start costs no energy; and it, or else the one before it.

    Steps and seconds of both add up.
    """
    n_steps, seconds = relaxed.n_steps + symmetric.n_steps, relaxed.seconds + symmetric.seconds
    if symmetric.status != Status.OK or not symmetric.energy_per_atom <= relaxed.energy_per_atom + PRICE:
        return False, replace(relaxed, n_steps=n_steps, seconds=seconds)
    first = relaxed.initial_energy_per_atom
    return True, replace(symmetric, initial_energy_per_atom=first, n_steps=n_steps, seconds=seconds)
