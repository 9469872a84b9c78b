"""Which structure families a set of crystals belongs to, against the value of a descriptor.

The picture behind it is Fig. 4d of the PIGEN paper: the share of each of the twenty commonest prototypes, and of
everything else, in bins of local environment diversity. Families are given by name, so that any way of telling them
works: protostructure labels without their elements (:func:`family`), or the prototypes that a matcher finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.evaluation.intervals import Rate
from nucleate.symmetry.prototype import protostructure_labels

OTHER = "other"
"""What a crystal outside the named families is counted as."""

COMMONEST = 20
"""Families that the paper's figure shows."""


@dataclass(frozen=True)
class FamilyCounts:
    """Crystals by family and by the value of a descriptor.

    Attributes:
        families: Names; the last is :data:`OTHER`.
        edges: Limits of the bins, ascending, shape (n + 1,); a bin holds its lower limit.
        counts: Crystals, shape (n, families), int64.
        missing: Crystals without a value.
    """

    families: tuple[str, ...]
    edges: Tensor
    counts: Tensor
    missing: int

    @property
    def shares(self) -> Tensor:
        """Share of each family in its bin, shape (n, families); NaN in an empty bin."""
        return self.counts / self.counts.sum(1, keepdim=True)

    def rates(self, name: str = OTHER) -> list[Rate]:
        """Share of one family in each bin, with its interval.

        Raises:
            UserError: The family is not among those counted.
        """
        if name not in self.families:
            raise UserError("family", repr(name), f"one of {', '.join(self.families)}")
        column, totals = self.counts[:, self.families.index(name)].tolist(), self.counts.sum(1).tolist()
        groups = [f"{low:g} to {high:g}" for low, high in zip(self.edges[:-1], self.edges[1:], strict=True)]
        return [Rate(name, group, *pair) for group, *pair in zip(groups, column, totals, strict=True)]


def family(crystals: Crystals) -> list[str]:
    """Protostructure of each crystal without its elements, such as ``AB_cF8_225_a_b``; empty where there is none."""
    return [label.partition(":")[0] for label in protostructure_labels(crystals)]


def commonest(families: Sequence[str], count: int = COMMONEST) -> list[str]:
    """The most frequent families of a set, most frequent first, equals by name; nameless crystals do not count."""
    found = Counter(name for name in families if name)
    return sorted(found, key=lambda name: (-found[name], name))[:count]


def families_by_value(families: Sequence[str], values: Tensor, known: Sequence[str], width: float) -> FamilyCounts:
    """Count the families of a set in bins of a descriptor.

    Arguments:
        families: Family of each crystal; what is not among ``known`` counts as :data:`OTHER`.
        values: Values of the descriptor, shape (B,); NaN where it is not defined.
        known: Families that are told apart, such as the :func:`commonest` of a reference.
        width: Of a bin; the bins start at whole multiples of it and hold every finite value.

    Raises:
        UserError: The width is not positive, or there are not as many families as values.
    """
    if not width > 0:
        raise UserError("width", f"{width:g}", "a positive number")
    if len(families) != len(values):
        raise UserError("families", f"{len(families)} of them", f"one for each of {len(values)} values")
    names = (*dict.fromkeys(known), OTHER)
    place = {name: i for i, name in enumerate(names)}
    finite = values.isfinite()
    bins = torch.floor(values[finite].to(torch.float64) / width).to(torch.int64)
    first, n = (int(bins.min()), int(bins.max()) - int(bins.min()) + 1) if len(bins) else (0, 0)
    column = torch.tensor([place.get(name, len(names) - 1) for name in families], dtype=torch.int64)[finite.cpu()]
    counts = torch.zeros(n, len(names), dtype=torch.int64)
    counts.index_put_((bins.cpu() - first, column), torch.ones(len(bins), dtype=torch.int64), accumulate=True)
    edges = (first + torch.arange(n + 1, dtype=torch.float64)) * width
    return FamilyCounts(names, edges, counts, int((~finite).sum()))
