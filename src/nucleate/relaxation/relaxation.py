"""Relaxation of one crystal by quasi-Newton steps with a trust radius, and of many as tasks of an executor.

The unknowns are positions and the logarithm of the cell's deformation (:class:`FrechetCoordinates`); the first Hessian
is one of springs between neighbours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII
from nucleate.crystal.periodic import pairs_within
from nucleate.errors import Status
from nucleate.execution.executor import Executor, Lost, Task, load_executor
from nucleate.plugins import Registry
from nucleate.potentials.potential import CalculatorFaultError, Potential, TooManyBondsError
from nucleate.potentials.registry import TORCHSIM, load_potential, parse_choice
from nucleate.relaxation.relaxer import (
    CONTACT,
    MAX_VOLUME_PER_ATOM,
    MIN_VOLUME_PER_ATOM,
    RELAX_V1,
    Array,
    Relaxed,
    Relaxer,
    RelaxProtocol,
    fault_of,
    has_loose_atom,
    rattled,
    symmetrize,
)

PATIENCE, GRACE_SECONDS = 5.0, 30.0
"""A worker hangs when it takes this many times the protocol's time on the clock, and this much more."""

_Item = tuple[NDArray[np.int64], Array, Array, tuple[int, int] | None]
"""Numbers (n,), fractional coordinates (n, 3), lattice (3, 3) in Å, and seed and number of the rattle."""


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


RELAXERS: Registry[Callable[[str, RelaxProtocol], Relaxer]] = Registry(
    "relaxer", "nucleate.relaxers", {TORCHSIM: "nucleate.relaxation.torch_sim:TorchSimRelaxer"}
)
"""Relaxers of potentials that evaluate batches, by the potential's name; each made from its choice and a protocol."""


def load_relaxer(
    potential: str = "chgnet",
    python: str | None = None,
    protocol: RelaxProtocol = RELAX_V1,
    executor: Executor | None = None,
) -> Relaxer:
    """The relaxer of a potential: the one that keeps its batches together, else one crystal a task of an executor.

    Arguments:
        potential: Choice of the potential, see :func:`nucleate.potentials.registry.load_potential`.
        python: Path of the interpreter that runs the potential, where this environment cannot.
        protocol: When a relaxation ends.
        executor: Who computes single crystals; processes of this machine by default, one a core.

    Raises:
        UserError: A package of the potential is missing.
    """
    name, _ = parse_choice(potential)
    if name in RELAXERS and python is None:
        return RELAXERS.get(name)(potential, protocol)
    return PotentialRelaxer(potential, python, protocol, executor or load_executor())


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
        frac, lattice = rattled(frac, lattice, rattle)
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
            if has_loose_atom(here, cell):
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


