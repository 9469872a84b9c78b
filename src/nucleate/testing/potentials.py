"""The laws of a potential; ``check_potential(potential)`` puts a potential through all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.potentials.potential import Potential
from nucleate.testing import hold


def metals() -> Crystals:
    """Distorted crystals of copper and gold with 1, 2 and 4 sites."""
    generator = torch.Generator().manual_seed(3)
    shape = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    corners = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]], dtype=torch.float64)
    centred = torch.tensor([[0.0] * 3, [0.5] * 3], dtype=torch.float64)
    cells = [1.9 * shape, 3.0 * torch.eye(3, dtype=torch.float64), 3.8 * torch.eye(3, dtype=torch.float64)]

    def moved(values: Tensor, by: float) -> Tensor:
        return values + by * torch.randn(values.shape, generator=generator, dtype=torch.float64)

    sites = [corners[:1], moved(centred, 0.02), moved(corners, 0.02)]
    return Crystals.from_lists([[29], [29, 79], [79, 29, 29, 29]], sites, [moved(cell, 0.05) for cell in cells])


@dataclass(frozen=True)
class PotentialCase:
    """A potential and the crystals that it is tried on.

    Attributes:
        potential: Under test.
        crystals: B crystals whose elements it knows, away from any symmetry.
        tolerance: Largest difference of energies in eV/atom, of forces in eV/Å and of stresses in eV/Å³.
        step: Displacement in Å, and strain, of numerical derivatives.
    """

    potential: Potential
    crystals: Crystals
    tolerance: float = 1e-5
    step: float = 1e-4

    def close(self, found: Tensor, wanted: Tensor, text: str) -> None:
        """Hold that two tensors of one shape (...) agree within the tolerance; NaN agrees with nothing.

        Raises:
            BrokenLawError: They do not.
        """
        away = float((found - wanted).abs().max()) if found.numel() else 0.0
        hold(found.shape == wanted.shape and away <= self.tolerance, f"{text}: {away:.3g} above {self.tolerance:g}")


def shapes(case: PotentialCase) -> None:
    """Energies are (B,), forces (B, N, 3), stresses (B, 3, 3), moments (B, N); padded sites hold 0."""
    b, n = case.crystals.numbers.shape
    found, padded = case.potential.evaluate(case.crystals), ~case.crystals.mask
    for name, shape in {"energy": (b,), "forces": (b, n, 3), "stress": (b, 3, 3), "magmoms": (b, n)}.items():
        hold(tuple(getattr(found, name).shape) == shape, f"{name} has another shape than {shape}")
    hold(not found.forces[padded].any() and not found.magmoms[padded].any(), "padded sites do not hold 0")
    case.close(found.stress, found.stress.mT, "the stress is not symmetric")
    case.close(found.forces.sum(1), torch.zeros(b, 3, dtype=found.forces.dtype), "the forces do not sum to 0")


def batch_equals_single(case: PotentialCase) -> None:
    """A crystal has the same numbers alone and beside others; no crystals have none."""
    together = case.potential.evaluate(case.crystals)
    for i, n in enumerate(case.crystals.n_atoms.tolist()):
        alone = case.potential.evaluate(case.crystals[i : i + 1])
        case.close(alone.energy[0] / n, together.energy[i] / n, "energies alone and in a batch differ")
        case.close(alone.forces[0, :n], together.forces[i, :n], "forces alone and in a batch differ")
        case.close(alone.stress[0], together.stress[i], "stresses alone and in a batch differ")
    hold(len(case.potential.evaluate(case.crystals[:0]).energy) == 0, "no crystals have energies")


def order_of_sites(case: PotentialCase) -> None:
    """Sites in another order keep the energy and take their forces along."""
    for i, n in enumerate(case.crystals.n_atoms.tolist()):
        numbers, frac, lattice = case.crystals.sites(i)
        order = torch.arange(n).flip(0)
        _same_numbers(case, i, Crystals.from_lists([numbers[order]], [frac[order]], [lattice]), order)


def origin(case: PotentialCase) -> None:
    """Another origin changes nothing, wherever sites leave the cell."""
    for i in range(len(case.crystals)):
        numbers, frac, lattice = case.crystals.sites(i)
        shift = torch.tensor([0.3, -0.2, 0.9], dtype=frac.dtype)
        _same_numbers(case, i, Crystals.from_lists([numbers], [frac + shift], [lattice]))


def orientation(case: PotentialCase) -> None:
    """Forces and stress turn with the crystal; the energy stays."""
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rotation = torch.linalg.qr(noise)[0]
    for i in range(len(case.crystals)):
        numbers, frac, lattice = case.crystals.sites(i)
        _same_numbers(case, i, Crystals.from_lists([numbers], [frac], [lattice.double() @ rotation]), turn=rotation)


def supercells(case: PotentialCase) -> None:
    """Twice the cell has twice the energy and the same stress."""
    scale = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)
    for i, n in enumerate(case.crystals.n_atoms.tolist()):
        numbers, frac, lattice = case.crystals.sites(i)
        frac = torch.cat([frac, frac + torch.tensor([1.0, 0.0, 0.0], dtype=frac.dtype)]) / scale
        large = Crystals.from_lists([torch.cat([numbers, numbers])], [frac], [lattice * scale[:, None]])
        found, wanted = case.potential.evaluate(large), case.potential.evaluate(case.crystals[i : i + 1])
        case.close(found.energy / (2 * n), wanted.energy / n, "a supercell has another energy per atom")
        case.close(found.stress, wanted.stress, "a supercell has another stress")


def forces_are_derivatives(case: PotentialCase) -> None:
    """Forces are the negative slope of the energy along a random displacement of all sites."""
    crystals, h = case.crystals, case.step
    move = torch.randn(crystals.frac.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    move = move * crystals.mask[..., None] / crystals.n_atoms[:, None, None] ** 0.5
    by = h * move @ torch.linalg.inv(crystals.lattice)
    ahead, behind = (case.potential.evaluate(replace(crystals, frac=crystals.frac + s * by)).energy for s in (1, -1))
    wanted = (case.potential.evaluate(crystals).forces * move).sum((1, 2))
    case.close((behind - ahead) / (2 * h), wanted, "forces are not the derivative of the energy")


def stress_is_the_derivative(case: PotentialCase) -> None:
    """The stress is the slope of the energy along a random strain, over the volume: positive under tension."""
    crystals, h = case.crystals, case.step
    strain = torch.randn(len(crystals), 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    strain = 0.5 * (strain + strain.mT)
    eye = torch.eye(3, dtype=torch.float64)
    ahead, behind = (
        case.potential.evaluate(replace(crystals, lattice=crystals.lattice @ (eye + s * h * strain))).energy
        for s in (1, -1)
    )
    wanted = (case.potential.evaluate(crystals).stress * strain).sum((1, 2))
    case.close((ahead - behind) / (2 * h) / crystals.volume, wanted, "the stress is not the derivative of the energy")


LAWS: tuple[Callable[[PotentialCase], None], ...] = (
    shapes,
    batch_equals_single,
    order_of_sites,
    origin,
    orientation,
    supercells,
    forces_are_derivatives,
    stress_is_the_derivative,
)
"""Every law of a potential; each raises :class:`nucleate.testing.BrokenLawError` where it does not hold."""


def check_potential(
    potential: Potential, crystals: Crystals | None = None, tolerance: float = 1e-5, step: float = 1e-4
) -> None:
    """Put a potential through all laws.

    Arguments:
        potential: Under test.
        crystals: B crystals whose elements it knows, away from any symmetry; :func:`metals` by default.
        tolerance: Largest difference of energies in eV/atom, of forces in eV/Å and of stresses in eV/Å³.
        step: Displacement in Å, and strain, of numerical derivatives; single precision wants a larger one.

    Raises:
        BrokenLawError: A law does not hold.
    """
    case = PotentialCase(potential, metals() if crystals is None else crystals, tolerance, step)
    for law in LAWS:
        law(case)


def _same_numbers(
    case: PotentialCase, i: int, other: Crystals, order: Tensor | None = None, turn: Tensor | None = None
) -> None:
    """Hold that crystal ``i`` described otherwise has its energy, and its forces and stress in that order and frame."""
    n = len(other.numbers[0])
    found, given = case.potential.evaluate(other), case.potential.evaluate(case.crystals[i : i + 1])
    order = torch.arange(n) if order is None else order
    turn = torch.eye(3, dtype=torch.float64) if turn is None else turn
    case.close(found.energy / n, given.energy / n, "another description has another energy")
    case.close(found.forces[0], given.forces[0, order] @ turn, "another description has other forces")
    case.close(found.stress[0], turn.mT @ given.stress[0] @ turn, "another description has another stress")
