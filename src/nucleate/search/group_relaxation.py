"""Relaxation inside a space group: batched BFGS over free coordinates and strains of many crystals at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.potentials.potential import CalculatorFaultError, Potential, TooManyBondsError
from nucleate.symmetry.wyckoff_parametrization import Layout

SMALLEST_RADIUS, LARGEST_RADIUS = 1e-4, 0.6


@dataclass
class Descent:
    """D minimisations in progress over U unknowns each.

    Attributes:
        x: Unknowns of the lowest energies so far, shape (D, U).
        energy: Energies there, shape (D,).
        gradient: Gradients there, shape (D, U).
        inverse: Estimates of the inverse second derivatives, shape (D, U, U).
        radius: Trust radii in the norm of the metric, shape (D,).
        metric: Metric of steps, shape (D, U, U).
    """

    x: Tensor
    energy: Tensor
    gradient: Tensor
    inverse: Tensor
    radius: Tensor
    metric: Tensor

    @classmethod
    def start(
        cls, x: Tensor, energy: Tensor, gradient: Tensor, stiffness: Tensor, metric: Tensor, radius: float
    ) -> Descent:
        """Descent of D problems of U unknowns that begins at x.

        Arguments:
            x: Unknowns, shape (D, U).
            energy: Energies in eV at x, shape (D,).
            gradient: Gradients in eV per unknown, shape (D, U).
            stiffness: First guess of the second derivatives in eV, shape (D, U, U).
            metric: Metric of steps, shape (D, U, U).
            radius: First trust radius, in the norm of the metric.
        """
        radii = torch.full_like(energy, radius)
        return cls(x, energy, gradient, torch.linalg.inv(stiffness), radii, metric)

    def proposal(self) -> Tensor:
        """Where to look next, shape (D, U)."""
        move = -_times(self.inverse, self.gradient)
        length = self._length(move)
        return self.x + move * (self.radius / length.clamp_min(1e-12)).clamp(max=1.0)[:, None]

    def learn(self, tried: Tensor, energy: Tensor, gradient: Tensor, noise: float = 0.0) -> Tensor:
        """Take energies (eV) and gradients (eV per unknown) at the proposed points; rises beyond ``noise`` are undone.

        Returns:
            Which problems moved, shape (D,).
        """
        usable = energy.isfinite() & gradient.isfinite().all(1)
        energy = torch.where(usable, energy, torch.inf)
        gradient = torch.where(usable[:, None], gradient, 0.0)
        move = tried - self.x
        change = gradient - self.gradient
        self._update(move, change, usable)
        length = self._length(move)
        better = usable & (energy <= self.energy + noise)
        predicted = (self.gradient * move).sum(1) * 0.5
        ratio = (energy - self.energy) / predicted.clamp(max=-1e-12)
        shrunk = (0.35 * torch.minimum(self.radius, length)).clamp_min(SMALLEST_RADIUS)
        grown = torch.where((ratio > 0.6) & (length > 0.95 * self.radius), 1.6 * self.radius, self.radius)
        self.radius = torch.where(better, grown.clamp(max=LARGEST_RADIUS), shrunk)
        self.x = torch.where(better[:, None], tried, self.x)
        self.energy = torch.where(better, energy, self.energy)
        self.gradient = torch.where(better[:, None], gradient, self.gradient)
        return better

    def _update(self, move: Tensor, change: Tensor, usable: Tensor) -> None:
        """BFGS update of the inverse where the curvature along the step is positive."""
        curvature = (move * change).sum(1)
        image = _times(self.inverse, change)
        ok = usable & (curvature > 1e-10) & (curvature > 1e-3 * (move * self.gradient).sum(1).abs())
        rho = torch.where(ok, 1.0 / torch.where(ok, curvature, 1.0), 0.0)
        along = (change * image).sum(1)
        outer = move[:, :, None] * move[:, None, :]
        mixed = move[:, :, None] * image[:, None, :]
        self.inverse = (
            self.inverse + ((1 + rho * along) * rho)[:, None, None] * outer - rho[:, None, None] * (mixed + mixed.mT)
        )

    def _length(self, move: Tensor) -> Tensor:
        return (move * _times(self.metric, move)).sum(1).clamp_min(0).sqrt()


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix * vector[:, None, :]).sum(-1)


STIFFNESS = 8.0
"""First guess of second derivatives in eV/Å² of a site, cells included."""

FIRST_RADIUS = 0.1
"""Å a site, root mean square, of the first step at most."""

ENERGY_NOISE = 1e-5
"""Rise in eV an atom that single precision may cause."""

FMAX = 0.05
"""eV/Å; largest force, or row of the strain derivative an atom, at the end."""


@dataclass(frozen=True)
class GroupRelaxed:
    """D relaxed crystals of a layout.

    Attributes:
        free: Free coordinates, shape (D, F).
        strain: Free strains, shape (D, K).
        energy: In eV an atom, shape (D,); NaN where the potential gave none.
        converged: Whether forces and stresses vanish, shape (D,).
        calls: Evaluations of single crystals.
    """

    free: Tensor
    strain: Tensor
    energy: Tensor
    converged: Tensor
    calls: int


def step_metric(layout: Layout, free: Tensor, strain: Tensor) -> Tensor:
    """Metric of steps in the unknowns (free coordinates, strains): mean squared motion of a site in Å².

    Returns:
        Positive matrices, shape (D, F + K, F + K).
    """
    lattice = layout.lattice(strain)
    moves = torch.einsum("nif,dij->dfnj", layout.matrix, lattice).flatten(2)
    n_free, n_strains, n = layout.n_coordinates, layout.n_strains, layout.n_sites
    metric = torch.zeros(len(free), n_free + n_strains, n_free + n_strains, dtype=torch.float64)
    metric[:, :n_free, :n_free] = moves @ moves.mT / n
    area = (torch.linalg.det(lattice).abs() / n) ** (2 / 3)
    metric[:, n_free:, n_free:] = torch.einsum("kij,lij->kl", layout.strains, layout.strains) * area[:, None, None]
    return metric


def relaxed_in_group(
    layout: Layout, free: Tensor, strain: Tensor, potential: Potential, max_calls: int, fmax: float = FMAX
) -> GroupRelaxed:
    """Relax D crystals; each step evaluates those that have not converged in one batch.

    Arguments:
        layout: Their layout.
        free: Free coordinates, shape (D, F).
        strain: Free strains, shape (D, K).
        potential: What gives energies, forces and stresses.
        max_calls: Most evaluations of one crystal; 1 only evaluates.
        fmax: Largest force left, in eV/Å.
    """
    metric = step_metric(layout, free, strain)
    x, n_free = torch.cat([free, strain], 1), layout.n_coordinates
    energy, gradient, largest = _evaluated(layout, x, torch.ones(len(x), dtype=torch.bool), potential)
    calls = len(x)
    state = Descent.start(x, energy, gradient, STIFFNESS * metric, metric, FIRST_RADIUS)
    best = largest
    for _ in range(max_calls - 1):
        active = (best > fmax) & state.energy.isfinite() & (state.radius > 2e-4)
        if not active.any():
            break
        tried = state.proposal()
        energy, gradient, largest = _evaluated(layout, tried, active, potential)
        calls += int(active.sum())
        taken = state.learn(tried, energy, gradient, ENERGY_NOISE)
        best = torch.where(taken, largest, best)
    energy = torch.where(state.energy.isfinite(), state.energy, torch.nan)
    return GroupRelaxed(state.x[:, :n_free], state.x[:, n_free:], energy, best <= fmax, calls)


def _evaluated(layout: Layout, x: Tensor, which: Tensor, potential: Potential) -> tuple[Tensor, Tensor, Tensor]:
    """Energies in eV an atom, their gradients, and largest forces of chosen rows; infinite elsewhere."""
    n, n_free = layout.n_sites, layout.n_coordinates
    energy, largest = x.new_full((len(x),), torch.inf), x.new_full((len(x),), torch.inf)
    gradient = torch.zeros_like(x)
    rows = which.nonzero().flatten()
    crystals = layout.crystals(x[rows, :n_free], x[rows, n_free:])
    try:
        found = potential.evaluate(crystals)
    except (TooManyBondsError, CalculatorFaultError):
        if len(rows) > 1:  # one at a time, so that only the one at fault is lost
            for row in rows.tolist():
                alone = torch.zeros_like(which)
                alone[row] = True
                one = _evaluated(layout, x, alone, potential)
                energy[row], gradient[row], largest[row] = one[0][row], one[1][row], one[2][row]
        return energy, gradient, largest
    virial = found.stress * crystals.volume[:, None, None]
    by_frac = -found.forces @ crystals.lattice.mT
    by_lattice = torch.linalg.inv(crystals.lattice).mT @ virial
    with torch.enable_grad():
        strain = x[rows, n_free:].detach().requires_grad_()
        (by_strain,) = torch.autograd.grad(layout.lattice(strain), strain, by_lattice)
    energy[rows] = found.energy / n
    gradient[rows] = torch.cat([torch.einsum("dni,nif->df", by_frac, layout.matrix), by_strain], 1) / n
    forces = torch.linalg.vector_norm(found.forces, dim=-1).amax(1)
    largest[rows] = torch.maximum(forces, torch.linalg.vector_norm(virial, dim=-1).amax(1) / n)
    return energy, gradient, largest
