"""Known crystals, the same ones in disguise, and noisy ones."""

from collections.abc import Callable

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure


def _prototypes() -> list[Structure]:
    cubic = Lattice.cubic
    return [
        Structure.from_spacegroup("Fm-3m", cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure.from_spacegroup("Pm-3m", cubic(2.6), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure.from_spacegroup("F-43m", cubic(4.6), ["Mg", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
        Structure.from_spacegroup(
            "P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
        ),
        Structure.from_spacegroup(
            "I4_1/amd", Lattice.tetragonal(3.78, 9.51), ["Ti", "O"], [[0, 0.75, 0.125], [0, 0.75, 0.333]]
        ),
        Structure.from_spacegroup("Pm-3m", cubic(3.9), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]),
    ]


def _disguised(structure: Structure, seed: int) -> Structure:
    """The same crystal: permuted, translated, rotated, in another cell."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    copy = structure.get_primitive_structure() if seed % 2 else structure.copy()
    copy.make_supercell([[1, seed % 3, 0], [0, 1, 0], [0, 0, 1 + seed % 2]])
    order = rng.permutation(len(copy))
    return Structure(
        Lattice(copy.lattice.matrix @ rotation),
        [copy[i].specie for i in order],
        (copy.frac_coords[order] + rng.random(3)) % 1,
    )


def _noisy(structure: Structure, seed: int, strength: float) -> Structure:
    rng = np.random.default_rng(seed)
    copy = structure.copy()
    strain = np.eye(3) + rng.normal(0, strength / 8, (3, 3))
    moves = rng.normal(0, strength, (len(copy), 3)) @ np.linalg.inv(copy.lattice.matrix)
    return Structure(Lattice(copy.lattice.matrix @ strain), copy.species, copy.frac_coords + moves)


@pytest.fixture(scope="session")
def prototypes() -> Callable:
    return _prototypes


@pytest.fixture(scope="session")
def disguised() -> Callable:
    return _disguised


@pytest.fixture(scope="session")
def noisy() -> Callable:
    return _noisy
