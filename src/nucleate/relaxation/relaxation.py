"""Relaxation of positions and cell under a fixed protocol, and the symmetry that a relaxed crystal may have lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import heights
from nucleate.crystal.periodic import bonds_within, minimum_distances, pairs_within, reduced_cells
from nucleate.errors import Status
from nucleate.execution.executor import Executor, Lost, Task, load_executor
from nucleate.potentials.potential import CalculatorFaultError, Potential, TooManyBondsError
from nucleate.potentials.registry import load_potential
from nucleate.relaxation.minimiser import Array, FrechetCoordinates, TrustRegion, spring_hessian
from nucleate.symmetry.space_group import space_groups, symmetrized

MIN_DISTANCE = 0.5
"""Closer atoms, in Å, are not worth relaxing."""
MAX_VOLUME_PER_ATOM, MIN_VOLUME_PER_ATOM = 400.0, 1.0
"""Bounds in Å³ beyond which a crystal has exploded or collapsed."""
CONTACT = 6.0
"""An atom without a neighbour at this distance in Å is not part of the crystal."""
PATIENCE, GRACE_SECONDS = 5.0, 30.0
"""A worker hangs when it takes this many times the protocol's time on the clock, and this much more."""
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
        symmetrize: Move a relaxed crystal onto symmetry that costs no energy (:func:`symmetrize`).
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


_Item = tuple[NDArray[np.int64], Array, Array, tuple[int, int] | None]
"""Numbers (n,), fractional coordinates (n, 3), lattice (3, 3) in Å, and seed and number of the rattle."""


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


@dataclass(frozen=True)
class PotentialRelaxer:
    """A potential's relaxer: one crystal a task of an executor, whose workers load the potential once.

    Attributes:
        potential: Choice of the potential, see :func:`nucleate.potentials.registry.load_potential`.
        python: Path of the interpreter that runs the potential, where this environment cannot.
        protocol: When a relaxation ends.
        executor: Who computes; processes of this machine by default, one a core.
    """

    potential: str = "chgnet"
    python: str | None = None
    protocol: RelaxProtocol = RELAX_V1
    executor: Executor = field(default_factory=load_executor)

    def relax(
        self, crystals: Crystals, rattle_seed: int | None = None, indices: Sequence[int] | None = None
    ) -> Iterator[tuple[int, Relaxed]]:
        """Yield (index, outcome) as crystals finish; see :meth:`Relaxer.relax`.

        A crystal that fails, hangs or kills its worker becomes an outcome with a status. Closing the iterator
        or Ctrl-C ends the workers.
        """
        items: list[_Item] = []
        for i in range(len(crystals)):
            numbers, frac, lattice = (part.detach().cpu().numpy() for part in crystals.sites(i))
            rattle = None if rattle_seed is None else (rattle_seed, i if indices is None else indices[i])
            items.append((numbers, frac.astype(np.float64), lattice.astype(np.float64), rattle))
        # Large crystals first, so that no worker is left with a long one at the end.
        order = sorted(range(len(items)), key=lambda i: -len(items[i][0]))
        allowed = PATIENCE * self.protocol.max_seconds + GRACE_SECONDS
        task = Task(_relaxation, (self.potential, self.protocol, self.python))
        for position, result in self.executor.map(task, [items[i] for i in order], allowed):
            i = order[position]
            if isinstance(result, Lost):
                status = Status.TIME_LIMIT if result.hung else Status.ERROR
                result = Relaxed(status, result.reason, *items[i][:3])
            yield i, result


def relax(
    numbers: NDArray[np.int64],
    frac: Array,
    lattice: Array,
    potential: Potential,
    protocol: RelaxProtocol = RELAX_V1,
    rattle: tuple[int, int] | None = None,
) -> Relaxed:
    """Relax one crystal in this process.

    Arguments:
        numbers: Atomic numbers, shape (n,).
        frac: Fractional coordinates, shape (n, 3).
        lattice: Lattice, rows in Å, shape (3, 3).
        potential: What gives energies and forces.
        protocol: When to end.
        rattle: Seed and number of the crystal, to displace it first.
    """
    found = _minimised(numbers, frac, lattice, potential, protocol, rattle)
    if not protocol.symmetrize or found.status != Status.OK:
        return found
    left = replace(protocol, max_seconds=max(protocol.max_seconds - found.seconds, 0.0))
    return symmetrize(found, lambda frac, lattice: _minimised(numbers, frac, lattice, potential, left, None))


def symmetric_starts(relaxed: Relaxed) -> Iterator[tuple[Array, Array]]:
    """Fractional coordinates (n, 3) and lattice (3, 3) in Å of a crystal on each symmetry that it nearly has.

    The symmetry within the widest tolerance comes first; none of them is P1.
    """
    crystal = Crystals.from_lists(
        [relaxed.numbers.tolist()], [torch.from_numpy(relaxed.frac)], [torch.from_numpy(relaxed.lattice)]
    )
    reduced = reduced_cells(crystal.lattice)[0]
    if float(torch.linalg.vector_norm(reduced, dim=-1).max()) > MOST_ELONGATED * float(heights(reduced).min()):
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