# An orthonormal basis of the symmetric 3 x 3 matrices, shape (6, 3, 3).
SYMMETRIC_BASIS: Array = np.zeros((6, 3, 3))
for _k, (_i, _j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
    SYMMETRIC_BASIS[_k, _i, _j] = SYMMETRIC_BASIS[_k, _j, _i] = 1.0 if _i == _j else np.sqrt(0.5)


class FrechetCoordinates:
    """The map between a crystal of n sites and its vector of 3n + 6 unknowns.

    The last six are the components of L times ``length``, so that all have the unit Å.

    Arguments:
        frac: Starting fractional coordinates, shape (n, 3).
        lattice: Starting lattice, rows in Å, shape (3, 3).
    """

    def __init__(self, frac: Array, lattice: Array) -> None:
        self.n = len(frac)
        self.lattice = lattice
        self.start = frac @ lattice
        self.length = float(self.n)

    def initial(self) -> Array:
        """The unknowns of the starting crystal, shape (3n + 6,)."""
        return np.concatenate([self.start.ravel(), np.zeros(6)])

    def crystal(self, x: Array) -> tuple[Array, Array]:
        """Fractional coordinates (n, 3), not wrapped, and lattice (3, 3) in Å at the unknowns ``x`` (3n + 6,)."""
        deformation = self._exponential(x)[0]
        frac = np.asarray(np.linalg.solve(self.lattice.T, x[: 3 * self.n].reshape(-1, 3).T).T, dtype=np.float64)
        return frac, self.lattice @ deformation

    def gradient(self, x: Array, forces: Array, virial: Array) -> Array:
        """Gradient in eV/Å from forces in eV/Å and the strain derivative V*stress in eV; shape (3n + 6,)."""
        deformation, values, vectors = self._exponential(x)
        by_deformation = np.linalg.solve(deformation, virial)
        exponentials, gaps = np.exp(values), values[:, None] - values[None, :]
        close = np.abs(gaps) < 1e-7
        divided = np.where(
            close,
            0.5 * (exponentials[:, None] + exponentials[None, :]),
            (exponentials[:, None] - exponentials[None, :]) / np.where(close, 1.0, gaps),
        )
        by_log = vectors @ (divided * (vectors.T @ by_deformation @ vectors)) @ vectors.T
        by_cell = np.einsum("kij,ij->k", SYMMETRIC_BASIS, by_log) / self.length
        return np.concatenate([(-forces @ deformation).ravel(), by_cell])

    def largest_force(self, gradient: Array) -> float:
        """Largest row of a gradient (3n + 6,), over atoms and the three rows of the cell scaled by n; in eV/Å."""
        by_cell = np.einsum("k,kij->ij", gradient[-6:], SYMMETRIC_BASIS) * self.length / self.n
        rows = np.concatenate([gradient[:-6].reshape(-1, 3), by_cell])
        return float(np.sqrt((rows**2).sum(1).max()))

    def _exponential(self, x: Array) -> tuple[Array, Array, Array]:
        log = np.einsum("k,kij->ij", x[-6:] / self.length, SYMMETRIC_BASIS)
        values, vectors = np.linalg.eigh(log)
        return (vectors * np.exp(values)) @ vectors.T, values, vectors


Function = Callable[[Array], tuple[float, Array]]
FIRST_RADIUS, SMALLEST_RADIUS, LARGEST_RADIUS = 0.2, 0.005, 0.5
"""Trust radii in Å."""
CURVATURE_FLOOR = 1.0
"""Smallest curvature, in eV/Å², that a step is divided by."""
ENERGY_NOISE = 1e-4
"""Rise in eV that single precision may cause; larger ones are taken back."""


@dataclass
class State:
    """Where the minimiser stands.

    Attributes:
        x: Unknowns in Å of the lowest energy so far, shape (U,).
        energy: Energy there in eV.
        gradient: Gradient there in eV/Å, shape (U,).
        evaluations: Number of evaluations of the function so far.
    """

    x: Array
    energy: float
    gradient: Array
    evaluations: int = 1


class TrustRegion:
    """A minimisation in progress; each `step` costs one evaluation.

    Arguments:
        function: Energy in eV and gradient in eV/Å at x.
        x: Where to start, unknowns in Å, shape (U,).
        hessian: First guess of the second derivatives in eV/Å², positive definite, shape (U, U).
    """

    def __init__(self, function: Function, x: Array, hessian: Array) -> None:
        self.function = function
        energy, gradient = function(x)
        self.state = State(x, energy, gradient)
        self.hessian = hessian
        self.radius = FIRST_RADIUS

    def step(self) -> State:
        """Try one step and return the best state so far."""
        state = self.state
        values, vectors = np.linalg.eigh(self.hessian)
        move = -vectors @ ((vectors.T @ state.gradient) / np.maximum(np.abs(values), CURVATURE_FLOOR))
        longest = float(np.sqrt((move.reshape(-1, 3) ** 2).sum(1).max()))
        if longest > self.radius:
            move *= self.radius / longest
        energy, gradient = self.function(state.x + move)
        state.evaluations += 1
        predicted = float(state.gradient @ move + 0.5 * move @ self.hessian @ move)
        actual = energy - state.energy
        if np.isfinite(gradient).all() and np.isfinite(energy):
            self._learn(move, gradient - state.gradient)
        if not actual <= ENERGY_NOISE:
            self.radius = max(min(self.radius, longest) * 0.4, SMALLEST_RADIUS)
            if self.radius > SMALLEST_RADIUS or not np.isfinite(energy):
                return state
        ratio = actual / predicted if predicted < 0 else 0.0
        if ratio > 0.75 and longest >= 0.99 * self.radius:
            self.radius = min(1.5 * self.radius, LARGEST_RADIUS)
        elif ratio < 0.2 and predicted < -ENERGY_NOISE:
            self.radius = max(0.6 * self.radius, SMALLEST_RADIUS)
        state.x, state.energy, state.gradient = state.x + move, energy, gradient
        return state

    def _learn(self, move: Array, change: Array) -> None:
        """BFGS update of the Hessian, damped where the curvature along the step is not positive enough."""
        image = self.hessian @ move
        along = float(move @ image)
        if abs(along) < 1e-14:
            return
        curvature = float(move @ change)
        if curvature < 0.2 * along:
            weight = 0.8 * along / (along - curvature)
            change = weight * change + (1 - weight) * image
            curvature = float(move @ change)
        self.hessian += np.outer(change, change) / curvature - np.outer(image, image) / along


SPRING = 5.0
"""Stiffness in eV/Å² of a spring as long as the sum of the covalent radii."""
DECAY = 3.0
"""How fast springs weaken with their length over that sum."""
LARGEST_SPRING = 10.0
FLOOR = 5.0
"""Stiffness in eV/Å² of everything, so that no direction is free."""
REACH = 6.0
"""Springs are at most this long, in Å."""


def spring_hessian(coordinates: FrechetCoordinates, numbers: NDArray[np.int64]) -> Array:
    """Second derivatives in eV/Å² in the unknowns of ``coordinates`` at their start, shape (3n + 6, 3n + 6)."""
    n = coordinates.n
    i, j, vectors, lengths = pairs_within(coordinates.start, coordinates.lattice, REACH)
    radii = np.array(COVALENT_RADII)[np.minimum(numbers, len(COVALENT_RADII) - 1)]
    springs = np.minimum(SPRING * np.exp(-DECAY * (lengths / (radii[i] + radii[j]) - 1)), LARGEST_SPRING)
    units = vectors / lengths[:, None]
    stretch = np.zeros((len(lengths), n + 2, 3))  # how each unknown changes each length
    rows = np.arange(len(lengths))
    np.add.at(stretch, (rows, i), -units)
    np.add.at(stretch, (rows, j), units)
    by_cell = np.einsum("pa,kab,pb->pk", vectors, SYMMETRIC_BASIS, units) / coordinates.length
    stretch[:, n:] = by_cell.reshape(-1, 2, 3)
    flat = stretch.reshape(len(lengths), 3 * n + 6)
    hessian = 0.5 * (flat * springs[:, None]).T @ flat  # each pair is listed from both ends
    return np.asarray(hessian + FLOOR * np.eye(3 * n + 6), dtype=np.float64)
