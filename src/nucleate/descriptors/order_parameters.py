"""Local structure order parameters, and the coordination motif of a site: its largest parameter."""

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


SHELL_NEIGHBOURS = 12
"""Neighbours that the shells must reach."""

BIN_WIDTHS = (0.1 - 0.01, 0.1, 0.1 + 0.01)
"""Widths of the distance bins in units of the shortest distance."""

QUANTUM = 0.001
"""Bin of the histogram over the three widths."""


def motif_fingerprints(distances: Tensor, directions: Tensor) -> Tensor:
    """Order parameters of the 37 motifs at S sites.

    Arguments:
        distances: To the K nearest neighbours in Å, ascending, shape (S, K), infinite where there is none; K is large
            enough to hold the whole shell in which the count reaches 12.
        directions: Unit vectors to them, shape (S, K, 3).

    Returns:
        Values of shape (S, 37), numbered as :data:`~nucleate.descriptors.order_parameters.MOTIF_NAMES`.
    """
    relative = distances / distances[:, :1]
    ends = torch.stack([_shell_ends(relative, width) for width in BIN_WIDTHS], -1)  # (S, 12, 3), c = 1..12
    columns = [torch.stack([1.0 - distances[:, 0] / distances[:, 1]] * len(BIN_WIDTHS), -1)[:, None]]
    for c, motifs in MOTIFS.items():
        closed = ends[:, c - 1]
        tried = closed.any(-1).nonzero().flatten()
        values = distances.new_zeros(len(distances), len(motifs))
        spread = (1.0 / relative[tried, :c]).sum(1) / c
        values[tried] = order_parameters(directions[tried, :c]) * spread.square()[:, None]
        columns.append(values[..., None] * closed[:, None, :])
    return _peaks(torch.cat(columns, 1))


def motifs(distances: Tensor, directions: Tensor) -> Tensor:
    """Number of the best motif of each site, shape (S,), int64; arguments as :func:`motif_fingerprints`."""
    if not len(distances):
        return torch.zeros(0, dtype=torch.int64)
    fingerprints = motif_fingerprints(distances, directions)
    assert fingerprints.shape[1] == len(MOTIF_NAMES)  # noqa: S101 - the two tables belong together
    return fingerprints.argmax(1)


def _shell_ends(relative: Tensor, width: float) -> Tensor:
    """True at (s, c - 1) where a shell of site s ends after its c-th neighbour, shape (S, 12)."""
    bins = torch.where(relative.isfinite(), (relative * (1.0 / width) + 0.5).floor(), torch.inf)
    k = SHELL_NEIGHBOURS
    last = torch.nn.functional.pad(bins, (0, 1), value=torch.inf)
    return (last[:, 1 : k + 1] > last[:, :k]) & last[:, :k].isfinite()


def _peaks(values: Tensor) -> Tensor:
    """The most frequent of the last axis's values, as the centre of a histogram bin.

    The arithmetic follows the library's step by step, since ties between motifs are decided by the last bit.
    """
    scale = 1.0 / QUANTUM
    low = ((values.amin(-1) * scale - 1.5).trunc() * QUANTUM).clamp(0.0, 1.0)
    high = ((values.amax(-1) * scale + 1.5).trunc() * QUANTUM).clamp(0.0, 1.0)
    flat = low == high
    low, high = torch.where(flat, low - QUANTUM, low), torch.where(flat, high + QUANTUM, high)
    n_bins = ((high - low) * scale).trunc()
    step = (high - low) / n_bins

    def edge(i: Tensor) -> Tensor:
        count = n_bins.reshape(n_bins.shape + (1,) * (i.dim() - n_bins.dim()))
        raw = i * step.reshape(count.shape) + low.reshape(count.shape)
        return torch.where(i == count, high.reshape(count.shape), raw)

    inside = (values >= low[..., None]) & (values <= high[..., None])
    bins = ((values - low[..., None]) / (high - low)[..., None] * n_bins[..., None]).trunc()
    bins = bins.clamp_min(0.0).minimum(n_bins[..., None] - 1)
    bins = torch.where(values < edge(bins), bins - 1, bins)
    bins = torch.where((values >= edge(bins + 1)) & (bins != n_bins[..., None] - 1), bins + 1, bins)

    centre = 0.5 * (edge(bins) + edge(bins + 1))
    count = ((bins[..., :, None] == bins[..., None, :]) & inside[..., None, :]).sum(-1) * inside
    # Values outside the histogram go to the end; a lone peak next to another merges with it.
    order = torch.where(inside, bins, torch.inf).argsort(dim=-1, stable=True)
    bins, centre, count = bins.gather(-1, order), centre.gather(-1, order), count.gather(-1, order)
    inside = inside.gather(-1, order)
    adjacent = (bins[..., 1:] - bins[..., :-1] == 1) & inside[..., 1:]
    merged = 0.5 * (centre[..., 1:] + centre[..., :-1])
    single = torch.where(
        adjacent[..., 0], merged[..., 0], torch.where(adjacent[..., 1], merged[..., 1], centre[..., 0])
    )
    repeated = centre.gather(-1, count.argmax(-1, keepdim=True))[..., 0]
    none = torch.where(n_bins > 1, low + step, 0.5 * (low + high))  # every bin is empty: the first two merge
    most = count.amax(-1)
    return torch.where(most > 1, repeated, torch.where(most == 1, single, none))
