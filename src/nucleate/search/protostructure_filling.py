"""From protostructure to crystal: coordinates and a cell for a space group and elements on its Wyckoff positions.

Many cells and free coordinates are drawn at once and improved on a cheap energy (`proxy_energy`); of the different
crystals found, the best that carry the protostructure's label are kept, and where a potential is asked, relaxed
inside the space group.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import validity
from nucleate.descriptors.spp import proxy_potential
from nucleate.errors import UserError
from nucleate.potentials.potential import Potential
from nucleate.search.cell_priors import crystal_stream, drawn
from nucleate.search.group_relaxation import Descent, relaxed_in_group, step_metric
from nucleate.search.proxy_energy import ProxyEnergy
from nucleate.search.pyxtal_filling import pyxtal_drawn
from nucleate.symmetry.protostructure import Protostructure, protostructures
from nucleate.symmetry.space_group import SYMPREC
from nucleate.symmetry.wyckoff_parametrization import Layout, layout

METHODS = ("proxy", "pyxtal")

MAX_SITES = 400
"""Sites of the primitive cell above which a protostructure is refused."""

RELIST_EVERY = 8
"""Steps after which pairs of sites are listed again."""

FIRST_RADIUS = 0.25
"""Å a site, root mean square, of the first step at most."""

STIFFNESS = 20.0
"""First guess of second derivatives of the cheap energy in kT/Å² of a site."""

EARLY_STEPS = (4, 10)
"""Steps after which crystals are kept too: where the minimum has more symmetry than asked for, they have not yet."""

TYPICAL_UNKNOWNS = 6
"""Unknowns plus one for which as many crystals are drawn as the settings say; at most twice as many are."""

SAME_ENERGY, SAME_VOLUME = 2e-3, 2e-3
"""Crystals of one layout closer than this in cheap energy (kT an atom) and logarithm of the volume are one."""

SAME_RELAXED_ENERGY, SAME_RELAXED_VOLUME = 1e-3, 1e-2
"""The same for relaxed ones, the energy in eV an atom."""

CLOSEST = 0.7
"""Smallest distance over the sum of the radii below which a crystal is passed over while there are others."""


@dataclass(frozen=True)
class FillSettings:
    """How hard a filling tries.

    Attributes:
        draws: Crystals of five unknowns drawn and improved together; more unknowns, more draws, up to twice as many.
        steps: Steps of each on the cheap energy.
        rounds: Rounds of draws, while no crystal carries the label.
        keep: Crystals that go on to the potential.
        relaxed: Of those, how many are relaxed inside the space group.
        calls: Most evaluations of the potential for one protostructure inside the group.
        method: ``proxy``, as this module has it, or ``pyxtal``, PyXtal's random filling in place of draws and steps.

    Raises:
        UserError: A number is not positive, or there is no such method.
    """

    draws: int = 16
    steps: int = 30
    rounds: int = 3
    keep: int = 8
    relaxed: int = 3
    calls: int = 120
    method: str = "proxy"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError("method", repr(self.method), f"one of {', '.join(METHODS)}")
        for name, value in vars(self).items():
            if name != "method" and value < 1:
                raise UserError(name, str(value), "a number from 1")


@dataclass(frozen=True)
class Candidates:
    """Different crystals of one protostructure, best first.

    Attributes:
        protostructure: What was filled.
        crystals: Primitive cells, K of them, at least one.
        carries_label: Whether symmetry search finds the protostructure's label, shape (K,).
        proxy: Score by `descriptors.spp` in kT, shape (K,).
        closest: Smallest distance over the sum of covalent radii, shape (K,).
        energy: Potential energy in eV an atom, shape (K,); NaN where it was not asked.
        converged: Whether a crystal was relaxed inside its group to the end, shape (K,).
        calls: Evaluations of the potential, counted by crystal.
        seconds: Processor time without the potential.
        potential_seconds: Processor time of the potential.
    """

    protostructure: Protostructure
    crystals: Crystals
    carries_label: Tensor
    proxy: Tensor
    closest: Tensor
    energy: Tensor
    converged: Tensor
    calls: int
    seconds: float
    potential_seconds: float


@dataclass(frozen=True)
class Filled:
    """The best crystal of each of B protostructures, and how it was found.

    Attributes:
        crystals: Primitive cells in order; crystal fields ``carries_label``, ``proxy``, ``closest`` and ``energy`` as
            in :class:`Candidates`.
        candidates: Everything kept, for each protostructure.
    """

    crystals: Crystals
    candidates: Sequence[Candidates] = field(repr=False)

    @property
    def calls(self) -> int:
        """Evaluations of the potential."""
        return sum(found.calls for found in self.candidates)

    @property
    def seconds(self) -> float:
        """Processor time in seconds without the potential."""
        return sum(found.seconds for found in self.candidates)

    @property
    def potential_seconds(self) -> float:
        """Processor time of the potential in seconds."""
        return sum(found.potential_seconds for found in self.candidates)


def fill(
    protostructures: Sequence[Protostructure],
    *,
    seed: int = 0,
    start: int = 0,
    settings: FillSettings | None = None,
    potential: Potential | None = None,
    progress: Callable[[int], None] | None = None,
) -> Filled:
    """The best crystal found for each protostructure; number i draws only from (seed, start + i).

    Arguments:
        protostructures: What to fill; the same one several times gives several crystals.
        seed: Seed of the request.
        start: Number of the first.
        settings: How hard to try.
        potential: Ranks what the cheap energy found, and relaxes the best inside their space group.
        progress: Called with the number finished so far.

    Raises:
        UserError: No volume is known for an element, or a cell would hold too many sites.
    """
    settings = settings or FillSettings()
    if potential is None:
        settings = replace(settings, keep=1)
    found = []
    for i, protostructure in enumerate(protostructures):
        found.append(candidates(protostructure, crystal_stream(seed, start + i), settings, potential))
        if progress is not None:
            progress(i + 1)
    best = Crystals.concatenate([one.crystals[0] for one in found])
    of_best = {
        name: torch.stack([getattr(one, name)[0] for one in found])
        for name in ("carries_label", "proxy", "closest", "energy")
        if found
    }
    return Filled(Crystals(best.numbers, best.frac, best.lattice, best.n_atoms, of_best), found)


def candidates(
    protostructure: Protostructure,
    rng: np.random.Generator,
    settings: FillSettings | None = None,
    potential: Potential | None = None,
) -> Candidates:
    """Different crystals of a protostructure, best first; see :func:`fill`.

    With a potential the order is that of its energies, crystals that carry the label first; without, that of the
    cheap energy.
    """
    settings = settings or FillSettings()
    begun = time.process_time()
    if protostructure.n_primitive > MAX_SITES:
        found = f"{protostructure.n_primitive} atoms in the primitive cell of {protostructure.label}"
        raise UserError("protostructure", found, f"at most {MAX_SITES}")
    map_ = layout(protostructure)
    energy = ProxyEnergy(map_)
    free, strain = _searched(energy, protostructure, rng, settings)
    seconds = time.process_time() - begun
    if potential is None:
        return _described(protostructure, map_, free, strain, None, 0, seconds, 0.0)
    begun = time.process_time() + potential.outside_seconds
    looked = relaxed_in_group(map_, free, strain, potential, 1)
    order = _by(looked.energy)[: settings.relaxed]
    budget = max(1, (settings.calls - looked.calls) // len(order))
    relaxed = relaxed_in_group(map_, free[order], strain[order], potential, budget)
    spent = time.process_time() + potential.outside_seconds - begun
    # What was only looked at stays in the list: a relaxed crystal may have moved on to another label.
    free, strain = torch.cat([relaxed.free, free]), torch.cat([relaxed.strain, strain])
    energies = torch.cat([relaxed.energy, looked.energy])
    converged = torch.cat([relaxed.converged, looked.converged])
    volume = torch.linalg.det(map_.lattice(strain)).abs().log()
    apart = _different(_by(energies), energies, volume, SAME_RELAXED_ENERGY, SAME_RELAXED_VOLUME)
    judged = energies[apart], converged[apart]
    calls = looked.calls + relaxed.calls
    return _described(protostructure, map_, free[apart], strain[apart], judged, calls, seconds, spent)


def _searched(
    energy: ProxyEnergy, protostructure: Protostructure, rng: np.random.Generator, settings: FillSettings
) -> tuple[Tensor, Tensor]:
    """Free coordinates and strains of the best different crystals, at most ``keep``; those with the label first."""
    map_ = energy.layout
    spare: tuple[Tensor, Tensor] | None = None
    for _ in range(settings.rounds):
        if settings.method == "pyxtal":
            free, strain = pyxtal_drawn(protostructure, map_, settings.keep, rng)
            if not len(free):
                continue
            order, early = torch.arange(len(free)), torch.zeros(len(free), dtype=torch.bool)
        else:
            count = _draws(settings.draws, map_)
            free, strain = drawn(map_, protostructure.space_group, energy.log_volume, count, rng)
            free, strain, early = _improved(energy, free, strain, settings.steps)
            order = _ranked(energy, free, strain, early)
        finished = order[~early[order]]
        for some in (finished, order[early[order]]):
            kept = some[_labelled(protostructure, map_, free[some], strain[some], settings.keep)]
            if len(kept):
                return free[kept], strain[kept]
        spare = spare or (free[order[:1]], strain[order[:1]])
    return spare or drawn(map_, protostructure.space_group, energy.log_volume, 1, rng)


def _draws(draws: int, map_: Layout) -> int:
    """Fewer where there is little to draw, more where there is much."""
    unknowns = map_.n_coordinates + map_.n_strains
    return max(min(draws, 4), round(draws * min(1 + unknowns, 2 * TYPICAL_UNKNOWNS) / TYPICAL_UNKNOWNS))


def _improved(energy: ProxyEnergy, free: Tensor, strain: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Crystals after ``steps`` steps and after a few, and which of them are those of a few."""
    map_, n_free = energy.layout, free.shape[1]
    x = torch.cat([free, strain], 1)
    metric = step_metric(map_, free, strain)
    stages: list[Tensor] = []
    state: Descent | None = None
    for step in range(steps):
        if step % RELIST_EVERY == 0:
            here = x if state is None else state.x
            pairs = energy.pairs(here[:, :n_free], here[:, n_free:])
            value, slope = energy.gradient(here[:, :n_free], here[:, n_free:], pairs)
            if state is None:
                state = Descent.start(here, value, slope, STIFFNESS * metric, metric, FIRST_RADIUS)
            else:
                state.energy, state.gradient = value, slope
        if state is None:
            break
        tried = state.proposal()
        value, slope = energy.gradient(tried[:, :n_free], tried[:, n_free:], pairs)
        state.learn(tried, value, slope)
        if step + 1 in EARLY_STEPS:
            stages.append(state.x.clone())
    done = x if state is None else state.x
    every = torch.cat([done, *reversed(stages)])
    early = torch.arange(len(every)) >= len(done)
    return every[:, :n_free], every[:, n_free:], early


