"""The baseline of filling protostructures: PyXtal draws cells and free coordinates at random.

As the WyckoffDiff papers realise their labels: a cell of PyXtal's guess of a volume, coordinates uniform, accepted
once no two atoms are closer than PyXtal's tolerances (S. Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021)).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.lattice import log_shape
from nucleate.symmetry.protostructure import Protostructure
from nucleate.symmetry.wyckoff import by_letter
from nucleate.symmetry.wyckoff_parametrization import Layout, primitive_vectors

ATTEMPTS = 10
"""Calls of PyXtal for one crystal, each of which tries up to ten cells: 100 as in the WyckoffDiff-Adaptor paper."""


def pyxtal_drawn(
    protostructure: Protostructure, layout: Layout, count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Free coordinates (D, F) and strains (D, K) of up to ``count`` crystals; fewer where PyXtal finds none."""
    free = np.zeros((count, layout.n_coordinates))
    cells = torch.zeros(count, 3, 3, dtype=torch.float64)
    done = 0
    for _ in range(count):
        found = _crystal(protostructure, rng)
        if found is None:
            continue
        free[done] = found[0]
        cells[done] = torch.from_numpy(found[1])
        done += 1
    unit = torch.linalg.inv(torch.from_numpy(primitive_vectors(protostructure.space_group))) @ layout.frame
    entries = log_shape(torch.linalg.inv(unit) @ cells[:done])
    matrix = entries[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(done, 3, 3)
    along = torch.einsum("kij,dij->dk", layout.strains, matrix)
    return torch.from_numpy(free[:done]), along / layout.strains.square().sum((1, 2))


def _crystal(protostructure: Protostructure, rng: np.random.Generator) -> tuple[list[float], np.ndarray] | None:
    """Free coordinates in the order of the layout, and the conventional cell."""
    # PyXtal brings pandas, ASE and pymatgen, which models that fill protostructures do without.
    from pyxtal import pyxtal

    known = by_letter(protostructure.space_group)
    elements = list(protostructure.counts)
    sites = [[f"{known[x].multiplicity}{x}" for z, x in protostructure.sites if z == element] for element in elements]
    for _ in range(ATTEMPTS):
        filling = pyxtal()
        try:
            filling.from_random(
                3,
                protostructure.space_group,
                [SYMBOLS[z] for z in elements],
                [protostructure.counts[z] for z in elements],
                sites=sites,
                random_state=rng,
            )
        except Exception:  # noqa: BLE001, S112  a filling that does not work out is only one attempt less
            continue
        if filling.valid:
            break
    else:
        return None
    waiting = [(str(site.specie), site.wp.letter, site) for site in filling.atom_sites]
    free: list[float] = []
    for z, letter in protostructure.sites:
        place = next(k for k, (symbol, name, _) in enumerate(waiting) if (symbol, name) == (SYMBOLS[z], letter))
        _, _, site = waiting.pop(place)
        moving = np.abs(site.wp.ops[0].affine_matrix[:3, :3]).sum(0) > 0
        free.extend(np.asarray(site.position, dtype=float)[moving].tolist())
    return free, np.asarray(filling.lattice.matrix, dtype=float)
