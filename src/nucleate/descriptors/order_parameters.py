r"""Local structure order parameters: how closely the neighbours of an atom form a motif such as a tetrahedron.

One neighbour j is put at the north pole, a second, k, defines the meridian. With θ the polar angle in units of
π, φ the azimuth from the meridian and G(w, u) = exp(-(w u)²/2), a motif's parameter sums a Gaussian of θ_k and, for
every other neighbour m, a Gaussian of θ_m times cos²(f φ_m), divides by the number of terms, and takes the best
choice of (j, k). Motifs with a south pole treat neighbours beyond a polar angle by a Gaussian at θ = 1.

References:
    | Assessing local structure motifs using order parameters for motif recognition, interstitial identification, and
      diffusion path characterization (Zimmermann, Horton, Jain, Haranczyk, 2017)
    | Bond-orientational order in liquids and glasses (Steinhardt, Nelson, Ronchetti, 1983), for q2, q4, q6
    | Widths and thresholds: tables ``op_params`` and ``cn_opt_params`` of pymatgen
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

ALIGNED = 1e-12
"""Length below which the part of a unit vector across the axis counts as zero."""

TETRAHEDRAL = 0.6081734479693927
"""The tetrahedral angle in units of π."""

MAX_TERMS = 1_000_000
"""Angles held at once."""


class Angles(NamedTuple):
    """Angles at S centres of c neighbours each.

    Attributes:
        polar: θ of neighbour k from j in units of π, shape (S, c, c), indices (site, j, k).
        azimuth: φ of m from the meridian through k about j in radians, 0 to π, shape (S, c, c, c).
        meridian: True where (j, k) define a meridian: k is not j, nor on the axis, shape (S, c, c).
        distinct: True where k is not j, shape (c, c).
        third: True where m is neither j nor k and (j, k) define a meridian, shape (S, c, c, c).
        turned: True where, besides, m is off the axis, so that φ is defined, shape (S, c, c, c).
        cosine: Cosines of the angles between neighbours, shape (S, c, c).
    """

    polar: Tensor
    azimuth: Tensor
    meridian: Tensor
    distinct: Tensor
    third: Tensor
    turned: Tensor
    cosine: Tensor


def order_parameters(directions: Tensor) -> Tensor:
    """All parameters of the motifs with c neighbours, in the order of :data:`MOTIFS`.

    Arguments:
        directions: Unit vectors to the c neighbours of S sites, shape (S, c, 3), 2 <= c <= 12, float64.

    Returns:
        Values of shape (S, number of motifs with c neighbours); 1 for the perfect motif, except for q2, q4, q6.
    """
    motifs = MOTIFS[directions.shape[1]]
    step = max(1, MAX_TERMS // directions.shape[1] ** 3)
    parts = []
    for start in range(0, len(directions), step):
        angles = _angles(directions[start : start + step])
        parts.append(torch.stack([function(angles) for function in motifs.values()], dim=-1))
    return torch.cat(parts) if parts else directions.new_zeros(0, len(motifs))


def _angles(u: Tensor) -> Angles:
    c = u.shape[1]
    cosine = (u @ u.mT).clamp(-1.0, 1.0)
    across = u[:, None] - cosine[..., None] * u[:, :, None]  # (S, j, k, 3), the part of k across j
    length = across.norm(dim=-1)
    off_axis = length >= ALIGNED
    across = across / torch.where(off_axis, length, 1.0)[..., None]
    azimuth = (across @ across.mT).clamp(-1.0, 1.0).acos()
    same = torch.eye(c, dtype=torch.bool, device=u.device)
    distinct = ~same
    meridian = off_axis & distinct
    third = meridian[..., None] & distinct[:, None, :] & distinct[None, :, :]
    return Angles(cosine.acos() / math.pi, azimuth, meridian, distinct, third, third & off_axis[:, :, None, :], cosine)


def _gauss(width: float, deviation: Tensor) -> Tensor:
    return (-0.5 * (width * deviation).square()).exp()


def _best(total: Tensor, terms: Tensor, distinct: Tensor) -> Tensor:
    """Largest mean of the terms over the choices of (j, k)."""
    mean = torch.where(terms > 0, total / terms.clamp_min(1e-12), 0.0)
    return mean.masked_fill(~distinct, 0.0).flatten(1).amax(1)


def _bent(angles: Angles, target: float, width: float) -> Tensor:
    return _gauss(width, angles.polar - target)[:, angles.distinct].mean(1)


def _cone(angles: Angles, target: float, width: float, fold: float) -> Tensor:
    """All neighbours but j at one polar angle, spread evenly about the axis."""
    return _spread(angles, _gauss(width, angles.polar - target), fold)


def _pentagon(angles: Angles, width: float = 19.333) -> Tensor:
    target = torch.where(angles.polar <= 0.6, 0.4, 0.8)
    return _spread(angles, _gauss(width, angles.polar - target), 1.0)


def _spread(angles: Angles, at_angle: Tensor, fold: float) -> Tensor:
    others = at_angle[:, :, None, :] * (fold * angles.azimuth).cos().square() * angles.turned
    return _best(at_angle + others.sum(-1), 1.0 + angles.turned.sum(-1), angles.distinct)


def _poles(
    angles: Angles, south: float, pole_width: float, width: float, fold: float,
    equator: float | None = None, widest: float | None = None,
) -> Tensor:  # fmt: skip
    """A north pole, perhaps a south pole, and the others about the equator.

    Arguments:
        angles: Angles at S centres.
        south: Polar angle in units of π from which on a neighbour counts as the south pole.
        pole_width: Inverse width at the south pole.
        width: Inverse width at the equator.
        fold: Multiple of the azimuth.
        equator: Expected angle away from the equator; on the equator where not given.
        widest: Azimuth in units of π from which on a neighbour does not count.
    """
    polar = angles.polar
    deviation = polar - 0.5 if equator is None else (polar - 0.5).abs() - equator
    about, is_south = _gauss(width, deviation), polar >= south
    at_pole = is_south[:, :, None, :] & angles.third
    ring = ~is_south[:, :, None, :] & ~is_south[..., None] & angles.turned
    if widest is not None:
        ring = ring & (angles.azimuth < widest * math.pi)
    total = (
        torch.where(is_south, 0.0, about)
        + (_gauss(pole_width, polar - 1.0)[:, :, None, :] * at_pole).sum(-1)
        + (about[:, :, None, :] * (fold * angles.azimuth).cos().square() * ring).sum(-1)
    )
    return _best(total, (~is_south).to(total.dtype) + at_pole.sum(-1) + ring.sum(-1), angles.distinct)


def _body_centred(angles: Angles, south: float = 2.5261129449194057 / math.pi, weight: float = 6.0) -> Tensor:
    """Every pair of opposite neighbours as poles, and three waves of the others about their axis.

    The library takes each pair once, with the neighbour that it happens to list first as the north pole, so that its
    value depends on the order of the neighbours. Here both choices are averaged.
    """
    polar, c = angles.polar, angles.polar.shape[1]
    is_south = polar >= south
    x = (polar - 0.5) * math.pi / math.asin(1 / 3)
    wave = math.exp(0.5) * x * (-0.5 * x.square()).exp()
    ring = ((3 * angles.azimuth).cos() * wave[:, :, None, :] * angles.turned).sum(-1)
    ring = torch.where(polar > 0.5, ring, -ring)
    total = torch.where(is_south, weight * _gauss(15.0, polar - 1.0), ring)
    return total[:, angles.distinct].sum(1) / (c * (6 + (c - 2) * (c - 3)))


def _cuboctahedral(angles: Angles) -> Tensor:
    south, low, high, weight = 2.792526803190927 / math.pi, 75 / 180, 105 / 180, 1.8
    polar, azimuth = angles.polar, angles.azimuth
    is_south, in_band = polar >= south, (polar > low) & (polar < high)
    skew = _gauss(0.0556, (azimuth - 0.5 * math.pi).cos() - 0.81649658)
    third = polar[:, :, None, :]
    m_band, m_above = in_band[:, :, None, :], third < low
    m_below = (third > high) & ~is_south[:, :, None, :]
    value = torch.where(
        m_band,
        azimuth.cos().square() * _gauss(25.5, third - 0.5),
        skew * _gauss(31.25, third - torch.where(m_above, 1 / 3, 2 / 3)),
    )
    counted = (m_band | m_above | m_below) & in_band[..., None] & angles.turned
    total = torch.where(is_south, weight * _gauss(28.75, polar - 1.0), 0.0) + (value * counted).sum(-1)
    return _best(total, weight * is_south + counted.sum(-1), angles.distinct)


def _steinhardt(angles: Angles, degree: int) -> Tensor:
    """Addition theorem: q_l² is the mean Legendre polynomial P_l of the cosines between all pairs."""
    x = angles.cosine
    before, now = torch.ones_like(x), x
    for l in range(1, degree):
        before, now = now, ((2 * l + 1) * x * now - l * before) / (l + 1)
    return now.flatten(1).mean(1).clamp_min(0.0).sqrt()


_QUARTER = 2.356194490192345 / math.pi  # three quarters of π
_STEINHARDT: dict[str, Callable[[Angles], Tensor]] = {f"q{l}": partial(_steinhardt, degree=l) for l in (2, 4, 6)}

MOTIFS: dict[int, dict[str, Callable[[Angles], Tensor]]] = {
    2: {
        "L-shaped": partial(_bent, target=0.5, width=15.15),
        "water-like": partial(_bent, target=0.5802777777777778, width=13.95),
        "bent 120 degrees": partial(_bent, target=0.666666666667, width=13.25),
        "bent 150 degrees": partial(_bent, target=0.833333333333333, width=12.45),
        "linear": partial(_bent, target=1.0, width=8.667),
    },
    3: {
        "trigonal planar": partial(_cone, target=0.66666666667, width=17.5, fold=1.0),
        "trigonal non-coplanar": partial(_cone, target=TETRAHEDRAL, width=18.33, fold=1.5),
        "T-shaped": partial(_cone, target=0.5, width=15.5, fold=1.0),
    },
    4: {
        "square co-planar": partial(_poles, south=_QUARTER, pole_width=13.5, width=17.7, fold=1.0),
        "tetrahedral": partial(_cone, target=TETRAHEDRAL, width=18.5, fold=1.5),
        "rectangular see-saw-like": partial(
            _poles, south=_QUARTER, pole_width=11.5, width=27.0, fold=2.0, widest=0.75
        ),
        "see-saw-like": partial(_poles, south=_QUARTER, pole_width=12.75, width=15.75, fold=1.5),
        "trigonal pyramidal": partial(_cone, target=0.5, width=15.5, fold=1.5),
    },
    5: {
        "pentagonal planar": _pentagon,
        "square pyramidal": partial(_cone, target=0.5, width=14.9, fold=2.0),
        "trigonal bipyramidal": partial(_poles, south=_QUARTER, pole_width=12.0, width=16.6, fold=1.5),
    },
    6: {
        "hexagonal planar": partial(
            _poles, south=2.6179938779914944 / math.pi, pole_width=7.5, width=25.0, fold=1.0, equator=0.16666667
        ),
        "octahedral": partial(_poles, south=_QUARTER, pole_width=15.0, width=18.0, fold=2.0),
        "pentagonal pyramidal": partial(_cone, target=0.5, width=13.8, fold=2.5),
    },
    7: {
        "hexagonal pyramidal": partial(_cone, target=0.5, width=12.5, fold=3.0),
        "pentagonal bipyramidal": partial(_poles, south=_QUARTER, pole_width=12.5, width=14.75, fold=2.5),
    },
    8: {
        "body-centered cubic": _body_centred,
        "hexagonal bipyramidal": partial(_poles, south=_QUARTER, pole_width=14.1, width=13.6, fold=3.0),
    },
    9: _STEINHARDT,
    10: _STEINHARDT,
    11: _STEINHARDT,
    12: {"cuboctahedral": _cuboctahedral, **_STEINHARDT},
}  # fmt: skip
"""Motifs by number of neighbours; with "single bond" before them, the 37 of matminer's ``OPSiteFingerprint``."""

MOTIF_NAMES: tuple[str, ...] = ("single bond", *(f"{name} ({c})" for c, row in MOTIFS.items() for name in row))
"""Names with the number of neighbours, in the order of motif numbers 0 to 36."""