def _ranked(energy: ProxyEnergy, free: Tensor, strain: Tensor, early: Tensor) -> Tensor:
    """Indices of different crystals: finished ones before early ones, spaced ones before others, then by energy."""
    pairs = energy.pairs(free, strain)
    value, _ = energy.gradient(free, strain, pairs)
    crowded = energy.closest(free, strain, pairs) < CLOSEST
    volume = torch.linalg.det(energy.layout.lattice(strain)).abs().log()
    order = torch.from_numpy(np.lexsort((value.numpy(), early.numpy(), crowded.numpy())))
    return _different(order, value, volume, SAME_ENERGY, SAME_VOLUME)


def _by(energy: Tensor) -> Tensor:
    """Indices by energy, those without one last."""
    return torch.where(energy.isnan(), torch.inf, energy).argsort(stable=True)


def _different(order: Tensor, energy: Tensor, volume: Tensor, energies: float, volumes: float) -> Tensor:
    """The first of each set of equal crystals, in the order given."""
    kept: list[int] = []
    for i in order.tolist():
        near = ((energy[kept] - energy[i]).abs() < energies) & ((volume[kept] - volume[i]).abs() < volumes)
        if not near.any():
            kept.append(i)
    return torch.tensor(kept)


def _labelled(protostructure: Protostructure, map_: Layout, free: Tensor, strain: Tensor, keep: int) -> Tensor:
    """The first ``keep`` of the crystals whose label is the protostructure's."""
    kept: list[int] = []
    for i in range(len(free)):
        if bool(carry_label(map_.crystals(free[i : i + 1], strain[i : i + 1]), protostructure)[0]):
            kept.append(i)
        if len(kept) == keep:
            break
    return torch.tensor(kept, dtype=torch.int64)


def carry_label(crystals: Crystals, protostructure: Protostructure) -> Tensor:
    """Whether symmetry search finds the label of the protostructure, shape (B,)."""
    found = protostructures(crystals, SYMPREC)
    return torch.tensor([one is not None and one.label == protostructure.label for one in found])


def _described(
    protostructure: Protostructure,
    map_: Layout,
    free: Tensor,
    strain: Tensor,
    evaluated: tuple[Tensor, Tensor] | None,
    calls: int,
    seconds: float,
    potential_seconds: float,
) -> Candidates:
    crystals = map_.crystals(free, strain)
    carries = carry_label(crystals, protostructure)
    energies, converged = evaluated or (
        torch.full((len(free),), torch.nan, dtype=torch.float64),
        torch.zeros(len(free), dtype=torch.bool),
    )
    order = (~carries).to(torch.int8).argsort(stable=True)
    crystals = crystals[order]
    return Candidates(
        protostructure=protostructure,
        crystals=crystals,
        carries_label=carries[order],
        proxy=proxy_potential(crystals).score,
        closest=validity(crystals).min_radii_fraction,
        energy=energies[order],
        converged=converged[order],
        calls=calls,
        seconds=seconds,
        potential_seconds=potential_seconds,
    )
