"""Whether a protostructure has the symmetry of its space group and no more, whatever its coordinates.

Atoms on a few positions may always have a larger group or a smaller cell: position c of Fm-3m alone is a simple cubic
lattice. Such a protostructure is another one by its right name.
"""

from __future__ import annotations

from functools import lru_cache
from math import log

import numpy as np

from nucleate.search.cell_shapes import drawn
from nucleate.search.layout import layout
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.prototype import protostructures

_SYMPREC = 1e-3
_VOLUME = 20.0
"""Å³ an atom; any that keeps atoms at random places apart."""


def is_generic(protostructure: Protostructure) -> bool:
    """True if crystals with random coordinates and cell carry the protostructure's own label."""
    # Which elements they are makes no difference, only which orbits share one.
    names = {z: number + 1 for number, z in enumerate(protostructure.counts)}
    sites = tuple((names[z], letter) for z, letter in protostructure.sites)
    return _is_generic(protostructure.space_group, sites)


@lru_cache(maxsize=16384)
def _is_generic(space_group: int, sites: tuple[tuple[int, str], ...]) -> bool:
    protostructure = Protostructure(space_group, sites)
    map_ = layout(protostructure)
    rng = np.random.default_rng(0)
    free, strain = drawn(map_, space_group, log(_VOLUME * protostructure.n_primitive), 2, rng)
    found = protostructures(map_.crystals(free, strain), _SYMPREC)
    return any(one is not None and one.label == protostructure.label for one in found)
