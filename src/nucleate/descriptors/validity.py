"""Geometric validity: no atoms on top of each other, a plausible density, a real cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII, SYMBOLS
from nucleate.crystal.periodic import minimum_distances
from nucleate.descriptors.density import density, number_density
from nucleate.descriptors.element_values import site_values

MIN_RADII_FRACTION = 0.5
"""Smallest distance allowed, as a fraction of the sum of covalent radii (LeMat-GenBench's scaling factor)."""

ATOM_DENSITY_BOUNDS = (1e-5, 0.5)
"""Atoms per Å³ (LeMat-GenBench)."""

MASS_DENSITY_BOUNDS = (0.01, 25.0)
"""g/cm³ (LeMat-GenBench)."""

LAX_MIN_DISTANCE = 0.5
"""Å; the older rule of CDVAE and DiffCSP, together with a volume of at least 0.1 Å³."""

LAX_MIN_VOLUME = 0.1


_PAIRS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Validity:
    """Outcome of :func:`validity` for B crystals.

    Attributes:
        is_valid: Every distance, the density and the volume are plausible, shape (B,), bool.
        is_valid_lax: Only "every distance over 0.5 Å and volume over 0.1 Å³", as older tables ask, shape (B,), bool.
        min_distance: Shortest periodic distance in Å, shape (B,).
        min_radii_fraction: Smallest distance over the sum of the two covalent radii, shape (B,).
        atom_density: Atoms per Å³, shape (B,); NaN where undefined.
        mass_density: g/cm³, shape (B,); NaN where undefined.
        reasons: What is wrong with each crystal in words; empty where it is valid.
    """

    is_valid: Tensor
    is_valid_lax: Tensor
    min_distance: Tensor
    min_radii_fraction: Tensor
    atom_density: Tensor
    mass_density: Tensor
    reasons: tuple[str, ...]


def validity(crystals: Crystals) -> Validity:
    """Judge the geometry of each crystal by itself; whatever is not finite is invalid, never an error.

    An element without a covalent radius or mass in the tables (beyond Z = 96) makes a crystal invalid.
    """
    reach = len(COVALENT_RADII)
    known = ((crystals.numbers > 0) & (crystals.numbers < reach)) | ~crystals.mask
    numbers = torch.where(known, crystals.numbers, 0)
    min_distance, min_fraction, pair, contact = _closest(crystals, known)
    volume = crystals.volume.to(torch.float64)
    atom_density, mass_density = number_density(crystals), density(crystals)

    real = (crystals.n_atoms > 0) & volume.isfinite() & (volume > 0)
    finite = real & crystals.frac.isfinite().flatten(1).all(1) & crystals.lattice.isfinite().flatten(1).all(1)
    apart = min_fraction >= MIN_RADII_FRACTION
    dense = _within(atom_density, ATOM_DENSITY_BOUNDS) & _within(mass_density, MASS_DENSITY_BOUNDS)
    is_valid = finite & known.all(1) & apart & dense
    is_lax = finite & (min_distance > LAX_MIN_DISTANCE) & (volume >= LAX_MIN_VOLUME)

    reasons = [""] * len(crystals)
    for i in (~is_valid).nonzero().flatten().tolist():  # only the invalid ones, to say what is wrong
        if not finite[i]:
            reasons[i] = "the cell or a coordinate is not finite, or the volume is zero"
        elif not known[i].all():
            reasons[i] = "an element outside Z = 1..96"
        elif not apart[i]:
            first, second = pair[i].tolist()
            names = f"{SYMBOLS[int(numbers[i, first])]}{first + 1}-{SYMBOLS[int(numbers[i, second])]}{second + 1}"
            reasons[i] = _too_close(names, float(contact[i]), float(min_fraction[i]))
        else:
            reasons[i] = (
                f"density {float(atom_density[i]):.3g} atoms/Å³, {float(mass_density[i]):.3g} g/cm³ outside "
                f"{_range(ATOM_DENSITY_BOUNDS)} atoms/Å³, {_range(MASS_DENSITY_BOUNDS)} g/cm³"
            )
    return Validity(is_valid, is_lax, min_distance, min_fraction, atom_density, mass_density, tuple(reasons))


def _closest(crystals: Crystals, known: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shortest distance (B,), smallest fraction of the radii (B,), its two sites (B, 2) and their distance (B,)."""
    b = len(crystals)
    distance = torch.full((b,), torch.inf, dtype=torch.float64, device=crystals.frac.device)
    fraction, contact = distance.clone(), distance.clone()
    pair = torch.zeros(b, 2, dtype=torch.int64, device=crystals.frac.device)
    # Crystals of one size together and not too many at once: padded to the largest, a few large ones would fill memory.
    for size in crystals.n_atoms[crystals.n_atoms > 0].unique().tolist():
        members = (crystals.n_atoms == size).nonzero().flatten()
        for part in members.split(max(1, _PAIRS_AT_ONCE // size**2)):
            group = crystals[part].to(dtype=torch.float64)
            distances = minimum_distances(group)
            radii = torch.where(known[part, :size], site_values(group, COVALENT_RADII), 0.0)
            fractions = distances / (radii[:, :, None] + radii[:, None, :]).clamp_min(1e-9)
            distance[part] = distances.flatten(1).amin(1)
            fraction[part], nearest = fractions.flatten(1).min(1)
            contact[part] = distances.flatten(1).gather(1, nearest[:, None])[:, 0]
            pair[part] = torch.stack([nearest // size, nearest % size], 1)
    return distance, fraction, pair, contact


def _within(value: Tensor, bounds: tuple[float, float]) -> Tensor:
    return (value >= bounds[0]) & (value <= bounds[1])


def _range(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g}..{bounds[1]:g}"


def _too_close(names: str, distance: float, fraction: float) -> str:
    if distance != distance:
        return "the cell is too flat to measure distances"
    return f"{names} at {distance:.2f} Å, {fraction:.2f} of the sum of covalent radii (at least {MIN_RADII_FRACTION})"
