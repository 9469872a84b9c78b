"""Herfindahl-Hirschman index: how concentrated in few countries the supply of a compound's elements is.

The index of a market is the sum of squared shares in percent, from near 0 to 10,000 (one supplier). That of a compound
is the mean over its elements weighted by mass. Under 1,500 a market counts as unconcentrated, over 2,500 as highly so.
Values by element are those of pymatgen, for production and for known reserves; 26 elements up to lawrencium, hydrogen
among them, have none.

The column ``hhi_score`` is the index of reserves: MatterGen asks for an ``hhi_score`` of 1,200 and answers with
compounds such as MnFe3O4 and Fe8Au, whose indices are 1,276 and 1,278 by reserves, 1,822 and 2,002 by production.

Source: M. W. Gaultois et al., Chem. Mater. 25, 2911 (2013), doi:10.1021/cm400893e.
"""

from __future__ import annotations

from functools import lru_cache
from math import nan

from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import MASSES, SYMBOLS
from nucleate.descriptors.element_values import lacking, site_values


def hhi_production(crystals: Crystals) -> Tensor:
    """Index of where the elements are produced, shape (B,), float64; NaN where an element has no value."""
    return _by_mass(crystals, 0)


def hhi_reserve(crystals: Crystals) -> Tensor:
    """Index of where the known reserves of the elements lie, shape (B,), float64; NaN where one has no value."""
    return _by_mass(crystals, 1)


def without_hhi(crystals: Crystals) -> Tensor:
    """True on real sites whose element has no value, shape (B, N)."""
    return lacking(crystals, _table()[0])


def _by_mass(crystals: Crystals, column: int) -> Tensor:
    weights = site_values(crystals, MASSES)
    return (weights * site_values(crystals, _table()[column])).sum(-1) / weights.sum(-1)


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Production and reserve by atomic number; 0 at padding, NaN where there is no value."""
    from pymatgen.analysis.hhi import HHIModel

    pairs = [HHIModel().symbol_hhip_hhir.get(symbol, (nan, nan)) for symbol in SYMBOLS[1:]]
    return (0.0, *(pair[0] for pair in pairs)), (0.0, *(pair[1] for pair in pairs))
