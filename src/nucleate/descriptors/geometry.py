"""Compactness, density and geometric validity of crystals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import nan, pi

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII, MASSES, SYMBOLS
from nucleate.crystal.periodic import minimum_distances, usable_cells
from nucleate.descriptors.element_tables import lacking, site_values

MIN_VOLUME = 1.0
"""Å³; a predicted cell smaller than this counts as this large, so that a loss on C stays finite."""


@lru_cache(maxsize=1)
def _radii() -> tuple[float, ...]:
    from pymatgen.core import Element

    found = (Element(symbol).atomic_radius for symbol in SYMBOLS[1:])
    return (0.0, *(nan if radius is None else float(radius) for radius in found))


def sphere_volumes(n_species: int = 100) -> Tensor:
    """Volume of the atomic sphere of each element in Å³, shape (n_species,), float64.

    Element Z stands at index Z - 1, as in the outputs of the networks; NaN where an element has no radius.
    """
    radii = torch.tensor(_radii()[1 : n_species + 1], dtype=torch.float64)
    return 4 * pi / 3 * radii**3


def compactness(crystals: Crystals) -> Tensor:
    """Filled fraction C of each cell, dimensionless.

    Returns:
        Values, shape (B,), float64. NaN where an element has no radius (:func:`without_radius` says which site), where
        there is no atom, and where the cell is degenerate or a number not finite.

    References:
        A. Vasylenko et al., Physics-informed diffusion models for extrapolating crystal structures beyond known
        motifs (2025), Eq. 2.
    """
    filled = 4 * pi / 3 * (site_values(crystals, _radii()) ** 3).sum(-1)
    exact = crystals.to(dtype=torch.float64)
    return torch.where(usable_cells(exact) & (crystals.n_atoms > 0), filled / exact.volume, torch.nan)


def without_radius(crystals: Crystals) -> Tensor:
    """True on real sites whose element has no radius, shape (B, N)."""
    return lacking(crystals, _radii())


def expected_compactness(species: Tensor, lattice: Tensor, mask: Tensor) -> Tensor:
    """Compactness of predicted crystals, differentiable in species and cell.

    A site contributes its expected sphere volume E[4πr³/3]. Elements without a radius are left out and the rest of the
    site's probability is scaled up to 1; a site that can only be such an element makes the crystal NaN. On crystals
    that are certain this equals :func:`compactness`, down to cells of ``MIN_VOLUME``.

    Arguments:
        species: Probability of each element at each site, Z at index Z - 1, shape (B, N, S).
        lattice: Cells as rows in Å, shape (B, 3, 3).
        mask: True on real sites, shape (B, N).

    Returns:
        Values, shape (B,), in the precision of ``species``.
    """
    volumes = sphere_volumes(species.shape[-1]).to(species)
    has_radius = volumes.isfinite()
    share = species[..., has_radius]
    known = share.sum(-1)
    expected = (share * volumes[has_radius]).sum(-1) / known.clamp_min(torch.finfo(species.dtype).tiny)
    # Sites are replaced before they are summed, so that no NaN enters a gradient.
    filled = torch.where(mask, expected, 0.0).sum(-1)
    undefined = (mask & (known <= 0)).any(-1) | ~mask.any(-1)
    return torch.where(undefined, torch.nan, filled / torch.linalg.det(lattice).abs().clamp_min(MIN_VOLUME))


GRAMS_PER_CM3 = 1.66053906660
"""One atomic mass unit per Å³ in g/cm³."""


def number_density(crystals: Crystals) -> Tensor:
    """Atoms per Å³, shape (B,), float64; NaN without atoms and where the cell is degenerate or a number not finite."""
    exact = crystals.to(dtype=torch.float64)
    return torch.where(usable_cells(exact) & (crystals.n_atoms > 0), crystals.n_atoms / exact.volume, torch.nan)


def density(crystals: Crystals) -> Tensor:
    """Mass density in g/cm³, shape (B,), float64; NaN as above, and where an element has no mass (beyond Z = 96)."""
    mass = site_values(crystals, MASSES).sum(-1)
    return mass / crystals.n_atoms * number_density(crystals) * GRAMS_PER_CM3


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
