"""Equations of state of many crystals at once: equilibrium volume and bulk modulus from what some volumes cost."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.potentials.potential import Potential

GPA = 160.21766208
"""GPa in one eV/Å³."""
RATIOS = (0.91, 0.94, 0.97, 1.0, 1.03, 1.06, 1.09)
"""Volumes that are computed, relative to the middle one. Learned energy surfaces are rough on a small scale: over
±9 % the moduli of 30 solids lie nearer the measured ones than over ±3 % or ±6 %, and nearest with pressures."""
ROUNDS = 3
"""How often the volumes are moved to the minimum found before."""


class EquationOfState(NamedTuple):
    """Bulk moduli and minima of the energies of B crystals; NaN where they have no minimum near the volumes given.

    Attributes:
        volume: At zero pressure, in Å³, shape (B,).
        energy: There, in eV, shape (B,).
        bulk_modulus: There, in GPa, shape (B,).
        derivative: Of the bulk modulus with pressure, shape (B,).
        residual: Root mean square of what the fit leaves, in eV, shape (B,).
    """

    volume: Tensor
    energy: Tensor
    bulk_modulus: Tensor
    derivative: Tensor
    residual: Tensor


def birch_murnaghan(volumes: Tensor, energies: Tensor, pressures: Tensor | None = None) -> EquationOfState:
    """Least-squares fit of the Birch-Murnaghan equation of third order (Birch, Phys. Rev. 71, 809 (1947), Eq. 13).

    In x = V^(-2/3) the energy is a polynomial of degree 3, so the fit is linear and the minimum the root of a
    quadratic. A minimum counts up to 3 % of volume beyond the volumes given.

    Arguments:
        volumes: In Å³, at least four for each crystal, shape (B, K).
        energies: In eV, shape (B, K).
        pressures: In eV/Å³, shape (B, K); where given, p V is fitted beside the energy.
    """
    v, e = volumes.double(), energies.double()
    middle = v.mean(1, keepdim=True)
    x = (v / middle) ** (-2 / 3) - 1  # near 0, which keeps the powers apart
    powers = torch.stack([x**k for k in range(4)], -1)
    lowest = e.amin(1, keepdim=True)
    finite = e.isfinite().all(1) & v.isfinite().all(1)
    known, design = e - lowest, powers
    if pressures is not None:
        # p V = -V dE/dV = (2/3) (1 + x) dE/dx.
        slopes = torch.stack([k * x ** max(k - 1, 0) for k in range(4)], -1)
        design = torch.cat([powers, 2 / 3 * (1 + x)[..., None] * slopes], 1)
        known = torch.cat([known, pressures.double() * v], 1)
        finite = finite & pressures.isfinite().all(1)
    shown = torch.where(finite[:, None], known, torch.zeros_like(known))
    design = torch.where(finite[:, None, None], design, torch.ones_like(design))
    c = torch.linalg.lstsq(design, shown[..., None], driver="gelsd").solution[..., 0]
    # dE/dx = c1 + 2 c2 x + 3 c3 x² = 0 at the root where the curvature 2 c2 + 6 c3 x is positive.
    root = (c[:, 2].square() - 3 * c[:, 1] * c[:, 3]).sqrt()
    at = -c[:, 1] / (c[:, 2] + root)
    y = at + 1
    slope, curvature = 2 * root, 6 * c[:, 3]  # second and third derivative with respect to x
    volume = y**-1.5
    # V = y^(-3/2), and dE/dx = 0: B = V d²E/dV² = (4/9) y^(7/2) E'', B' = -1 - d ln(d²E/dV²)/d ln V.
    modulus = 4 / 9 * y**3.5 * slope
    derivative = 4 + 2 / 3 * y * curvature / slope
    outside = (volume < v.amin(1) / middle[:, 0] * 0.97) | (volume > v.amax(1) / middle[:, 0] * 1.03)
    bad = ~finite | outside | ~(y > 0) | ~(slope > 0)
    fitted = (powers @ c[..., None])[..., 0]
    residual = (fitted - (e - lowest)).square().mean(1).sqrt()
    least = lowest[:, 0] + (c * torch.stack([at**k for k in range(4)], -1)).sum(-1)
    values = (volume * middle[:, 0], least, modulus / middle[:, 0] * GPA, derivative, residual)
    return EquationOfState(*(value.masked_fill(bad, torch.nan) for value in values))


def equations_of_state(crystals: Crystals, potential: Potential) -> EquationOfState:
    """Equations of state under uniform strain: shape of the cell and fractional coordinates stay as they are.

    What atoms and cell would give way is left out, so the bulk modulus is an upper bound of the relaxed one; they are
    equal where symmetry fixes both. Where the minimum lies away from the middle of the volumes, these are moved there.

    Arguments:
        crystals: B crystals; relaxed ones give moduli of the potential, others near ones.
        potential: Gives the energies.
    """
    b = len(crystals)
    middle = crystals.volume.double()
    result = EquationOfState(*(torch.full((b,), torch.nan, dtype=torch.float64) for _ in range(5)))
    rows = torch.arange(b)
    for _ in range(ROUNDS):
        if not len(rows):
            break
        found, best = _at(crystals[rows], middle[rows], potential)
        for value, new in zip(result, found, strict=True):
            value[rows] = new
        away = torch.where(found.volume.isnan(), best, found.volume) / middle[rows]
        middle[rows] = middle[rows] * away.clamp(0.9, 1.1)
        rows = rows[(away - 1).abs() > 0.015]
    return result


def _at(crystals: Crystals, middle: Tensor, potential: Potential) -> tuple[EquationOfState, Tensor]:
    """The fit around some volumes (B,), and the volume of the lowest energy among those tried."""
    volumes = middle[:, None] * torch.tensor(RATIOS, dtype=torch.float64)
    stretch = (volumes / crystals.volume[:, None]) ** (1 / 3)
    count = len(RATIOS)
    repeated = crystals[torch.arange(len(crystals)).repeat_interleave(count)]
    found = potential.evaluate(replace(repeated, lattice=repeated.lattice * stretch.flatten()[:, None, None]))
    energies = found.energy.unflatten(0, (-1, count))
    pressures = -found.stress.diagonal(dim1=1, dim2=2).mean(-1).unflatten(0, (-1, count))
    best = volumes.gather(1, energies.nan_to_num(torch.inf).argmin(1, keepdim=True))[:, 0]
    return birch_murnaghan(volumes, energies, pressures), best
