"""A handful of known structures to substitute into."""

import pytest
from pymatgen.core import Lattice, Structure

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import from_pymatgen


@pytest.fixture(scope="session")
def parents() -> Crystals:
    cubic = Lattice.cubic
    structures = [
        Structure.from_spacegroup("Fm-3m", cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure.from_spacegroup("Fm-3m", cubic(4.62), ["Li", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]),
        Structure.from_spacegroup("Fm-3m", cubic(5.55), ["Na", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]),
        Structure.from_spacegroup("Pm-3m", cubic(2.95), ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure.from_spacegroup(
            "P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
        ),
        Structure.from_spacegroup("Pm-3m", cubic(3.9), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]),
        Structure.from_spacegroup(
            "Fd-3m", cubic(8.08), ["Mg", "Al", "O"], [[0.125] * 3, [0.5, 0.5, 0.5], [0.2624] * 3]
        ),
    ]
    return from_pymatgen([structure.get_primitive_structure() for structure in structures])