def _minimised(
    numbers: NDArray[np.int64],
    frac: Array,
    lattice: Array,
    potential: Potential,
    protocol: RelaxProtocol,
    rattle: tuple[int, int] | None,
) -> Relaxed:
    def clock() -> float:
        return time.process_time() + potential.outside_seconds

    begun = clock()
    fault = fault_of(frac, lattice)
    if fault is not None:
        return Relaxed(*fault, numbers, frac, lattice)
    if rattle is not None:
        frac, lattice = _rattled(frac, lattice, rattle)
    coordinates = FrechetCoordinates(frac, lattice)
    steps, initial = 0, float("nan")

    def function(x: Array) -> tuple[float, Array]:
        nonlocal steps
        steps += 1
        here, cell = coordinates.crystal(x)
        try:
            evaluation = potential.evaluate(_single(numbers, here, cell))
        except TooManyBondsError:
            if steps == 1:
                raise
            return float("nan"), np.full_like(x, np.nan)  # the minimiser steps back from there
        virial = evaluation.stress[0].numpy() * abs(np.linalg.det(cell))
        return float(evaluation.energy[0]), coordinates.gradient(x, evaluation.forces[0].numpy(), virial)

    def outcome(status: Status, reason: str, x: Array, energy: float) -> Relaxed:
        here, cell = coordinates.crystal(x)
        n = len(numbers)
        elapsed = clock() - begun
        return Relaxed(status, reason, numbers, here % 1.0 % 1.0, cell, energy / n, initial / n, steps, elapsed)

    start = coordinates.initial()
    try:
        minimiser = TrustRegion(function, start, spring_hessian(coordinates, numbers))
    except TooManyBondsError as dense:
        return outcome(Status.INVALID_GEOMETRY, str(dense), start, float("nan"))
    except CalculatorFaultError as fault:
        return outcome(Status.ERROR, str(fault), start, float("nan"))
    state = minimiser.state
    initial = state.energy
    while True:
        largest = coordinates.largest_force(state.gradient)
        if not (np.isfinite(state.energy) and np.isfinite(largest)):
            return outcome(Status.NOT_FINITE, "energy or forces are not finite", start, float("nan"))
        here, cell = coordinates.crystal(state.x)
        volume = abs(np.linalg.det(cell)) / len(numbers)
        if not MIN_VOLUME_PER_ATOM <= volume <= MAX_VOLUME_PER_ATOM:
            return outcome(Status.EXPLODED, f"{volume:.1f} Å³ an atom", state.x, state.energy)
        if largest < protocol.fmax:
            if _has_loose_atom(here, cell):
                reason = f"an atom has no neighbour within {CONTACT:.0f} Å"
                return outcome(Status.EXPLODED, reason, state.x, state.energy)
            return outcome(Status.OK, "", state.x, state.energy)
        reason = f"{largest:.3f} eV/Å after {steps} steps"
        if steps >= protocol.max_steps:
            return outcome(Status.UNCONVERGED, reason, state.x, state.energy)
        if clock() - begun > protocol.max_seconds:
            return outcome(Status.TIME_LIMIT, reason, state.x, state.energy)
        try:
            state = minimiser.step()
        except CalculatorFaultError as fault:
            return outcome(Status.ERROR, str(fault), start, float("nan"))


def _relaxation(potential: str, protocol: RelaxProtocol, python: str | None) -> Callable[[_Item], Relaxed]:
    torch.set_num_threads(1)
    os.dup2(2, 1)  # what a calculator prints in a worker is no part of the command's result
    loaded = load_potential(potential, python)
    return lambda item: relax(item[0], item[1], item[2], loaded, protocol, item[3])


def _single(numbers: NDArray[np.int64], frac: Array, lattice: Array) -> Crystals:
    count = torch.tensor([len(numbers)])
    return Crystals(
        torch.from_numpy(numbers)[None], torch.from_numpy(frac)[None], torch.from_numpy(lattice)[None], count
    )


def fault_of(frac: Array, lattice: Array) -> tuple[Status, str] | None:
    """Why no potential should be asked about a crystal, or None.

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


def _has_loose_atom(frac: Array, lattice: Array) -> bool:
    return len(set(pairs_within(frac @ lattice, lattice, CONTACT)[0].tolist())) < len(frac)


def _rattled(frac: Array, lattice: Array, rattle: tuple[int, int]) -> tuple[Array, Array]:
    """Atoms displaced by 0.03 Å (standard deviation an axis) and the cell strained by 1 % an element."""
    generator = np.random.default_rng(rattle)
    strain = RATTLE_STRAIN * generator.standard_normal((3, 3))
    strained = lattice @ (np.eye(3) + 0.5 * (strain + strain.T))
    moved = frac @ strained + RATTLE_POSITION * generator.standard_normal(frac.shape)
    rattled = np.asarray(np.linalg.solve(strained.T, moved.T).T, dtype=np.float64)
    return rattled, strained
