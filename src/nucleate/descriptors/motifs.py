"""The coordination motif of a site: the order parameter that is largest over the shells of its neighbours.

The procedure is that of matminer's ``OPSiteFingerprint`` with its default settings: distances are binned relative
to the shortest; a motif of c neighbours is tried where a shell ends after exactly c of them; each parameter is the
peak of a histogram over three bin widths, which quantises it to about 0.0005.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.descriptors.order_parameters import MOTIF_NAMES, MOTIFS, order_parameters

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
